/* Temporary files that are to go when the program is ended by a signal that one can see coming. */
#include "clinux.h"

enum { SLOTS = 8, NAME = 64 };

static struct {
    volatile sig_atomic_t used;
    int directory;
    char name[NAME];
} slots[SLOTS];

static void on_end(int number) {
    int code = errno;
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].used) unlinkat(slots[i].directory, slots[i].name, 0);
    errno = code;
    signal(number, SIG_DFL);
    raise(number);
}

static void prepare(void) {
    static bool done;
    if (done) return;
    done = true;
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction old, end = {.sa_handler = on_end};
        sigemptyset(&end.sa_mask);
        /* What the caller has ignored (nohup) stays so. */
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) sigaction(ends[i], &end, NULL);
    }
}

void pv_temporary_made(int directory, const char *name) {
    prepare();
    if (strlen(name) >= NAME) return;
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].used) continue;
        slots[i].directory = directory;
        strcpy(slots[i].name, name);
        slots[i].used = 1;
        return;
    }
}

void pv_temporary_gone(int directory, const char *name) {
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].used && slots[i].directory == directory && strcmp(slots[i].name, name) == 0) slots[i].used = 0;
}

/* What is to go when the program is ended by a signal that one can see coming: temporary files, and what an image that
 * is not complete has grown by. */
#include "clinux.h"
#include <limits.h>
#include <sys/syscall.h>

enum { SLOTS = 8, NAME = 64 };

static struct {
    volatile sig_atomic_t used;
    int directory;
    char name[NAME];
} slots[SLOTS];

static struct {
    volatile sig_atomic_t used;
    int number;
    off_t before;
    char path[PATH_MAX];
} growth;

static struct {
    volatile sig_atomic_t used;
    int directory;
    char path[PATH_MAX];
} staging;

/* readdir(3) is not for signal handlers; the system call is. Names that are gone are not listed again. */
static void empty(int directory) {
    static char entries[1 << 15] __attribute__((aligned(8)));
    for (;;) {
        long count, removed = 0;
        if (lseek(directory, 0, SEEK_SET) != 0) return;
        while ((count = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
            for (long at = 0; at < count;) {
                /* u64 inode, u64 offset, u16 length, u8 type, name */
                unsigned short length;
                memcpy(&length, entries + at + 16, sizeof length);
                if (unlinkat(directory, entries + at + 19, 0) == 0) removed++;
                at += length;
            }
        }
        if (removed == 0) return;
    }
}

static void shrink(void) {
    struct stat here, named;
    if (!growth.used || fstat(growth.number, &here) != 0) return;
    if (growth.before >= 0) {
        if (here.st_size > growth.before && ftruncate(growth.number, growth.before) != 0) return;
    } else if (stat(growth.path, &named) == 0 && named.st_dev == here.st_dev && named.st_ino == here.st_ino) {
        unlink(growth.path);
    }
}

static void on_end(int number) {
    int code = errno;
    shrink();
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].used) unlinkat(slots[i].directory, slots[i].name, 0);
    if (staging.used) {
        /* Other threads may still make files there. */
        for (int tries = 0; tries < 100; tries++) {
            empty(staging.directory);
            if (rmdir(staging.path) == 0 || (errno != ENOTEMPTY && errno != EEXIST)) break;
        }
    }
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

void pv_staging_made(int directory, const char *path) {
    prepare();
    if (strlen(path) >= sizeof staging.path) return;
    staging.directory = directory;
    strcpy(staging.path, path);
    staging.used = 1;
}

void pv_staging_gone(void) { staging.used = 0; }

void pv_growth_began(int number, const char *path, off_t before) {
    prepare();
    if (strlen(path) >= sizeof growth.path) return;
    growth.number = number;
    growth.before = before;
    strcpy(growth.path, path);
    growth.used = 1;
}

void pv_growth_ended(void) { growth.used = 0; }

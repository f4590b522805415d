/* Memory that is not there, and traps. Embedded Swift takes all of its memory from posix_memalign and uses the result
 * unasked: without this, a lack of memory would be a jump into nowhere. The linker's --wrap leads its calls here; the
 * libraries' own allocations (malloc) are theirs, and they know how to fail. */
#include "clinux.h"
#include <stdatomic.h>
#include <stddef.h>

static const char *program = "pram-verify";
static volatile sig_atomic_t apart;
static volatile sig_atomic_t status_of_failure = PV_STATUS_FAILED;

static void say(const char *text) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s: %s\n", program, text);
    ssize_t written = length > 0 ? write(STDERR_FILENO, line, (size_t)length) : 0;
    (void)written;
}

void pv_fail_with(int status) { status_of_failure = status; }

void pv_work_is_apart(void) {
    apart = 1;
    signal(SIGILL, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
}

/* Whoever waits for a process of its own learns from the signal that there is no answer. */
_Noreturn void pv_out_of_memory(void) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    /* Another thread has said so, and ends all of them. */
    while (atomic_flag_test_and_set(&said)) pause();
    say("out of memory: the report is not complete");
    if (apart) raise(SIGKILL);
    _exit(status_of_failure);
}

int __real_posix_memalign(void **result, size_t alignment, size_t size) __attribute__((weak));
int __wrap_posix_memalign(void **result, size_t alignment, size_t size);

int __wrap_posix_memalign(void **result, size_t alignment, size_t size) {
    /* What malloc gives is aligned for every type of C anyway, and musl's way to a larger alignment is slow. */
    int code = 0;
    if (alignment <= _Alignof(max_align_t)) {
        *result = malloc(size);
        code = *result == NULL ? ENOMEM : 0;
    } else {
        code = __real_posix_memalign(result, alignment, size);
    }
    if (code != 0) pv_out_of_memory();
    return code;
}

/* A trap is a bug of this program, or a stack that cannot grow. The report that was begun must not pass for one. */
static void on_trap(int number) {
    (void)number;
    say("internal error: the report is not complete");
    _exit(status_of_failure);
}

void pv_traps_prepare(void) {
    static char stack[16384];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction trap = {.sa_handler = on_trap, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    sigemptyset(&trap.sa_mask);
    sigaltstack(&other, NULL);
    sigaction(SIGILL, &trap, NULL);
    sigaction(SIGTRAP, &trap, NULL);
    sigaction(SIGSEGV, &trap, NULL);
}

bool pv_are_equal(const void *a, const void *b, size_t length) {
    enum { stretch = 256 };
    const unsigned char *p = a, *q = b;
    uint64_t differs = 0;
    for (; length >= stretch && !differs; p += stretch, q += stretch, length -= stretch)
        for (size_t i = 0; i < stretch; i += sizeof differs) {
            uint64_t one, other;
            memcpy(&one, p + i, sizeof one);
            memcpy(&other, q + i, sizeof other);
            differs |= one ^ other;
        }
    for (; length && !differs; length--) differs = *p++ ^ *q++;
    return !differs;
}

/* A page of a mapping can vanish while it is read: the file shrinks, the disk fails, the RAM is poisoned. The kernel then
 * sends SIGBUS to the very thread that touched it, so a jump back to where that thread set out is all it takes. */
#include "clinux.h"
#include <setjmp.h>

static __thread sigjmp_buf *landing;

static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    if (landing)
        siglongjmp(*landing, 1);
    signal(number, SIG_DFL); /* not ours: let it have its usual effect when the instruction is tried again */
}

void pv_signals_prepare(void) {
    /* SA_NODEFER: the signal is not blocked in the handler, so the jump need not restore a signal mask. */
    struct sigaction bus = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction pipe = {.sa_handler = SIG_IGN};
    sigemptyset(&bus.sa_mask);
    sigaction(SIGBUS, &bus, NULL);
    sigaction(SIGPIPE, &pipe, NULL);
    sigaction(SIGXFSZ, &pipe, NULL); /* `ulimit -f`: EFBIG instead */
}

bool pv_guarded(void (*body)(void *), void *context) {
    sigjmp_buf here;
    sigjmp_buf *outer = landing;
    bool whole = false;
    if (sigsetjmp(here, 0) == 0) {
        landing = &here;
        body(context);
        whole = true;
    } else {
        /* Sanitizers call the handler from one of their own, with all signals blocked. */
        sigset_t bus;
        sigemptyset(&bus);
        sigaddset(&bus, SIGBUS);
        pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
    }
    landing = outer;
    return whole;
}

struct copy {
    void *destination;
    const void *source;
    size_t length;
};

static void copy_body(void *context) {
    const struct copy *c = context;
    memcpy(c->destination, c->source, c->length);
}

bool pv_guarded_copy(void *destination, const void *source, size_t length) {
    struct copy c = {destination, source, length};
    return pv_guarded(copy_body, &c);
}

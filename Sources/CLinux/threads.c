#include "clinux.h"

enum { STACK_SIZE = 8 << 20 };

int pv_thread_start(uintptr_t *thread, void *(*body)(void *), void *context) {
    pthread_attr_t attributes;
    pthread_t started;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    code = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (code == 0)
        code = pthread_create(&started, &attributes, body, context);
    pthread_attr_destroy(&attributes);
    if (code == 0)
        *thread = (uintptr_t)started;
    return code;
}

void pv_thread_join(uintptr_t thread) { pthread_join((pthread_t)thread, NULL); }

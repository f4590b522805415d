/* Work in a process of its own. */
#include "clinux.h"
#include <sys/prctl.h>
#include <sys/wait.h>

/* Waits until the other end of the pipe is closed; false when that takes longer. */
static bool wait_for_end(int pipe, int milliseconds) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long end = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + milliseconds;
    for (;;) {
        struct pollfd wanted = {.fd = pipe, .events = POLLIN};
        clock_gettime(CLOCK_MONOTONIC, &now);
        long long left = end - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
        int count = poll(&wanted, 1, left > 0 ? (int)left : 0);
        if (count > 0) return true;
        if (count == 0 || errno != EINTR) return false;
    }
}

int pv_run_apart(int (*body)(void *), void *context, int milliseconds) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return PV_APART_NOT_STARTED;
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pv_work_is_apart();
        _exit(body(context));
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return PV_APART_NOT_STARTED;
    }
    bool ended = wait_for_end(ends[0], milliseconds);
    close(ends[0]);
    if (!ended) {
        /* Not waited for: a process that hangs in the kernel does not even end so. */
        kill(child, SIGKILL);
        return PV_APART_LATE;
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 0;
    return WIFSIGNALED(status) ? PV_APART_KILLED - WTERMSIG(status) : WEXITSTATUS(status);
}

/* What a supervised process needs besides plain calls. */
#include "clinux.h"
#include <sys/prctl.h>
#include <sys/wait.h>

pid_t pv_fork(void) { return fork(); }

int pv_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

int pv_child_default(struct sigaction *old) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigemptyset(&usual.sa_mask);
    return sigaction(SIGCHLD, &usual, old);
}

int pv_child_restore(const struct sigaction *old) { return sigaction(SIGCHLD, old, NULL); }

bool pv_was_killed(int status) { return WIFSIGNALED(status); }
int pv_signal_of(int status) { return WTERMSIG(status); }
int pv_exit_status_of(int status) { return WEXITSTATUS(status); }

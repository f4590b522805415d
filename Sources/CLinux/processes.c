/* What a supervised process needs besides plain calls. */
#include "clinux.h"
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Signals that this process ignores have their usual effect there. */
int pv_spawn(pid_t *child, char *const words[], int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        sigemptyset(&usual);
        sigaddset(&usual, SIGPIPE);
        sigaddset(&usual, SIGXFSZ);
        sigaddset(&usual, SIGCHLD);
        posix_spawnattr_setsigdefault(&attributes, &usual);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        code = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (code == 0)
            code = posix_spawnp(child, words[0], &actions, &attributes, words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

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

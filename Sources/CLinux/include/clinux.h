/* What the Linux layer needs from C: headers, macros that Swift cannot import, and the guard against SIGBUS. */
#pragma once
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline int pv_errno(void) { return errno; }
static inline void pv_set_errno(int code) { errno = code; }

/* open(2) is variadic, which Swift cannot call. Always O_CLOEXEC. */
static inline int pv_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags | O_CLOEXEC, mode);
}

/* A standard stream that the caller has closed stays one that can neither be read nor written: without this the next file
 * that is opened would get its number, and be taken for it. */
void pv_fill_standard_descriptors(void);

/* open(2) with O_TMPFILE: an empty file in the directory, for reading and writing, without a name. -1 and errno. */
int pv_open_nameless(const char *directory);
int pv_sync_file_system(int number);

/* mkostemp(3): makes a file of the template's name, its last six X replaced. */
int pv_make_temporary(char *template);

/* renameat2(2) with RENAME_NOREPLACE. */
static inline int pv_rename_noreplace(int directory, const char *from, int parent, const char *to) {
    return (int)syscall(SYS_renameat2, directory, from, parent, to, 1u);
}

/* getopt_long's globals, which Swift regards as unsafe to share. */
static inline int pv_optind(void) { return optind; }
/* 0: from the start, with whatever array of words comes next (getopt_long(3), NOTES). */
static inline void pv_restart_options(void) { optind = 0; }
static inline const char *pv_optarg(void) { return optarg; }

/* lseek(2) with SEEK_DATA and SEEK_HOLE. */
off_t pv_next_data(int number, off_t offset);
off_t pv_next_hole(int number, off_t offset);

/* The name of the next entry of a directory stream; NULL at the end, and with errno set on an error. */
const char *pv_next_name(DIR *stream);

/* Notes a temporary file (a short name in an open directory), which is removed should the program be ended by SIGTERM,
 * SIGINT or SIGHUP; and forgets it. For one thread at a time. */
void pv_temporary_made(int directory, const char *name);
void pv_temporary_gone(int directory, const char *name);
/* The same of an open, flat directory of files that wait for their places, with all that is in it. */
void pv_staging_made(int directory, const char *path);
void pv_staging_gone(void);

/* The same for one file that is made or grows: it is removed, or becomes as large again as it was before (-1 for one that
 * is new). The descriptor stays open until that is over. */
void pv_growth_began(int number, const char *path, off_t before);
void pv_growth_ended(void);

/* Everything written before is visible to whoever sees what is written after. */
static inline void pv_memory_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

static inline int pv_duplicate(int number) { return fcntl(number, F_DUPFD_CLOEXEC, 0); }

/* How many columns the terminal has (tty_ioctl(4), TIOCGWINSZ); 0 where it does not know. -1 and errno. */
static inline int pv_terminal_columns(int number) {
    struct winsize size = {0};
    return ioctl(number, TIOCGWINSZ, &size) == 0 ? size.ws_col : -1;
}

static inline bool pv_mmap_failed(const void *address) { return address == MAP_FAILED; }

/* Makes SIGBUS survivable inside the two functions below, and SIGPIPE and SIGXFSZ errors of write(2). Call once, at start. */
void pv_signals_prepare(void);

/* Status bit 8: the program could not do what it was asked to. */
#define PV_STATUS_FAILED 8

/* A trap, and memory that runs out, end the program with a line on standard error and PV_STATUS_FAILED. Call once, at
 * start. (Memory: where the program is linked with --wrap=posix_memalign.) */
void pv_traps_prepare(void);

/* Another status for that: 0 where nobody is to stop at it. */
void pv_fail_with(int status);

/* In a process of its own: there both end it by a signal, so that the one who waits for it learns of it. */
void pv_work_is_apart(void);

/* Says so and ends the program. */
_Noreturn void pv_out_of_memory(void);

/* Runs body(context); false when it touched mapped memory that is not there (a file that shrank, EIO, poisoned RAM).
 * body must be C and hold no locks: it is left by a jump. May be used by several threads at once. */
bool pv_guarded(void (*body)(void *), void *context);

/* memcpy out of mapped memory; false when the source is not there. */
bool pv_guarded_copy(void *destination, const void *source, size_t length);

/* Whether both have the same bytes; they may overlap. musl's memcmp takes one byte after the other. */
bool pv_are_equal(const void *a, const void *b, size_t length);

/* Processors this process may run on (sched_getaffinity), at least 1. */
int pv_processor_count(void);

/* pthread_create(3) with a stack of 8 MiB whatever the C library's own choice is (musl's is 128 KiB), and pthread_join(3).
 * A thread is a number here, since the type differs between the C libraries. Its errno. */
int pv_thread_start(uintptr_t *thread, void *(*body)(void *), void *context);
void pv_thread_join(uintptr_t thread);

/* How often the calling thread has touched a page that was not in the page tables, so far. */
long pv_thread_page_faults(void);

/* pipe2(2) with O_CLOEXEC; fork(2); prctl(2): SIGKILL for this process when its parent ends. */
int pv_pipe(int ends[2]);
pid_t pv_fork(void);
int pv_end_with_parent(void);

/* posix_spawnp(3): a program that is looked for in PATH, with `output` as its standard output, and this process's other
 * descriptors and environment. Its errno. */
int pv_spawn(pid_t *child, char *const words[], int output);

/* Gives SIGCHLD its usual effect, and back what it was. A caller may have had it ignored, which execve(2) keeps: then no
 * status of a child is left for waitpid(2). */
int pv_child_default(struct sigaction *old);
int pv_child_restore(const struct sigaction *old);

/* What a status of waitpid(2) says. */
bool pv_was_killed(int status);
int pv_signal_of(int status);
int pv_exit_status_of(int status);

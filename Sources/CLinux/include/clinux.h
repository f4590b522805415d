/* What the Linux layer needs from C: headers, macros that Swift cannot import, and the guard against SIGBUS. */
#pragma once
#include "beneath.h"
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
#include <time.h>
#include <unistd.h>

static inline int pv_errno(void) { return errno; }
static inline void pv_set_errno(int code) { errno = code; }

/* open(2) is variadic, which Swift cannot call. Always O_CLOEXEC. */
static inline int pv_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags | O_CLOEXEC, mode);
}

/* An empty file in the directory, for reading and writing, without a name: it is gone with its last descriptor, whatever
 * becomes of the process. -1 and errno. */
int pv_open_unlinked(const char *directory);

/* renameat2(2) with RENAME_NOREPLACE, within one directory. */
static inline int pv_rename_noreplace(int directory, const char *from, const char *to) {
    return (int)syscall(SYS_renameat2, directory, from, directory, to, 1u);
}

/* getopt_long's globals, which Swift regards as unsafe to share. */
static inline int pv_optind(void) { return optind; }
static inline void pv_restart_options(void) { optind = 1; }
static inline const char *pv_optarg(void) { return optarg; }

/* lseek(2) with SEEK_DATA and SEEK_HOLE. */
off_t pv_next_data(int number, off_t offset);
off_t pv_next_hole(int number, off_t offset);

/* The name of the next entry of a directory stream; NULL at the end, and with errno set on an error. */
const char *pv_next_name(DIR *stream);

/* Everything written before is visible to whoever sees what is written after. */
static inline void pv_memory_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* Waits for something to read, at most so many milliseconds. */
static inline bool pv_wait_readable(int number, int milliseconds) {
    struct pollfd wanted = {.fd = number, .events = POLLIN};
    return poll(&wanted, 1, milliseconds) > 0;
}

static inline int pv_duplicate(int number) { return fcntl(number, F_DUPFD_CLOEXEC, 0); }

static inline bool pv_mmap_failed(const void *address) { return address == MAP_FAILED; }

/* Makes SIGBUS survivable inside the two functions below, and SIGPIPE and SIGXFSZ errors of write(2). Call once, at start. */
void pv_signals_prepare(void);

/* Runs body(context); false when it touched mapped memory that is not there (a file that shrank, EIO, poisoned RAM).
 * body must be C and hold no locks: it is left by a jump. May be used by several threads at once. */
bool pv_guarded(void (*body)(void *), void *context);

/* memcpy out of mapped memory; false when the source is not there. */
bool pv_guarded_copy(void *destination, const void *source, size_t length);

/* Processors this process may run on (sched_getaffinity), at least 1. */
int pv_processor_count(void);

/* How often the calling thread has touched a page that was not in the page tables, so far. */
long pv_thread_page_faults(void);

/* Runs body(context) in a process of its own, for so many milliseconds at most, and returns what it returned, or: not
 * started; not done in time, and killed; ended by signal number PV_APART_KILLED - result. */
#define PV_APART_NOT_STARTED (-1)
#define PV_APART_LATE (-2)
#define PV_APART_KILLED (-100)
int pv_run_apart(int (*body)(void *), void *context, int milliseconds);

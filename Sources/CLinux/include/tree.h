/* What reading and writing whole trees needs from C: calls and macros that Swift cannot see. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>

/* A directory below another one, for naming it and what is in it alone (O_PATH): openat2(2), which does not leave that
 * one. -1 and errno, ENOSYS where the kernel is older than 5.6, EPERM where a filter forbids it. `beneath` follows no
 * symbolic link (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS); `in_root` takes the upper directory for the root (RESOLVE_IN_ROOT). */
int pv_open_beneath(int directory, const char *path);
int pv_open_in_root(int directory, const char *path);

/* Something in a directory, for naming it alone: O_PATH and O_NOFOLLOW, and further flags. */
int pv_open_name(int directory, const char *name, int flags);

/* The inode flags of an open file or directory: FS_IOC_GETFLAGS and FS_IOC_SETFLAGS. 0, or -1 and errno. */
int pv_get_flags(int number, uint32_t *flags);
int pv_set_flags(int number, uint32_t flags);

/* fchownat(2) of what was opened with O_PATH. */
int pv_change_owner(int number, uid_t uid, gid_t gid);

/* Whether a pattern of fnmatch(3) fits; with `is_path`, nothing but a slash fits a slash. */
bool pv_matches(const char *pattern, const char *text, bool is_path);

/* uname(2)'s release and node name, cut to the room that there is; empty when they cannot be had. */
void pv_kernel_release(char *text, size_t room);
void pv_node_name(char *text, size_t room);

/* CLOCK_BOOTTIME, which Swift does not see. */
static inline int pv_clock_boottime(void) { return 7; }

/* Files below a directory, whatever lies in between. */
#pragma once
#include <sys/types.h>

/* openat2(2) with the directory as the root: neither `..` nor a symbolic link leads out of it. -1 and errno; ENOSYS before
 * Linux 5.6. */
int pv_open_in_root(int directory, const char *path, int flags, mode_t mode);

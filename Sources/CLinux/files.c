/* Calls whose constants Swift does not see, for want of _GNU_SOURCE. */
#include "clinux.h"
#include <limits.h>

int pv_open_unlinked(const char *directory) {
    int number = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    /* What file systems and kernels without O_TMPFILE answer; see open(2). */
    if (number >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return number;

    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/pram-verify-XXXXXX", directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    number = mkostemp(path, O_CLOEXEC);
    if (number >= 0)
        unlink(path);
    return number;
}

off_t pv_next_data(int number, off_t offset) { return lseek(number, offset, SEEK_DATA); }

off_t pv_next_hole(int number, off_t offset) { return lseek(number, offset, SEEK_HOLE); }

const char *pv_next_name(DIR *stream) {
    const struct dirent *entry = readdir(stream);
    return entry ? entry->d_name : NULL;
}

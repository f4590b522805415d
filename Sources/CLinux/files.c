/* Calls whose constants Swift does not see, for want of _GNU_SOURCE. */
#include "clinux.h"

int pv_open_nameless(const char *directory) {
    return open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
}

int pv_make_temporary(char *template) { return mkostemp(template, O_CLOEXEC); }

off_t pv_next_data(int number, off_t offset) { return lseek(number, offset, SEEK_DATA); }

off_t pv_next_hole(int number, off_t offset) { return lseek(number, offset, SEEK_HOLE); }

int pv_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

const char *pv_next_name(DIR *stream) {
    const struct dirent *entry = readdir(stream);
    return entry ? entry->d_name : NULL;
}

int pv_sync_file_system(int number) { return syncfs(number); }

void pv_fill_standard_descriptors(void) {
    for (int number = 0; number <= 2; number++)
        if (fcntl(number, F_GETFD) == -1 && open("/", O_PATH) != number)
            return;
}

/* Calls for whole trees. */
#include "clinux.h"
#include "tree.h"
#include <fnmatch.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/utsname.h>

/* As often as a rename elsewhere may get in the way before somebody must be doing it on purpose. */
enum { attempts = 100 };

/* openat2 has no wrapper in the C library. */
static int open_below(int directory, const char *path, int flags, unsigned resolve) {
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_PATH | O_DIRECTORY | O_CLOEXEC),
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };
    for (int attempt = 0;; attempt++) {
        int number = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (number >= 0 || errno != EAGAIN || attempt == attempts)
            return number;
    }
}

int pv_open_beneath(int directory, const char *path) {
    return open_below(directory, path, O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int pv_open_in_root(int directory, const char *path) { return open_below(directory, path, 0, RESOLVE_IN_ROOT); }

int pv_open_name(int directory, const char *name, int flags) {
    return openat(directory, name, flags | O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int pv_get_flags(int number, uint32_t *flags) {
    /* The kernel writes an int, whatever the number of the ioctl says. */
    int value = 0;
    if (ioctl(number, FS_IOC_GETFLAGS, &value) != 0)
        return -1;
    *flags = (uint32_t)value;
    return 0;
}

int pv_set_flags(int number, uint32_t flags) {
    int value = (int)flags;
    return ioctl(number, FS_IOC_SETFLAGS, &value);
}

int pv_change_owner(int number, uid_t uid, gid_t gid) { return fchownat(number, "", uid, gid, AT_EMPTY_PATH); }

bool pv_matches(const char *pattern, const char *text, bool is_path) {
    return fnmatch(pattern, text, is_path ? FNM_PATHNAME : 0) == 0;
}

static void copy_text(char *text, size_t room, const char *from) { snprintf(text, room, "%s", from); }

void pv_kernel_release(char *text, size_t room) {
    struct utsname names;
    copy_text(text, room, uname(&names) == 0 ? names.release : "");
}

void pv_node_name(char *text, size_t room) {
    struct utsname names;
    copy_text(text, room, uname(&names) == 0 ? names.nodename : "");
}

/* Debian's static libraries are compiled with glibc's headers, which put checked variants in place of some functions
 * (fortification: the size of the destination is handed along, and a flag). musl has all but these. The sizes are kept
 * where they bound what is written; types and numbers are the kernel's, and so the same in both. */
#define _GNU_SOURCE
#include <features.h>
#ifndef __GLIBC__
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __vsnprintf_chk(char *out, size_t length, int flag, size_t room, const char *format, va_list values) {
    (void)flag;
    if (length > room)
        abort();
    return vsnprintf(out, length, format, values);
}

int __snprintf_chk(char *out, size_t length, int flag, size_t room, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = __vsnprintf_chk(out, length, flag, room, format, values);
    va_end(values);
    return count;
}

int __sprintf_chk(char *out, int flag, size_t room, const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)flag;
    /* No more than INT_MAX: vsnprintf refuses a larger room. */
    int count = vsnprintf(out, room > 0x7fffffff ? 0x7fffffff : room, format, values);
    va_end(values);
    if (count >= 0 && (size_t)count >= room)
        abort();
    return count;
}

int __vasprintf_chk(char **out, int flag, const char *format, va_list values) {
    (void)flag;
    return vasprintf(out, format, values);
}

int __asprintf_chk(char **out, int flag, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = __vasprintf_chk(out, flag, format, values);
    va_end(values);
    return count;
}

int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list values) {
    (void)flag;
    return vfprintf(stream, format, values);
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = __vfprintf_chk(stream, flag, format, values);
    va_end(values);
    return count;
}

void __explicit_bzero_chk(void *bytes, size_t length, size_t room) {
    if (length > room)
        abort();
    explicit_bzero(bytes, length);
}

/* open without a mode: what would need one has been refused by the compiler. */
int __open_2(const char *path, int flags) { return open(path, flags); }
int __openat_2(int directory, const char *path, int flags) { return openat(directory, path, flags); }

/* From glibc 2.38 on (Debian 13) the headers put in names of C23, whose numbers may begin with 0b. Ours do not. */
long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
long long __isoc23_strtoll(const char *text, char **end, int base) { return strtoll(text, end, base); }
unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) { return strtoull(text, end, base); }
intmax_t __isoc23_strtoimax(const char *text, char **end, int base) { return strtoimax(text, end, base); }
uintmax_t __isoc23_strtoumax(const char *text, char **end, int base) { return strtoumax(text, end, base); }
int __isoc23_vfscanf(FILE *stream, const char *format, va_list values) { return vfscanf(stream, format, values); }
int __isoc23_vsscanf(const char *text, const char *format, va_list values) { return vsscanf(text, format, values); }

int __isoc23_fscanf(FILE *stream, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = vfscanf(stream, format, values);
    va_end(values);
    return count;
}

int __isoc23_sscanf(const char *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = vsscanf(text, format, values);
    va_end(values);
    return count;
}

cpu_set_t *__sched_cpualloc(size_t count) { return calloc(1, CPU_ALLOC_SIZE(count)); }
void __sched_cpufree(cpu_set_t *set) { free(set); }
#endif

/* Debian's libzstd.a brings decoders for formats that zstd wrote before version 0.8 (2016), 80 KB of them. No dump and no
 * initrd is packed so: the kernel does not unpack them either. With these in place of the library's, the linker leaves
 * the decoders out, and such data is an error of its own (version_unsupported). */
#include <stddef.h>

#define UNSUPPORTED ((size_t)-12)

#define LEGACY(version)                                                                                                \
    void *ZSTDv##version##_createDCtx(void) { return NULL; }                                                           \
    size_t ZSTDv##version##_freeDCtx(void *context) { return (void)context, 0; }                                       \
    size_t ZSTDv##version##_decompress_usingDict(void) { return UNSUPPORTED; }                                         \
    size_t ZSTDv##version##_getFrameParams(void) { return UNSUPPORTED; }                                               \
    void ZSTDv##version##_findFrameSizeInfoLegacy(const void *source, size_t count, size_t *size,                      \
                                                  unsigned long long *bound) {                                         \
        (void)source;                                                                                                  \
        (void)count;                                                                                                   \
        *size = UNSUPPORTED;                                                                                           \
        *bound = (unsigned long long)-2;                                                                               \
    }                                                                                                                  \
    void *ZBUFFv##version##_createDCtx(void) { return NULL; }                                                          \
    size_t ZBUFFv##version##_freeDCtx(void *context) { return (void)context, 0; }                                      \
    size_t ZBUFFv##version##_decompressInitDictionary(void) { return UNSUPPORTED; }                                    \
    size_t ZBUFFv##version##_decompressContinue(void) { return UNSUPPORTED; }

LEGACY(05)
LEGACY(06)
LEGACY(07)

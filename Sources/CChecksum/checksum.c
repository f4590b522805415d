/* CRC-32C (pages) and CRC-32 (links) in the kernel's convention, by whatever the processor does best.
 *
 *   The two polynomials             what folds, and the definition, bit by bit
 *   Tables                          for processors without anything better
 *   x86-64, arm64                   one kernel for each kind of instruction
 *   Paths                           the list of kernels, and the choice among them at first use
 *   Checksums, pages                what the rest of the program calls
 *   For tests and benchmarks        left out by the linker where nobody asks
 *
 * A kernel takes as many whole blocks as its data holds and leaves the rest to a simpler one. Bits are reflected
 * throughout: the lowest bit of the first byte is the coefficient of the highest power of x.
 */
#include "checksum.h"
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A kernel. `ahead` is where the next data of the same length lie: a kernel that is faster than memory fetches them on
 * its way, or `data` itself where the caller does not know. Any address will do, even one that is not there. */
typedef uint32_t crc_function(uint32_t seed, const void *data, size_t length, const void *ahead);

/* Little-endian words from any address. */
static inline uint64_t load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Fetches 64 bytes that will be read soon and once. Never faults. */
static inline void fetch(const uint8_t *p) {
    enum { for_reading = 0, once = 0 };
    __builtin_prefetch(p, for_reading, once);
}

/* ---- The two polynomials ----------------------------------------------------------------------------------------- */

/* A CRC is a remainder: data * x^32 mod P, where data is the message as one long polynomial. So a block may be replaced
 * by anything with the same remainder. Folding replaces 16 bytes by 16 other bytes that lie D bits further on: a
 * polynomial A in front of D bits is worth A * x^D, and A * (x^D mod P) is worth the same but is short. It is XORed
 * into the 16 bytes that lie there, and the work on the first ones is done (Gopal et al., "Fast CRC Computation for
 * Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009).
 *
 * A carry-less product of two 64-bit halves has 127 bits, and with reflected bits that leaves it one place short: it is
 * the product times x. A 32-bit constant in the low half of its 64 bits is itself multiplied by x^32. So to multiply by
 * x^k the constant is x^(k-33) mod P. The first 8 bytes of the 16 lie 64 bits before the other 8: k = D + 64 for them,
 * k = D for the others. */
struct polynomial {
    uint32_t reflected; /* without x^32 */
    struct factors {
        uint64_t first, second; /* x^(D+31) mod P for the first 8 bytes, x^(D-33) mod P for the second 8 */
    } over[6];                  /* over 16, 32, 64, 128, 256, 512 bytes */
    uint64_t stream;            /* x^(8S-33) mod P: over one stream of S bytes (see STREAM) */
    uint64_t two_streams;       /* x^(16S-33) mod P: over two of them */
    uint64_t word;              /* x^63 mod P: 96 bits to 64 */
    uint64_t quotient;          /* floor(x^64 / P), 33 bits: 64 bits to 32 by Barrett's division */
};

enum over { over16, over32, over64, over128, over256, over512 };

/* Bytes in each of three streams that are computed side by side: together just short of a page. */
enum { STREAM = 1360 };

static const struct polynomial castagnoli = {
    .reflected = 0x82F63B78,
    .over =
        {
            {0xf20c0dfe, 0x493c7d27}, /* 16 bytes: x^159, x^95 */
            {0x3da6d0cb, 0xba4fc28e}, /* 32: x^287, x^223 */
            {0x740eef02, 0x9e4addf8}, /* 64: x^543, x^479 */
            {0x6992cea2, 0x0d3b6092}, /* 128: x^1055, x^991 */
            {0xdcb17aa4, 0xb9e02b86}, /* 256: x^2079, x^2015 */
            {0xbd6f81f8, 0xdd7e3b0c}, /* 512: x^4127, x^4063 */
        },
    .stream = 0x3f70cc6f,      /* x^10847 */
    .two_streams = 0x5aa1f3cf, /* x^21727 */
    .word = 0xdd45aab8,
    .quotient = 0x0dea713f1,
};

static const struct polynomial ethernet = {
    .reflected = 0xEDB88320,
    .over =
        {
            {0xae689191, 0xccaa009e}, /* 16 bytes: x^159, x^95 */
            {0xf1da05aa, 0x81256527}, /* 32: x^287, x^223 */
            {0x8f352d95, 0x1d9513d7}, /* 64: x^543, x^479 */
            {0x33fff533, 0x910eeec1}, /* 128: x^1055, x^991 */
            {0xce3371cb, 0xe95c1271}, /* 256: x^2079, x^2015 */
            {0x1072db28, 0x0c30f51d}, /* 512: x^4127, x^4063 */
        },
    .stream = 0xf33bd3ee,      /* x^10847 */
    .two_streams = 0x9f3f7c8a, /* x^21727 */
    .word = 0xb8bc6765,
    .quotient = 0x1f7011641,
};

/* The definition. Everything else must give the same. */
static uint32_t bitwise(const struct polynomial *P, uint32_t crc, const uint8_t *p, size_t length) {
    for (; length; length--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? P->reflected : 0);
    }
    return crc;
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

/* after[n][b]: the remainder of byte b with n zero bytes behind it. Built when first needed, 8 KiB each. */
struct tables {
    uint32_t after[8][256];
    _Atomic int state;
};
enum { unbuilt, being_built, built };
static struct tables castagnoli_tables, ethernet_tables;

/* False while another thread builds them: nobody waits, the caller goes by the definition meanwhile. */
static bool ready(struct tables *t, const struct polynomial *P) {
    if (atomic_load_explicit(&t->state, memory_order_acquire) == built)
        return true;
    int expected = unbuilt;
    if (!atomic_compare_exchange_strong(&t->state, &expected, being_built))
        return expected == built;
    for (int b = 0; b < 256; b++) {
        const uint8_t byte = (uint8_t)b;
        t->after[0][b] = bitwise(P, 0, &byte, 1);
    }
    for (int n = 1; n < 8; n++)
        for (int b = 0; b < 256; b++)
            t->after[n][b] = t->after[n - 1][b] >> 8 ^ t->after[0][t->after[n - 1][b] & 255];
    atomic_store_explicit(&t->state, built, memory_order_release);
    return true;
}

/* One byte after the other, each waiting for the one before. */
static inline uint32_t by_bytes(
    struct tables *t, const struct polynomial *P, uint32_t crc, const uint8_t *p, size_t n) {
    if (!ready(t, P))
        return bitwise(P, crc, p, n);
    for (; n; n--)
        crc = crc >> 8 ^ t->after[0][(crc ^ *p++) & 255];
    return crc;
}

/* Eight bytes at a time: their remainders do not depend on each other and are XORed together. */
static inline uint32_t by_words(
    struct tables *t, const struct polynomial *P, uint32_t crc, const uint8_t *p, size_t n) {
    if (!ready(t, P))
        return bitwise(P, crc, p, n);
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word = load64(p) ^ crc;
        crc = 0;
        for (int i = 0; i < 8; i++, word >>= 8)
            crc ^= t->after[7 - i][word & 255];
    }
    return by_bytes(t, P, crc, p, n);
}

static uint32_t crc32c_bytes(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    return by_bytes(&castagnoli_tables, &castagnoli, seed, data, length);
}
static uint32_t crc32_bytes(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    return by_bytes(&ethernet_tables, &ethernet, seed, data, length);
}
static uint32_t crc32c_table(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    return by_words(&castagnoli_tables, &castagnoli, seed, data, length);
}
static uint32_t crc32_table(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    return by_words(&ethernet_tables, &ethernet, seed, data, length);
}

/* ---- x86-64 ------------------------------------------------------------------------------------------------------ */

#if defined(__x86_64__)

#define WITH_SSE42 __attribute__((target("sse4.2")))
#define WITH_PCLMUL __attribute__((target("sse4.2,pclmul")))
#define WITH_AVX2 __attribute__((target("sse4.2,pclmul,avx2,vpclmulqdq")))
#define WITH_AVX512 __attribute__((target("sse4.2,pclmul,avx2,vpclmulqdq,avx512f")))

/* The crc32 instruction, which knows CRC-32C only. Each one waits for the one before: 8 bytes every 3 cycles. */
WITH_SSE42 static uint32_t crc32c_sse42(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    const uint8_t *p = data;
    uint64_t crc = seed;
    for (; length >= 8; p += 8, length -= 8)
        crc = _mm_crc32_u64(crc, load64(p));
    for (; length; length--)
        crc = _mm_crc32_u8((uint32_t)crc, *p++);
    return (uint32_t)crc;
}

/* Three streams side by side fill the time that one spends waiting. */
WITH_PCLMUL static uint32_t crc32c_sse42_three(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const uint8_t *p = data, *next = ahead;
    const __m128i factors = _mm_set_epi64x((int64_t)castagnoli.stream, (int64_t)castagnoli.two_streams);
    for (; length >= 3 * STREAM; p += 3 * STREAM, next += 3 * STREAM, length -= 3 * STREAM) {
        uint64_t first = seed, second = 0, third = 0;
        for (size_t i = 0; i < STREAM; i += 16) {
            fetch(next + 3 * i);
            for (size_t j = i; j < i + 16; j += 8) {
                first = _mm_crc32_u64(first, load64(p + j));
                second = _mm_crc32_u64(second, load64(p + STREAM + j));
                third = _mm_crc32_u64(third, load64(p + 2 * STREAM + j));
            }
        }
        /* Two 32-bit remainders times 32-bit constants, 64 bits together; the instruction reduces them. */
        const __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)first), factors, 0x00),
                                            _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)second), factors, 0x10));
        seed = (uint32_t)(third ^ _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(moved)));
    }
    return crc32c_sse42(seed, p, length, next);
}

/* 16 bytes, folded into the 16 that lie as far away as the factors say. */
WITH_PCLMUL static inline __m128i fold128(__m128i from, __m128i factors, __m128i into) {
    return _mm_xor_si128(
        into, _mm_xor_si128(_mm_clmulepi64_si128(from, factors, 0x00), _mm_clmulepi64_si128(from, factors, 0x11)));
}
WITH_AVX2 static inline __m256i fold256(__m256i from, __m256i factors, __m256i into) {
    return _mm256_xor_si256(into, _mm256_xor_si256(_mm256_clmulepi64_epi128(from, factors, 0x00),
                                                   _mm256_clmulepi64_epi128(from, factors, 0x11)));
}
WITH_AVX512 static inline __m512i fold512(__m512i from, __m512i factors, __m512i into) {
    enum { xor_of_three = 0x96 };
    return _mm512_ternarylogic_epi64(into, _mm512_clmulepi64_epi128(from, factors, 0x00),
                                     _mm512_clmulepi64_epi128(from, factors, 0x11), xor_of_three);
}

WITH_PCLMUL static inline __m128i factors128(const struct polynomial *P, enum over distance) {
    return _mm_loadu_si128((const __m128i *)&P->over[distance]);
}
WITH_AVX2 static inline __m256i factors256(const struct polynomial *P, enum over distance) {
    return _mm256_broadcastsi128_si256(factors128(P, distance));
}
WITH_AVX512 static inline __m512i factors512(const struct polynomial *P, enum over distance) {
    return _mm512_broadcast_i32x4(factors128(P, distance));
}

/* Eight vectors are folded side by side, for a product takes several cycles: each into the vector eight further on, to
 * the end of the data, then the first four into the last four, two into two, one into one, and at last the parts of one
 * vector into its last 16 bytes. What is left has the same remainder as all of the data. `length` is a multiple of
 * eight vectors and not 0. The same three times, for vectors of 16, 32 and 64 bytes. */
WITH_PCLMUL static inline __m128i fold_all128(
    const struct polynomial *P, uint32_t seed, const uint8_t *p, size_t length) {
    const __m128i *v = (const __m128i *)p, *end = (const __m128i *)(p + length);
    __m128i sum[8];
    for (int i = 0; i < 8; i++)
        sum[i] = _mm_loadu_si128(v + i);
    sum[0] = _mm_xor_si128(sum[0], _mm_cvtsi32_si128((int)seed));
    const __m128i far = factors128(P, over128);
    for (v += 8; v != end; v += 8)
        for (int i = 0; i < 8; i++)
            sum[i] = fold128(sum[i], far, _mm_loadu_si128(v + i));
    for (int i = 0; i < 4; i++)
        sum[i] = fold128(sum[i], factors128(P, over64), sum[i + 4]);
    for (int i = 0; i < 2; i++)
        sum[i] = fold128(sum[i], factors128(P, over32), sum[i + 2]);
    return fold128(sum[0], factors128(P, over16), sum[1]);
}

WITH_AVX2 static inline __m128i fold_all256(
    const struct polynomial *P, uint32_t seed, const uint8_t *p, size_t length, const uint8_t *ahead) {
    const __m256i *v = (const __m256i *)p, *end = (const __m256i *)(p + length);
    __m256i sum[8];
    for (int i = 0; i < 8; i++) {
        fetch(ahead + sizeof *v * i);
        sum[i] = _mm256_loadu_si256(v + i);
    }
    sum[0] = _mm256_xor_si256(sum[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)seed)));
    const __m256i far = factors256(P, over256);
    for (v += 8, ahead += sizeof sum; v != end; v += 8, ahead += sizeof sum)
        for (int i = 0; i < 8; i++) {
            fetch(ahead + sizeof *v * i);
            sum[i] = fold256(sum[i], far, _mm256_loadu_si256(v + i));
        }
    for (int i = 0; i < 4; i++)
        sum[i] = fold256(sum[i], factors256(P, over128), sum[i + 4]);
    for (int i = 0; i < 2; i++)
        sum[i] = fold256(sum[i], factors256(P, over64), sum[i + 2]);
    const __m256i last = fold256(sum[0], factors256(P, over32), sum[1]);
    return fold128(_mm256_castsi256_si128(last), factors128(P, over16), _mm256_extracti128_si256(last, 1));
}

WITH_AVX512 static inline __m128i fold_all512(
    const struct polynomial *P, uint32_t seed, const uint8_t *p, size_t length, const uint8_t *ahead) {
    const __m512i *v = (const __m512i *)p, *end = (const __m512i *)(p + length);
    __m512i sum[8];
    for (int i = 0; i < 8; i++) {
        fetch(ahead + sizeof *v * i);
        sum[i] = _mm512_loadu_si512(v + i);
    }
    sum[0] = _mm512_xor_si512(sum[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)seed)));
    const __m512i far = factors512(P, over512);
    for (v += 8, ahead += sizeof sum; v != end; v += 8, ahead += sizeof sum)
        for (int i = 0; i < 8; i++) {
            fetch(ahead + sizeof *v * i);
            sum[i] = fold512(sum[i], far, _mm512_loadu_si512(v + i));
        }
    for (int i = 0; i < 4; i++)
        sum[i] = fold512(sum[i], factors512(P, over256), sum[i + 4]);
    for (int i = 0; i < 2; i++)
        sum[i] = fold512(sum[i], factors512(P, over128), sum[i + 2]);
    const __m512i whole = fold512(sum[0], factors512(P, over64), sum[1]);
    const __m256i half =
        fold256(_mm512_castsi512_si256(whole), factors256(P, over32), _mm512_extracti64x4_epi64(whole, 1));
    return fold128(_mm256_castsi256_si128(half), factors128(P, over16), _mm256_extracti128_si256(half, 1));
}

/* 16 bytes to their CRC-32C: the instruction does it. */
WITH_SSE42 static inline uint32_t crc32c_of16(__m128i bytes) {
    const uint64_t first = (uint64_t)_mm_cvtsi128_si64(bytes), second = (uint64_t)_mm_extract_epi64(bytes, 1);
    return (uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, first), second);
}

/* 16 bytes to their CRC-32, that is bytes * x^32 mod P, by multiplication. The first 8 bytes become 4 (x^95 moves them
 * by 96 bits onto the end), then 4 of the remaining 12; of the last 8 Barrett's division takes the multiple of P. */
WITH_PCLMUL static inline uint32_t crc32_of16(__m128i bytes) {
    const __m128i low32 = _mm_set_epi32(0, 0, 0, -1);
    const __m128i P = _mm_cvtsi64_si128((int64_t)ethernet.reflected << 1 | 1); /* all 33 bits */
    const __m128i twelve =
        _mm_xor_si128(_mm_clmulepi64_si128(bytes, factors128(&ethernet, over16), 0x10), _mm_srli_si128(bytes, 8));
    const __m128i eight =
        _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(twelve, low32), _mm_cvtsi64_si128((int64_t)ethernet.word), 0),
                      _mm_srli_si128(twelve, 4));
    const __m128i quotient =
        _mm_clmulepi64_si128(_mm_and_si128(eight, low32), _mm_cvtsi64_si128((int64_t)ethernet.quotient), 0);
    const __m128i multiple = _mm_clmulepi64_si128(_mm_and_si128(quotient, low32), P, 0);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(eight, multiple), 1);
}

WITH_PCLMUL static uint32_t crc32_pclmul(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    const uint8_t *p = data;
    const size_t blocks = length & -(size_t)128;
    if (blocks)
        seed = crc32_of16(fold_all128(&ethernet, seed, p, blocks));
    p += blocks;
    length -= blocks;
    if (length >= 16) {
        __m128i sum = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), _mm_cvtsi32_si128((int)seed));
        for (p += 16, length -= 16; length >= 16; p += 16, length -= 16)
            sum = fold128(sum, factors128(&ethernet, over16), _mm_loadu_si128((const __m128i *)p));
        seed = crc32_of16(sum);
    }
    if (length >= 8) { /* 8 zero bytes in front change nothing */
        seed = crc32_of16(_mm_set_epi64x((int64_t)(load64(p) ^ seed), 0));
        p += 8;
        length -= 8;
    }
    return bitwise(&ethernet, seed, p, length);
}

WITH_AVX2 static uint32_t crc32c_avx2(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const size_t blocks = length & -(size_t)256;
    if (blocks)
        seed = crc32c_of16(fold_all256(&castagnoli, seed, data, blocks, ahead));
    return length == blocks ? seed : crc32c_sse42(seed, (const uint8_t *)data + blocks, length - blocks, ahead);
}
WITH_AVX2 static uint32_t crc32_avx2(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const size_t blocks = length & -(size_t)256;
    if (blocks)
        seed = crc32_of16(fold_all256(&ethernet, seed, data, blocks, ahead));
    return crc32_pclmul(seed, (const uint8_t *)data + blocks, length - blocks, ahead);
}

WITH_AVX512 static uint32_t crc32c_avx512(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const size_t blocks = length & -(size_t)512;
    if (blocks)
        seed = crc32c_of16(fold_all512(&castagnoli, seed, data, blocks, ahead));
    return length == blocks ? seed : crc32c_sse42(seed, (const uint8_t *)data + blocks, length - blocks, ahead);
}
WITH_AVX512 static uint32_t crc32_avx512(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const size_t blocks = length & -(size_t)512;
    if (blocks)
        seed = crc32_of16(fold_all512(&ethernet, seed, data, blocks, ahead));
    return crc32_pclmul(seed, (const uint8_t *)data + blocks, length - blocks, ahead);
}

enum feature { sse42 = 1, pclmul = 2, avx2 = 4, avx512 = 8, vpclmul = 16 };

/* The registers that the operating system saves and restores: XCR0. */
__attribute__((target("xsave"))) static uint64_t saved_registers(void) { return _xgetbv(0); }

/* What both the processor and the operating system support. */
static unsigned features_here(void) {
    unsigned a, b, c, d, found = 0;
    const unsigned leaves = __get_cpuid_max(0, NULL);
    if (leaves < 1)
        return 0;
    __cpuid(1, a, b, c, d);
    if (c & bit_SSE4_2)
        found |= sse42;
    if (c & bit_PCLMUL)
        found |= pclmul;
    if (!(c & bit_OSXSAVE) || leaves < 7)
        return found;
    const uint64_t ymm = 0x06, zmm = 0xe6, saved = saved_registers();
    __cpuid_count(7, 0, a, b, c, d);
    if ((saved & ymm) == ymm) {
        if (b & bit_AVX2)
            found |= avx2;
        if (c & bit_VPCLMULQDQ)
            found |= vpclmul;
        if ((saved & zmm) == zmm && b & bit_AVX512F)
            found |= avx512;
    }
    return found;
}

#endif

/* ---- arm64 ------------------------------------------------------------------------------------------------------- */

#if defined(__aarch64__)

#define WITH_CRC __attribute__((target("crc")))
#define WITH_PMULL __attribute__((target("crc,aes")))

/* The CRC instructions know both polynomials. Each one waits for the one before. */
WITH_CRC static uint32_t crc32c_arm(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    const uint8_t *p = data;
    for (; length >= 8; p += 8, length -= 8)
        seed = __crc32cd(seed, load64(p));
    for (; length; length--)
        seed = __crc32cb(seed, *p++);
    return seed;
}
WITH_CRC static uint32_t crc32_arm(uint32_t seed, const void *data, size_t length, const void *ahead) {
    (void)ahead;
    const uint8_t *p = data;
    for (; length >= 8; p += 8, length -= 8)
        seed = __crc32d(seed, load64(p));
    for (; length; length--)
        seed = __crc32b(seed, *p++);
    return seed;
}

/* A 32-bit remainder times a 32-bit constant; the CRC instruction reduces the 64 bits. */
WITH_PMULL static inline uint64_t multiply(uint32_t crc, uint64_t factor) {
    return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(crc, factor)), 0);
}

/* Three streams side by side fill the time that one spends waiting. */
WITH_PMULL static uint32_t crc32c_arm_three(uint32_t seed, const void *data, size_t length, const void *ahead) {
    const uint8_t *p = data, *next = ahead;
    for (; length >= 3 * STREAM; p += 3 * STREAM, next += 3 * STREAM, length -= 3 * STREAM) {
        uint32_t first = seed, second = 0, third = 0;
        for (size_t i = 0; i < STREAM; i += 16) {
            fetch(next + 3 * i);
            for (size_t j = i; j < i + 16; j += 8) {
                first = __crc32cd(first, load64(p + j));
                second = __crc32cd(second, load64(p + STREAM + j));
                third = __crc32cd(third, load64(p + 2 * STREAM + j));
            }
        }
        seed = third ^ __crc32cd(0, multiply(first, castagnoli.two_streams) ^ multiply(second, castagnoli.stream));
    }
    return crc32c_arm(seed, p, length, next);
}

enum feature { crc = 1, pmull = 2 };

static unsigned features_here(void) {
    const unsigned long capabilities = getauxval(AT_HWCAP);
    return (capabilities & HWCAP_CRC32 ? crc : 0) | (capabilities & HWCAP_PMULL ? pmull : 0);
}

#endif

#if !defined(__x86_64__) && !defined(__aarch64__)
static unsigned features_here(void) { return 0; }
#endif

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

/* A way to compute one checksum or both, and what the processor must have for it. */
struct path {
    const char *name;
    unsigned needs;
    crc_function *crc32c, *crc32; /* NULL: this path does not know it */
};

/* Best first. The last one needs nothing and knows both. */
static const struct path paths[] = {
#if defined(__x86_64__)
    {"vpclmulqdq-avx512", sse42 | pclmul | avx2 | vpclmul | avx512, crc32c_avx512, crc32_avx512},
    {"vpclmulqdq-avx2", sse42 | pclmul | avx2 | vpclmul, crc32c_avx2, crc32_avx2},
    {"sse4.2-three-streams", sse42 | pclmul, crc32c_sse42_three, NULL},
    {"pclmulqdq", sse42 | pclmul, NULL, crc32_pclmul},
    {"sse4.2", sse42, crc32c_sse42, NULL},
#elif defined(__aarch64__)
    {"arm64-three-streams", crc | pmull, crc32c_arm_three, NULL},
    {"arm64", crc, crc32c_arm, crc32_arm},
#endif
    {"table", 0, crc32c_table, crc32_table},
};

/* The function in use. The first call finds out which, and puts it here; two threads may do so at once and agree. */
static crc_function crc32c_choose, crc32_choose;
static _Atomic(crc_function *) crc32c_in_use = crc32c_choose, crc32_in_use = crc32_choose;

static void choose(void) {
    const unsigned features = features_here();
    crc_function *crc32c = NULL, *crc32 = NULL;
    for (size_t i = 0; i < COUNT(paths); i++) {
        if ((paths[i].needs & features) != paths[i].needs)
            continue;
        if (!crc32c)
            crc32c = paths[i].crc32c;
        if (!crc32)
            crc32 = paths[i].crc32;
    }
    atomic_store_explicit(&crc32c_in_use, crc32c, memory_order_relaxed);
    atomic_store_explicit(&crc32_in_use, crc32, memory_order_relaxed);
}
static uint32_t crc32c_choose(uint32_t seed, const void *data, size_t length, const void *ahead) {
    choose();
    return crc32c_in_use(seed, data, length, ahead);
}
static uint32_t crc32_choose(uint32_t seed, const void *data, size_t length, const void *ahead) {
    choose();
    return crc32_in_use(seed, data, length, ahead);
}

/* ---- Checksums --------------------------------------------------------------------------------------------------- */

uint32_t pv_crc32c(uint32_t seed, const void *data, size_t length) {
    return atomic_load_explicit(&crc32c_in_use, memory_order_relaxed)(seed, data, length, data);
}

uint32_t pv_crc32(uint32_t seed, const void *data, size_t length) {
    return atomic_load_explicit(&crc32_in_use, memory_order_relaxed)(seed, data, length, data);
}

uint32_t pv_crc32c_copy(uint32_t seed, void *destination, const void *source, size_t length) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    while (length) { /* a page at a time: it is still in the nearest cache when it is read back */
        const size_t piece = length < pv_checksum_page_size ? length : pv_checksum_page_size;
        memcpy(to, from, piece);
        seed = pv_crc32c(seed, to, piece);
        to += piece;
        from += piece;
        length -= piece;
    }
    return seed;
}

/* ---- Pages ------------------------------------------------------------------------------------------------------- */

/* How many pages ahead of the one that is computed. Bytes are fetched two pages early: one is too late at times, more
 * gains nothing. Four pages early a single line is: that starts the walk through the page tables, which takes long when
 * the pages lie scattered. Scattered pages on an idle Zen 5: about 10 GB/s without, 20 with the first, 25 with both. */
enum { fetched_ahead = 2, translated_ahead = 4 };

/* The page to be fetched while page i is read, or page i itself at the end. Starts the walk for a later one. */
static inline const void *page_ahead(const struct pv_page_batch *b, size_t i) {
    const size_t left = b->count - i;
    if (left > translated_ahead)
        fetch(b->pages[i + translated_ahead]);
    return b->pages[left > fetched_ahead ? i + fetched_ahead : i];
}

/* Counts page i as finished. A jump out of the batch finds the result stored before the count, and the count stored
 * before any byte of the next page is touched: the compiler moves no reads or writes across the fences. */
static inline void finish_page(struct pv_page_batch *b, size_t i) {
    atomic_signal_fence(memory_order_seq_cst);
    b->done = i + 1;
    atomic_signal_fence(memory_order_seq_cst);
}

void pv_crc32c_pages(void *batch) {
    struct pv_page_batch *b = batch;
    for (size_t i = b->done; i < b->count; i++) {
        crc_function *const crc32c = atomic_load_explicit(&crc32c_in_use, memory_order_relaxed);
        b->checksums[i] = crc32c(0, b->pages[i], pv_checksum_page_size, page_ahead(b, i));
        finish_page(b, i);
    }
}

/* ---- For tests and benchmarks ------------------------------------------------------------------------------------ */

/* Never chosen: only there to be compared with. Kept apart, so that the linker can leave them out. */
static const struct path peers[] = {
    {"bytes", 0, crc32c_bytes, crc32_bytes},
};

static const struct path *path_at(size_t index) {
    return index < COUNT(paths) ? &paths[index] : &peers[index - COUNT(paths)];
}

size_t pv_crc_path_count(void) { return COUNT(paths) + COUNT(peers); }

const char *pv_crc_path_name(size_t path) { return path_at(path)->name; }

bool pv_crc_path_runs_here(size_t path) { return (path_at(path)->needs & ~features_here()) == 0; }

bool pv_crc_path_has_crc32c(size_t path) { return path_at(path)->crc32c; }

bool pv_crc_path_has_crc32(size_t path) { return path_at(path)->crc32; }

uint32_t pv_crc32c_by(size_t path, uint32_t seed, const void *data, size_t length) {
    return path_at(path)->crc32c(seed, data, length, data);
}

uint32_t pv_crc32_by(size_t path, uint32_t seed, const void *data, size_t length) {
    return path_at(path)->crc32(seed, data, length, data);
}

size_t pv_crc_path_in_use_crc32c(void) {
    if (crc32c_in_use == crc32c_choose)
        choose();
    size_t path = 0;
    while (path_at(path)->crc32c != crc32c_in_use)
        path++;
    return path;
}

size_t pv_crc_path_in_use_crc32(void) {
    if (crc32_in_use == crc32_choose)
        choose();
    size_t path = 0;
    while (path_at(path)->crc32 != crc32_in_use)
        path++;
    return path;
}

bool pv_crc_force_path(size_t path) {
    if (!pv_crc_path_runs_here(path))
        return false;
    choose(); /* so that a first use does not choose later */
    if (path_at(path)->crc32c)
        crc32c_in_use = path_at(path)->crc32c;
    if (path_at(path)->crc32)
        crc32_in_use = path_at(path)->crc32;
    return true;
}

/* 64 bytes: one load with AVX-512, else as many as it takes. */
typedef uint32_t line __attribute__((vector_size(64), aligned(1), may_alias));

__attribute__((always_inline)) static inline uint32_t xor_of_words(const void *page, const void *ahead) {
    const line *from = page, *next = ahead;
    line sum[2] = {{0}, {0}};
    for (size_t i = 0; i < pv_checksum_page_size / sizeof(line); i += 2)
        for (size_t j = 0; j < 2; j++) {
            fetch((const uint8_t *)(next + i + j));
            sum[j] ^= from[i + j];
        }
    sum[0] ^= sum[1];
    uint32_t all = 0;
    for (size_t i = 0; i < sizeof(line) / sizeof all; i++)
        all ^= sum[0][i];
    return all;
}

typedef uint32_t read_function(const void *page, const void *ahead);
static uint32_t read_plain(const void *page, const void *ahead) { return xor_of_words(page, ahead); }
#if defined(__x86_64__)
WITH_AVX512 static uint32_t read_avx512(const void *page, const void *ahead) { return xor_of_words(page, ahead); }
#endif

static read_function read_choose;
static _Atomic(read_function *) read_in_use = read_choose;
static uint32_t read_choose(const void *page, const void *ahead) {
    read_function *chosen = read_plain;
#if defined(__x86_64__)
    if (features_here() & avx512)
        chosen = read_avx512;
#endif
    read_in_use = chosen;
    return chosen(page, ahead);
}

void pv_read_pages(void *batch) {
    struct pv_page_batch *b = batch;
    for (size_t i = b->done; i < b->count; i++) {
        b->checksums[i] = atomic_load_explicit(&read_in_use, memory_order_relaxed)(b->pages[i], page_ahead(b, i));
        finish_page(b, i);
    }
}

static const struct polynomial *const polynomials[] = {&castagnoli, &ethernet};
enum { distances = COUNT(castagnoli.over), constants = 2 * distances + 4 };

size_t pv_crc_constant_count(void) { return COUNT(polynomials) * constants; }

struct pv_crc_constant pv_crc_constant_at(size_t index) {
    const struct polynomial *P = polynomials[index / constants];
    const unsigned i = index % constants;
    struct pv_crc_constant result = {.polynomial = P->reflected};
    if (i < 2 * distances) {
        const unsigned bits = 8 * 16 << i / 2;
        result.exponent = i % 2 ? bits - 33 : bits + 31;
        result.value = i % 2 ? P->over[i / 2].second : P->over[i / 2].first;
        return result;
    }
    switch (i - 2 * distances) {
    case 0: result.exponent = 8 * STREAM - 33, result.value = P->stream; break;
    case 1: result.exponent = 16 * STREAM - 33, result.value = P->two_streams; break;
    case 2: result.exponent = 63, result.value = P->word; break;
    default: result.exponent = 64, result.quotient = true, result.value = P->quotient;
    }
    return result;
}

/* Sums of multiples of pages over GF(2^8), by whatever the processor does best.
 *
 *   Factors                         a number in the forms that kernels multiply by
 *   The walk                        the order in which sources and destinations are visited, the same for all kernels
 *   Plain, 128 bits, x86-64         one kernel for each kind of instruction
 *   Paths                           the list of kernels, and the choice among them at first use
 *   For tests and benchmarks        left out by the linker where nobody asks
 */
#include "parity.h"
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define INLINE __attribute__((always_inline)) static inline

/* ---- Factors ----------------------------------------------------------------------------------------------------- */

void pv_gf_make_factor(struct pv_gf_factor *factor, uint8_t number) {
    uint8_t times[8]; /* number * x^i */
    for (unsigned i = 0, product = number; i < 8; i++) {
        times[i] = (uint8_t)product;
        product = product << 1 ^ (product >> 7) * 0x11d;
    }
    factor->low[0] = factor->high[0] = 0;
    for (unsigned bit = 0; bit < 4; bit++)
        for (unsigned n = 0; n < 1u << bit; n++) {
            factor->low[n | 1u << bit] = factor->low[n] ^ times[bit];
            factor->high[n | 1u << bit] = factor->high[n] ^ times[bit + 4];
        }
    /* Bit i of the product is the parity of the byte in row i: bit j of that row says whether bit j of the byte
     * counts. The instruction wants row 0 in the highest byte. */
    factor->matrix = 0;
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 8; j++)
            factor->matrix |= (uint64_t)(times[j] >> i & 1) << (8 * (7 - i) + j);
}

/* ---- The walk ---------------------------------------------------------------------------------------------------- */

/* The sources of a group lie far from each other, each in a page of its own, and there may be more than two hundred.
 * Visited side by side they are more streams than any processor fetches ahead, so they are taken in batches: the sums
 * of a stretch of all destinations stay in registers over one batch, and go through the nearest caches between batches.
 * Meanwhile the next batch is fetched, line by line. */
enum { batch = 16, line = 64 };
enum { for_reading = 0, into_second_cache = 2 }; /* the first is too small for two batches */

INLINE const uint8_t *source_at(const struct pv_gf_combination *c, size_t source, size_t offset) {
    return (const uint8_t *)c->sources[source] + offset;
}
INLINE uint8_t *destination_at(const struct pv_gf_combination *c, size_t destination, size_t offset) {
    return (uint8_t *)c->destinations + destination * c->destination_distance + offset;
}
INLINE const struct pv_gf_factor *factors_of(const struct pv_gf_combination *c, size_t source, size_t destination) {
    return c->factors + source * c->destination_count + destination;
}

/* One line of `width` destinations: the sum over a batch, on top of what is there unless `first`. */
typedef void line_function(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination,
                           size_t offset, bool first);

/* As many destinations at a time as the kernel can: it need not have a function for more than one. The functions are
 * constants, so no pointer is left. */
INLINE void walk(const struct pv_gf_combination *c, line_function *eight, line_function *four, line_function *two,
                 line_function *one) {
    for (size_t i = 0; c->source_count == 0 && !c->adds && i < c->destination_count; i++)
        memset(destination_at(c, i, 0), 0, pv_parity_page_size);
    for (size_t source = 0; source < c->source_count; source += batch) {
        const size_t left = c->source_count - source, count = left < batch ? left : batch;
        const void *const *ahead = c->sources + source + count;
        const size_t fetched = left - count < batch ? left - count : batch;
        const bool first = source == 0 && !c->adds;
        for (size_t offset = 0; offset < pv_parity_page_size; offset += line) {
            for (size_t i = 0; i < fetched; i++)
                __builtin_prefetch((const uint8_t *)ahead[i] + offset, for_reading, into_second_cache);
            size_t destination = 0;
            for (; eight && c->destination_count - destination >= 8; destination += 8)
                eight(c, source, count, destination, offset, first);
            for (; four && c->destination_count - destination >= 4; destination += 4)
                four(c, source, count, destination, offset, first);
            for (; two && c->destination_count - destination >= 2; destination += 2)
                two(c, source, count, destination, offset, first);
            for (; destination < c->destination_count; destination++)
                one(c, source, count, destination, offset, first);
        }
    }
}

/* ---- Plain ------------------------------------------------------------------------------------------------------- */

/* Two look-ups a byte. */
static void one_plain(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination, size_t offset,
                      bool first) {
    uint8_t *to = destination_at(c, destination, offset);
    if (first)
        memset(to, 0, line);
    for (size_t s = source; s < source + count; s++) {
        const struct pv_gf_factor *f = factors_of(c, s, destination);
        const uint8_t *from = source_at(c, s, offset);
        for (size_t i = 0; i < line; i++)
            to[i] ^= f->low[from[i] & 15] ^ f->high[from[i] >> 4];
    }
}
static void combine_plain(const struct pv_gf_combination *c) { walk(c, NULL, NULL, NULL, one_plain); }

/* ---- 128 bits ---------------------------------------------------------------------------------------------------- */

/* PSHUFB and TBL look 16 half bytes up in a table of 16 at once. Four vectors a line. */
#if defined(__x86_64__)
#define WITH_128 __attribute__((target("ssse3")))
typedef __m128i vector;
WITH_128 INLINE vector load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
WITH_128 INLINE void store(uint8_t *p, vector v) { _mm_storeu_si128((__m128i *)p, v); }
WITH_128 INLINE vector look_up(vector table, vector halves) { return _mm_shuffle_epi8(table, halves); }
WITH_128 INLINE vector low_halves(vector v) { return _mm_and_si128(v, _mm_set1_epi8(15)); }
WITH_128 INLINE vector high_halves(vector v) { return low_halves(_mm_srli_epi64(v, 4)); }
#elif defined(__aarch64__)
#define WITH_128
typedef uint8x16_t vector;
INLINE vector load(const uint8_t *p) { return vld1q_u8(p); }
INLINE void store(uint8_t *p, vector v) { vst1q_u8(p, v); }
INLINE vector look_up(vector table, vector halves) { return vqtbl1q_u8(table, halves); }
INLINE vector low_halves(vector v) { return vandq_u8(v, vdupq_n_u8(15)); }
INLINE vector high_halves(vector v) { return vshrq_n_u8(v, 4); }
#endif

#if defined(__x86_64__) || defined(__aarch64__)
WITH_128 static void one_128(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination,
                             size_t offset, bool first) {
    uint8_t *to = destination_at(c, destination, offset);
    vector sum[4];
    for (size_t v = 0; v < 4; v++)
        sum[v] = first ? (vector){0} : load(to + 16 * v);
    for (size_t s = source; s < source + count; s++) {
        const struct pv_gf_factor *f = factors_of(c, s, destination);
        const vector low = load(f->low), high = load(f->high);
        for (size_t v = 0; v < 4; v++) {
            const vector bytes = load(source_at(c, s, offset) + 16 * v);
            sum[v] ^= look_up(low, low_halves(bytes)) ^ look_up(high, high_halves(bytes));
        }
    }
    for (size_t v = 0; v < 4; v++)
        store(to + 16 * v, sum[v]);
}
static void combine_128(const struct pv_gf_combination *c) { walk(c, NULL, NULL, NULL, one_128); }
#endif

/* ---- x86-64 ------------------------------------------------------------------------------------------------------ */

#if defined(__x86_64__)

#define WITH_AVX2 __attribute__((target("avx2")))
#define WITH_GFNI __attribute__((target("avx2,gfni")))
#define WITH_GFNI_AVX512 __attribute__((target("avx2,avx512f,avx512bw,gfni")))

/* PSHUFB looks 32 half bytes up in a table of 16 at once. Two vectors a line. */
WITH_AVX2 INLINE void line_avx2(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination,
                                size_t offset, bool first, size_t width) {
    const __m256i half = _mm256_set1_epi8(15);
    __m256i sum[4][2];
    for (size_t d = 0; d < width; d++)
        for (size_t v = 0; v < 2; v++) {
            const __m256i *there = (const __m256i *)destination_at(c, destination + d, offset) + v;
            sum[d][v] = first ? _mm256_setzero_si256() : _mm256_loadu_si256(there);
        }
    for (size_t s = source; s < source + count; s++) {
        const __m256i *from = (const __m256i *)source_at(c, s, offset);
        const struct pv_gf_factor *f = factors_of(c, s, destination);
        __m256i low[2], high[2];
        for (size_t v = 0; v < 2; v++) {
            const __m256i bytes = _mm256_loadu_si256(from + v);
            low[v] = _mm256_and_si256(bytes, half);
            high[v] = _mm256_and_si256(_mm256_srli_epi64(bytes, 4), half);
        }
        for (size_t d = 0; d < width; d++) {
            const __m256i of_low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)f[d].low));
            const __m256i of_high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)f[d].high));
            for (size_t v = 0; v < 2; v++)
                sum[d][v] = _mm256_xor_si256(sum[d][v], _mm256_xor_si256(_mm256_shuffle_epi8(of_low, low[v]),
                                                                         _mm256_shuffle_epi8(of_high, high[v])));
        }
    }
    for (size_t d = 0; d < width; d++)
        for (size_t v = 0; v < 2; v++)
            _mm256_storeu_si256((__m256i *)destination_at(c, destination + d, offset) + v, sum[d][v]);
}

/* GF2P8AFFINEQB multiplies 32 bytes by a matrix of bits. (GF2P8MULB multiplies modulo another polynomial.) */
WITH_GFNI INLINE void line_gfni(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination,
                                size_t offset, bool first, size_t width) {
    __m256i sum[4][2];
    for (size_t d = 0; d < width; d++)
        for (size_t v = 0; v < 2; v++) {
            const __m256i *there = (const __m256i *)destination_at(c, destination + d, offset) + v;
            sum[d][v] = first ? _mm256_setzero_si256() : _mm256_loadu_si256(there);
        }
    for (size_t s = source; s < source + count; s++) {
        const __m256i *from = (const __m256i *)source_at(c, s, offset);
        const __m256i bytes[2] = {_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
        const struct pv_gf_factor *f = factors_of(c, s, destination);
        for (size_t d = 0; d < width; d++) {
            const __m256i matrix = _mm256_set1_epi64x((int64_t)f[d].matrix);
            for (size_t v = 0; v < 2; v++)
                sum[d][v] = _mm256_xor_si256(sum[d][v], _mm256_gf2p8affine_epi64_epi8(bytes[v], matrix, 0));
        }
    }
    for (size_t d = 0; d < width; d++)
        for (size_t v = 0; v < 2; v++)
            _mm256_storeu_si256((__m256i *)destination_at(c, destination + d, offset) + v, sum[d][v]);
}

/* The same in 512 bits: one vector a line, and twice the registers. */
WITH_GFNI_AVX512 INLINE void line_gfni_avx512(const struct pv_gf_combination *c, size_t source, size_t count,
                                              size_t destination, size_t offset, bool first, size_t width) {
    __m512i sum[8];
    for (size_t d = 0; d < width; d++)
        sum[d] = first ? _mm512_setzero_si512() : _mm512_loadu_si512(destination_at(c, destination + d, offset));
    for (size_t s = source; s < source + count; s++) {
        const __m512i bytes = _mm512_loadu_si512(source_at(c, s, offset));
        const struct pv_gf_factor *f = factors_of(c, s, destination);
        for (size_t d = 0; d < width; d++) {
            const __m512i matrix = _mm512_set1_epi64((int64_t)f[d].matrix);
            sum[d] = _mm512_xor_si512(sum[d], _mm512_gf2p8affine_epi64_epi8(bytes, matrix, 0));
        }
    }
    for (size_t d = 0; d < width; d++)
        _mm512_storeu_si512(destination_at(c, destination + d, offset), sum[d]);
}

/* A kernel for one number of destinations, unrolled, its sums in registers. */
#define LINES(name, target, kernel, width)                                                                             \
    target static void name(const struct pv_gf_combination *c, size_t source, size_t count, size_t destination,        \
                            size_t offset, bool first) {                                                               \
        kernel(c, source, count, destination, offset, first, width);                                                   \
    }
LINES(four_avx2, WITH_AVX2, line_avx2, 4)
LINES(two_avx2, WITH_AVX2, line_avx2, 2)
LINES(one_avx2, WITH_AVX2, line_avx2, 1)
LINES(four_gfni, WITH_GFNI, line_gfni, 4)
LINES(two_gfni, WITH_GFNI, line_gfni, 2)
LINES(one_gfni, WITH_GFNI, line_gfni, 1)
LINES(eight_gfni_avx512, WITH_GFNI_AVX512, line_gfni_avx512, 8)
LINES(four_gfni_avx512, WITH_GFNI_AVX512, line_gfni_avx512, 4)
LINES(two_gfni_avx512, WITH_GFNI_AVX512, line_gfni_avx512, 2)
LINES(one_gfni_avx512, WITH_GFNI_AVX512, line_gfni_avx512, 1)

static void combine_avx2(const struct pv_gf_combination *c) { walk(c, NULL, four_avx2, two_avx2, one_avx2); }
static void combine_gfni(const struct pv_gf_combination *c) { walk(c, NULL, four_gfni, two_gfni, one_gfni); }
static void combine_gfni_avx512(const struct pv_gf_combination *c) {
    walk(c, eight_gfni_avx512, four_gfni_avx512, two_gfni_avx512, one_gfni_avx512);
}

enum feature { ssse3 = 1, avx2 = 2, gfni = 4, avx512 = 8 };

/* The registers that the operating system saves and restores: XCR0. */
__attribute__((target("xsave"))) static uint64_t saved_registers(void) { return _xgetbv(0); }

/* What both the processor and the operating system support. */
static unsigned features_here(void) {
    unsigned a, b, c, d, found = 0;
    const unsigned leaves = __get_cpuid_max(0, NULL);
    if (leaves < 1)
        return 0;
    __cpuid(1, a, b, c, d);
    if (c & bit_SSSE3)
        found |= ssse3;
    if (!(c & bit_OSXSAVE) || leaves < 7)
        return found;
    const uint64_t ymm = 0x06, zmm = 0xe6, saved = saved_registers();
    __cpuid_count(7, 0, a, b, c, d);
    if ((saved & ymm) != ymm || !(b & bit_AVX2))
        return found;
    found |= avx2;
    if (c & bit_GFNI)
        found |= gfni;
    if ((saved & zmm) == zmm && b & bit_AVX512F && b & bit_AVX512BW)
        found |= avx512;
    return found;
}

#else
static unsigned features_here(void) { return 0; }
#endif

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

typedef void combine_function(const struct pv_gf_combination *c);

/* A way to combine, and what the processor must have for it. Best first; the last one needs nothing. */
static const struct path {
    const char *name;
    unsigned needs;
    combine_function *combine;
} paths[] = {
#if defined(__x86_64__)
    {"gfni-avx512", avx2 | gfni | avx512, combine_gfni_avx512},
    {"gfni", avx2 | gfni, combine_gfni},
    {"avx2", avx2, combine_avx2},
    {"ssse3", ssse3, combine_128},
#elif defined(__aarch64__)
    {"neon", 0, combine_128},
#endif
    {"plain", 0, combine_plain},
};

static size_t best_path(void) {
    const unsigned features = features_here();
    size_t path = 0;
    while (paths[path].needs & ~features)
        path++;
    return path;
}

/* The function in use. The first call finds out which, and puts it here; two threads may do so at once and agree. */
static combine_function choose;
static _Atomic(combine_function *) in_use = choose;
static void choose(const struct pv_gf_combination *c) {
    combine_function *const best = paths[best_path()].combine;
    atomic_store_explicit(&in_use, best, memory_order_relaxed);
    best(c);
}

void pv_gf_combine(void *combination) { atomic_load_explicit(&in_use, memory_order_relaxed)(combination); }

/* ---- For tests and benchmarks ------------------------------------------------------------------------------------ */

size_t pv_gf_path_count(void) { return COUNT(paths); }

const char *pv_gf_path_name(size_t path) { return paths[path].name; }

bool pv_gf_path_runs_here(size_t path) { return (paths[path].needs & ~features_here()) == 0; }

size_t pv_gf_path_in_use(void) { return best_path(); }

void pv_gf_combine_by(size_t path, struct pv_gf_combination *combination) { paths[path].combine(combination); }

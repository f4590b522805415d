/* How fast parity is made, beside Debian's ISA-L (libisal-dev) and beside merely reading the same memory. `make bench`, or
 * Benchmarks/parity.
 *
 * The data lie as those of a chain do: a group's pages are as many pages apart as there are groups. GB are 10^9 bytes
 * of data, parity not counted, and seconds are the processor's, so that other programs disturb less. The best of the
 * rounds counts; the rounds of all take turns. */
#define _GNU_SOURCE
#include "parity.h"
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { page = pv_parity_page_size, most_rows = 16, most_columns = 256 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t columns, rows, groups;
static uint8_t *data, *parity, *other;
static struct pv_gf_factor *factors;
static uint8_t *isal_tables;

static void sources_of(size_t group, void *sources[]) {
    for (size_t i = 0; i < columns; i++)
        sources[i] = data + (i * groups + group) * page;
}

static void by_path(size_t path) {
    for (size_t group = 0; group < groups; group++) {
        void *sources[most_columns];
        sources_of(group, sources);
        struct pv_gf_combination c = {(const void *const *)sources, columns, parity + group * rows * page, rows,
        page, false, factors};
        pv_gf_combine_by(path, &c);
    }
}
static void by_isal(size_t unused) {
    (void)unused;
    for (size_t group = 0; group < groups; group++) {
        void *sources[most_columns];
        unsigned char *destinations[most_rows];
        sources_of(group, sources);
        for (size_t row = 0; row < rows; row++)
            destinations[row] = other + (group * rows + row) * page;
        ec_encode_data(page, (int)columns, (int)rows, isal_tables, (unsigned char **)sources, destinations);
    }
}
static volatile uint64_t sink;
static void by_reading(size_t unused) {
    (void)unused;
    const uint64_t *p = (const uint64_t *)data;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i < groups * columns * page / 8; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] ^= p[i + j];
    sink = sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

static double timed(void (*function)(size_t), size_t argument) {
    const double start = now();
    function(argument);
    return now() - start;
}

static void measure(size_t k, size_t m, size_t pages, int rounds) {
    columns = k, rows = m, groups = pages / k;
    uint8_t matrix[(most_columns + most_rows) * most_columns];
    gf_gen_cauchy1_matrix(matrix, (int)(k + m), (int)k);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < m; j++)
            pv_gf_make_factor(&factors[i * m + j], matrix[(k + j) * k + i]);
    ec_init_tables((int)k, (int)m, matrix + k * k, isal_tables);
    double best[8];
    const size_t paths = pv_gf_path_count();
    for (size_t i = 0; i < 8; i++)
        best[i] = 1e9;
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < paths + 2; i++) {
            if (i < paths && !pv_gf_path_runs_here(i))
                continue;
            const double time = i < paths ? timed(by_path, i) : i == paths ? timed(by_isal, 0) : timed(by_reading, 0);
            if (time < best[i])
                best[i] = time;
        }
    by_path(pv_gf_path_in_use());
    const char *agree = memcmp(parity, other, groups * rows * page) ? "WRONG" : "equal";
    const double gigabytes = 1e-9 * (double)(groups * k * page);
    printf("k %3zu m %2zu:", k, m);
    for (size_t i = 0; i < paths; i++)
        if (best[i] < 1e9)
            printf("  %s %.2f", pv_gf_path_name(i), gigabytes / best[i]);
    printf("  ISA-L %.2f  reading %.2f GB/s  %.2f of ISA-L, %s\n", gigabytes / best[paths],
           gigabytes / best[paths + 1], best[paths] / best[pv_gf_path_in_use()], agree);
}

int main(int count, char **arguments) {
    const size_t bytes = (count > 1 ? strtoull(arguments[1], NULL, 10) : 1024) << 20;
    const int rounds = count > 2 ? atoi(arguments[2]) : 5;
    const size_t room = bytes + (bytes / 2) + (1 << 20);
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    parity = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    factors = malloc(sizeof *factors * most_columns * most_rows);
    isal_tables = malloc(32 * most_columns * most_rows);
    if (data == MAP_FAILED || parity == MAP_FAILED || other == MAP_FAILED || !factors || !isal_tables || !bytes)
        return 1;
    madvise(data, bytes, MADV_NOHUGEPAGE);
    uint64_t state = 88172645463325252;
    for (size_t i = 0; i < bytes / 8; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        ((uint64_t *)data)[i] = state;
    }
    measure(160, 8, bytes / page, rounds);
    measure(16, 8, bytes / page, rounds);
    measure(240, 12, bytes / page, rounds);
    measure(252, 4, bytes / page, rounds);
    measure(160, 1, bytes / page, rounds);
    measure(80, 4, bytes / page, rounds);
    return 0;
}

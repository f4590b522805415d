/* CRC-32C and CRC-32 the way the kernel's crc32c() and crc32() compute them: the seed goes in as it is and the
 * remainder comes out as it is, no inversion before or after. With seed 0 a page of zeros has checksum 0.
 *
 * All of it may be called from several threads at once. Nothing here allocates, locks or calls the system. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { pv_checksum_page_size = 4096 };

/* CRC-32C, reflected polynomial 0x82F63B78: the checksum of pages. "123456789" with seed 0 gives 58e3fa20. */
uint32_t pv_crc32c(uint32_t seed, const void *data, size_t length);

/* CRC-32, reflected polynomial 0xEDB88320: the checksum of links. "123456789" with seed 0 gives 2dfd2d88. */
uint32_t pv_crc32(uint32_t seed, const void *data, size_t length);

/* Copies like memcpy and returns the CRC-32C of what has arrived at the destination. */
uint32_t pv_crc32c_copy(uint32_t seed, void *destination, const void *source, size_t length);

/* Pages to be checksummed in one go, wherever each of them lies. */
struct pv_page_batch {
    const void *const *pages; /* count addresses of 4096 bytes each */
    uint32_t *checksums;      /* room for count */
    size_t count;
    volatile size_t done; /* how many are finished: set it to 0 before the first call */
};

/* Each page's CRC-32C with seed 0, from page number `done` on. Takes a struct pv_page_batch, as void * because it runs
 * under a guard against SIGBUS. When the guard jumps out, `done` is the number of the page that could not be read and
 * everything before it is finished; step over it (done += 1) and call again for the rest. */
void pv_crc32c_pages(void *batch);

/* Reads the same bytes in the same order and merely XORs their 32-bit words together. For benchmarks: as fast as memory
 * can be read. */
void pv_read_pages(void *batch);

/* The ways to compute, for tests and benchmarks. Path 0 is the one that is chosen first where the processor has it. */
size_t pv_crc_path_count(void);
const char *pv_crc_path_name(size_t path);
bool pv_crc_path_runs_here(size_t path);
bool pv_crc_path_has_crc32c(size_t path);
bool pv_crc_path_has_crc32(size_t path);
size_t pv_crc_path_in_use_crc32c(void);
size_t pv_crc_path_in_use_crc32(void);

/* Computes by one path, which must run here and have the checksum. */
uint32_t pv_crc32c_by(size_t path, uint32_t seed, const void *data, size_t length);
uint32_t pv_crc32_by(size_t path, uint32_t seed, const void *data, size_t length);

/* Makes the whole process use a path for every checksum that the path has; false when it does not run here. */
bool pv_crc_force_path(size_t path);

/* A constant of the folding kernels, for the test that derives them all from the polynomial. Bits are reflected. */
struct pv_crc_constant {
    uint32_t polynomial; /* reflected, without its x^32 */
    uint32_t exponent;
    bool quotient;  /* false: value = x^exponent mod P, 32 bits; true: value = floor(x^exponent / P), 33 bits */
    uint64_t value;
};
size_t pv_crc_constant_count(void);
struct pv_crc_constant pv_crc_constant_at(size_t index);

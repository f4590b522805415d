/* Sums of multiples of pages over GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d): what Reed-Solomon
 * codes are made and unmade with. Addition is XOR.
 *
 * All of it may be called from several threads at once. Nothing here allocates, locks or calls the system. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { pv_parity_page_size = 4096 };

/* A number of the field, in the forms in which the kernels multiply by it. */
struct pv_gf_factor {
    uint8_t low[16], high[16]; /* its product with each n and with each 16 n, 0 <= n < 16 */
    uint64_t matrix;           /* the product as an 8x8 matrix of bits, as GF2P8AFFINEQB takes it */
};

void pv_gf_make_factor(struct pv_gf_factor *factor, uint8_t number);

/* Pages to be combined in one go, wherever each source lies. */
struct pv_gf_combination {
    const void *const *sources;         /* source_count addresses of 4096 bytes each */
    size_t source_count;                /* 0: the sums are empty */
    void *destinations;                 /* the first of destination_count pages; no source lies in one */
    size_t destination_count;
    size_t destination_distance;        /* bytes from one of them to the next */
    bool adds;                          /* whether what they hold is the start of the sums; otherwise it is lost */
    const struct pv_gf_factor *factors; /* [source][destination] */
};

/* Each destination becomes the sum of all sources, each times its factor for that destination. Takes a struct
 * pv_gf_combination, as void * because it runs under a guard against SIGBUS. When the guard jumps out, the destinations
 * hold nothing of use. */
void pv_gf_combine(void *combination);

/* The ways to compute, for tests and benchmarks. Path 0 is the one that is chosen first where the processor has it. */
size_t pv_gf_path_count(void);
const char *pv_gf_path_name(size_t path);
bool pv_gf_path_runs_here(size_t path);
size_t pv_gf_path_in_use(void);

/* Computes by one path, which must run here. */
void pv_gf_combine_by(size_t path, struct pv_gf_combination *combination);

#pragma once
#include <stddef.h>
#include <stdint.h>
uint32_t pv_crc32c(uint32_t seed, const void *data, size_t length);
uint32_t pv_crc32(uint32_t seed, const void *data, size_t length);
struct pv_page_batch { const void *const *pages; uint32_t *checksums; size_t count; volatile size_t done; };
void pv_crc32c_pages(void *batch);

#include "checksum.h"
static uint32_t bitwise(uint32_t polynomial, uint32_t crc, const uint8_t *p, size_t n) {
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    }
    return crc;
}
uint32_t pv_crc32c(uint32_t seed, const void *data, size_t length) { return bitwise(0x82F63B78u, seed, data, length); }
uint32_t pv_crc32(uint32_t seed, const void *data, size_t length) { return bitwise(0xEDB88320u, seed, data, length); }
void pv_crc32c_pages(void *context) {
    struct pv_page_batch *b = context;
    for (b->done = 0; b->done < b->count; b->done++) b->checksums[b->done] = pv_crc32c(0, b->pages[b->done], 4096);
}

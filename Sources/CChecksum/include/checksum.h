#pragma once
#include <stddef.h>
#include <stdint.h>
uint32_t pv_crc32c(uint32_t seed, const void *data, size_t length);
uint32_t pv_crc32(uint32_t seed, const void *data, size_t length);

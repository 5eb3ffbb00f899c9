/* crc32: the checksum of IEEE 802.3 over a block of bytes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const uint8_t *bytes, size_t length);

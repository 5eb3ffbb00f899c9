/* codec: a record as bytes and back: little-endian, a version, a length, a CRC-32. Pure. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct record;

enum { CODEC_BYTES_MAX = 1280 };

/* Writes the record to `buf` and returns its length, at most CODEC_BYTES_MAX. */
size_t codec_encode(const struct record *record, uint8_t buf[CODEC_BYTES_MAX]);
/* Length of the record at the start of `bytes`, by its own header; 0 if more than available. */
size_t codec_length(const uint8_t *bytes, size_t available);
/* 0, or -ERR_IO for anything that codec_encode cannot have written. On success every enum is in
 * range and every string is terminated. */
int codec_decode(const uint8_t *bytes, size_t length, struct record *ret_record);

/* token: comparing secrets in constant time, so that timing does not show how much of a guess was
 * right. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks at all bytes, whatever they are. */
bool token_bytes_equal(const void *a, const void *b, size_t size);
/* For tables of random tokens. Not a digest: only for bytes that nobody outside chose. */
uint64_t token_bytes_hash(const void *bytes, size_t size);

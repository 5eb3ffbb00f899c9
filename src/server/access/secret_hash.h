/* secret_hash: what is kept of a secret of 256 random bits: its SHA-256, as bytes and as hex. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECRET_HASH_BYTES = 32 };

void secret_hash(const char *secret, size_t length, uint8_t ret_hash[SECRET_HASH_BYTES]);
/* False: not 64 hex digits in lower case. */
bool secret_hash_from_hex(const char *hex, uint8_t ret_hash[SECRET_HASH_BYTES]);

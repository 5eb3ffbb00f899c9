/* secret_hash: see secret_hash.h. No salt and no stretching: nobody guesses 256 random bits. */
#include "server/access/secret_hash.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

void secret_hash(const char *secret, size_t length, uint8_t ret_hash[SECRET_HASH_BYTES])
{
	SHA256((const unsigned char *)secret, length, ret_hash);
}

bool secret_hash_from_hex(const char *hex, uint8_t ret_hash[SECRET_HASH_BYTES])
{
	if (strlen(hex) != 2 * (size_t)SECRET_HASH_BYTES ||
	    strspn(hex, "0123456789abcdef") != 2 * (size_t)SECRET_HASH_BYTES)
		return false;

	for (int i = 0; i < SECRET_HASH_BYTES; i++) {
		const char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		ret_hash[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return true;
}

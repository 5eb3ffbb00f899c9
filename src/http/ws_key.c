/* ws_key: Base64 of the SHA-1 of key and GUID (RFC 6455 4.2.2). */
#include "http/ws_key.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>

bool ws_accept_key(const char *key, char ret_accept[29])
{
	char text[64];
	unsigned char digest[SHA_DIGEST_LENGTH];
	int length = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	if (length < 0 || (size_t)length >= sizeof(text) ||
	    !SHA1((const unsigned char *)text, (size_t)length, digest))
		return false;
	return EVP_EncodeBlock((unsigned char *)ret_accept, digest, sizeof(digest)) == 28;
}

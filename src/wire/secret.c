/* secret: the one constant-time compare. A file of its own because <openssl/types.h> takes a name
 * that base/err.h needs. Called by access.c and the server. */
#include "wire/secret.h"

#include <openssl/crypto.h>
#include <string.h>

bool secret_equal(const char *secret, const char *shown, size_t shown_length)
{
	size_t length = strlen(secret);
	return length && length == shown_length && CRYPTO_memcmp(secret, shown, length) == 0;
}

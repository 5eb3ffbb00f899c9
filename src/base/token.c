/* token: constant-time comparison. No randomness is drawn here and nothing is printed. Called by
 * the core, which finds leases and sessions by their tokens, and by the edges. */
#include "base/token.h"

#include <string.h>

#include "base/contracts.h"
#include "base/hash.h"

bool token_bytes_equal(const void *a, const void *b, size_t size)
{
	const uint8_t *left = a, *right = b;
	volatile uint64_t differ = 0;
	uint64_t x, y;

	PRE(size > 0);

	for (; size >= sizeof(x); left += sizeof(x), right += sizeof(x), size -= sizeof(x)) {
		memcpy(&x, left, sizeof(x));
		memcpy(&y, right, sizeof(y));
		differ |= x ^ y;
	}
	for (size_t i = 0; i < size; i++)
		differ |= (uint8_t)(left[i] ^ right[i]);

	return differ == 0;
}

/* Those that are kept are random, whatever is shown to be looked up. */
uint64_t token_bytes_hash(const void *bytes, size_t size)
{
	uint64_t first;

	PRE(size >= sizeof(first));
	memcpy(&first, bytes, sizeof(first));
	return hash_u64(first);
}

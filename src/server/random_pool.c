/* random_pool: see random_pool.h. */
#include "server/random_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

void random_fill(struct random_pool *pool, void *bytes, size_t length)
{
	assert(length <= sizeof(pool->bytes));
	if (pool->left < length) {
		size_t got = 0;
		while (got < sizeof(pool->bytes)) {
			ssize_t n = getrandom(pool->bytes + got, sizeof(pool->bytes) - got, 0);
			if (n < 0 && errno != EINTR)
				abort(); /* no token without random bits */
			got += n > 0 ? (size_t)n : 0;
		}
		pool->left = sizeof(pool->bytes);
	}
	pool->left -= length;
	memcpy(bytes, pool->bytes + pool->left, length);
	explicit_bzero(pool->bytes + pool->left, length);
}

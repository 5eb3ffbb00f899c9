/* random_pool: random bits of the kernel, drawn in blocks. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct random_pool {
	size_t left;
	uint8_t bytes[1024];
};

/* At most a block. Aborts when there are none: no token is made without them. */
void random_fill(struct random_pool *pool, void *bytes, size_t length);

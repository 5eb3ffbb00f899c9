/* refusal: the limits that a request runs into, in words. */
#pragma once
#include <stddef.h>

struct core;
struct need;

/* Why the GPUs here can never serve this need, e.g. "it asks for 3 GPUs, and there is 1". */
void refusal_never_fits(const struct core *core, const struct need *need, char *detail,
			size_t size);

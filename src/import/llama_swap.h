/* llama_swap: a llama-swap configuration as `upstreams` of Baton's. Pure: it starts nothing, and
 * asks only `env`, for ${env.NAME}. Aborts without memory. */
#pragma once
#include "base/buf.h"

struct llama_swap_source {
	const char *path; /* as it is said in errors */
	const char *text;
	size_t length;
	const char *(*env)(const char *name); /* NULL: not set */
};

/* All zero before the call; finished by the caller. */
struct llama_swap_lines {
	struct buf lines;    /* of Baton's configuration, where each vram_mb is to be filled in */
	struct buf warnings; /* "PATH:LINE: what", a line each: models that are comments in it */
	unsigned servers;    /* that are no comments */
	unsigned remarks;    /* comments on what Baton does not have, or does otherwise */
};

/* 0, or -ERR_CONFIG with `detail` = "PATH:LINE: what" and nothing in `ret`. */
int llama_swap_import(const struct llama_swap_source *from, struct llama_swap_lines *ret,
		      char *detail, size_t detail_size);
void llama_swap_finish(struct llama_swap_lines *lines);

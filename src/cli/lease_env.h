/* lease_env: what a program finds in its environment under a lease. Pure; the same for the command
 * of `baton run` and for what an agent starts. The Python client says the same of its own. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct baton_lease;

enum { LEASE_ENV_MAX = 16 };

struct lease_env {
	struct {
		const char *name;
		char *value; /* NULL: is to be unset */
	} v[LEASE_ENV_MAX];
	size_t count;
	bool uuids_known;   /* of all its GPUs */
	bool numbers_known; /* CUDA's, or it needs none */
};

/* Covers whatever may name a GPU that is not of this lease: nobody would notice a program that
 * computes on the wrong one. `by_index`: CUDA_VISIBLE_DEVICES, even if UUIDs are known. Aborts on
 * allocation failure. */
void lease_env_make(const struct baton_lease *lease, bool by_index, struct lease_env *ret_env);
void lease_env_finish(struct lease_env *env);
/* BATON_DOCKER_GPUS of a list with commas; the caller frees it. */
char *lease_env_docker(const char *devices);

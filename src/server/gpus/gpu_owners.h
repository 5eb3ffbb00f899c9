/* gpu_owners: whom the pids of a driver are: their names, since when, and for which session they
 * work, by their process tree. A pid is the process that it was when a pidfd was opened for it, so
 * a later one with the same number is never taken for it. No signal is ever sent from here. */
#pragma once
#include "base/hash.h"
#include "base/limits.h"
#include "core/record.h"
#include "process/container.h"
#include "server/gpus/gpu_condition.h"

struct core;

enum {
	OWNER_ANCESTORS_MAX = 12,
	OWNER_NAME_BYTES = 31,
	OWNERS_NEW_MAX = 128,
	OWNERS_LOOKS_MAX = 32, /* .. at the condition, in one round */
};

struct gpu_owner {
	struct hash_node by_pid;
	int64_t pid;
	char command[OWNER_NAME_BYTES + 1]; /* "": unknown */
	struct mono_ms since;               /* it was seen first */
	uint64_t session;                   /* 0: it works for none */
	unsigned rounds;                    /* since it was named last */
	int pidfd;                          /* -1: it is dead */
	struct mono_ms died, looked;        /* looked: at its condition */
	bool is_looked_at;                  /* once: may read many descriptors */
	struct kernel_wait wait;
	enum gpu_condition condition;
	struct container container;
	int64_t container_pid;   /* its pid in there; 0: unknown */
	unsigned ancestor_count; /* itself first */
	struct named_process ancestors[OWNER_ANCESTORS_MAX];
	char cgroup[LIMIT_CGROUP_BYTES + 1];
};

struct owner_session {
	int64_t pid;
	uint64_t start, session;
	const char *cgroup;      /* within the mount; NULL: none */
	const char *cgroup_path; /* the same from the root on, as the session named it */
};

struct gpu_owners {
	struct hash by_pid;
	struct owner_session *sessions; /* by pid: what they name */
	size_t session_count, session_capacity;
	unsigned new_count, look_count; /* of this round */
};

void gpu_owners_init(struct gpu_owners *owners);
void gpu_owners_finish(struct gpu_owners *owners);
/* Notes who died, in one call for all, and reads which processes the sessions name now: good until
 * the core's next step. Who died is kept for as long as it is asked for. */
void gpu_owners_begin(struct gpu_owners *owners, const struct core *core, struct mono_ms now);
/* NULL: it waits its turn to be looked at. Good until the next begin. */
const struct gpu_owner *gpu_owners_of(struct gpu_owners *owners, int64_t pid, struct mono_ms now);

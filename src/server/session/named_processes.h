/* named_processes: what a client may name as using the GPU for its session. */
#pragma once
#include <stddef.h>

struct named_processes;
struct net_peer;

/* Whether this peer may name these: processes of its own user by their pids here, and a cgroup that
 * is its own and not the broker's. What is gone is taken out, `pid_start` filled in. 0, or
 * -ERR_BAD_FIELD with words for the client. */
int named_processes_check(const struct net_peer *peer, struct named_processes *named, char *detail,
			  size_t detail_size);

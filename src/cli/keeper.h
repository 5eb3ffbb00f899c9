/* keeper: a second process beside `baton run` that outlives it by a moment, to end what the command
 * started when the wrapper itself is killed. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

struct keeper {
	pid_t pid; /* 0: none */
	int fd;    /* our end of its pipe; -1: none */
};

/* Starts it; to be called once BATON_LEASE and BATON_FENCE are what the command will inherit. 0 or
 * an errno. */
int keeper_start(struct keeper *keeper, uint64_t lease, uint64_t fence);
/* All is over in good order: it goes without doing anything. */
void keeper_dismiss(struct keeper *keeper);

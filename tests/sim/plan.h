/* plan: what one seed is about. Each seed draws its machine, its timings, its clients and which
 * faults strike how often (swarm testing): a fault that is off in a seed leaves room for the others
 * to reach deep states. */
#pragma once
#include "core/config.h"
#include "rng.h"

/* Every kind is counted when it strikes; T4 of CASES.md wants each in >= 10 % of seeds. */
#define FAULT_TABLE(X)                                                                             \
	X(FAULT_DELAY, "delay")                   /* a message takes 0 to 10 s */                  \
	X(FAULT_CUT, "cut")                       /* a connection breaks, its messages are lost */ \
	X(FAULT_DUPLICATE, "duplicate")           /* a request is sent twice */                    \
	X(FAULT_MISSED_ACK, "missed-ack")         /* an offer is not answered in time */           \
	X(FAULT_PAUSE, "pause")                   /* SIGSTOP of a client, 0.1 to 300 s */          \
	X(FAULT_KILL, "kill")                     /* SIGKILL of a client */                        \
	X(FAULT_MUTE, "mute")                     /* a yield is ignored */                         \
	X(FAULT_IGNORE_REVOKE, "ignore-revoke")   /* the GPU is used after a revoke */             \
	X(FAULT_CANCEL, "cancel")                 /* a claim is cancelled, in any state */         \
	X(FAULT_RELOAD, "reload")                 /* a tab closes and resumes */                   \
	X(FAULT_ADMIN, "admin")                   /* an operator acts */                           \
	X(FAULT_SAMPLE_UNKNOWN, "sample-unknown") /* the probe fails */                            \
	X(FAULT_UNHEALTHY, "unhealthy")           /* a GPU fails for a time */                     \
	X(FAULT_UNMANAGED, "unmanaged")           /* strangers take VRAM */                        \
	X(FAULT_CONFIG, "config")                 /* the configuration is reloaded */              \
	X(FAULT_SUSPEND, "suspend")               /* the machine sleeps 1 s to 12 h */             \
	X(FAULT_STALL, "stall")                   /* SIGSTOP of the daemon, 0.1 to 300 s */        \
	X(FAULT_STALLS, "stalls")                 /* one after the other: a busy host, swap */     \
	X(FAULT_CRASH, "crash")                   /* SIGKILL of the daemon at any point */         \
	X(FAULT_REBOOT, "reboot")                 /* power cut or clean reboot */                  \
	X(FAULT_STOP, "stop")                     /* SIGTERM of the daemon, and a start */         \
	X(FAULT_DISK_FULL, "disk-full")           /* no commit succeeds past the reserve */        \
	X(FAULT_IO_ERROR, "io-error")             /* one commit fails */                           \
	X(FAULT_FDS, "fds")                       /* no new connections */                         \
	X(FAULT_WALL, "wall")                     /* the wall clock jumps by up to a day */        \
	X(FAULT_STUCK, "stuck")       /* a killed process goes late, past kill_wait perhaps */     \
	X(FAULT_LOST, "journal-lost") /* a restart finds no record of who holds */

enum fault {
#define X(code, name) code,
	FAULT_TABLE(X)
#undef X
		FAULT_COUNT
};
const char *fault_name(int fault);

enum { PLAN_CLIENTS_MAX = 12, PLAN_NAME_BYTES = 32 };

struct client_plan {
	char name[PLAN_NAME_BYTES];
	enum binding binding;
	bool browser; /* HTTP and streams: has an Origin */
	bool mute;    /* ignores yields at times */
	bool deaf;    /* native: SIGTERM does not end it */
	bool slow;    /* its work takes a moment to stop */
	bool stays;   /* comes back each time it gave way, until it is through */
	bool greedy;  /* holds until asked, comes back at once */
	unsigned claims_max;
	uint32_t class_permille[LEASE_CLASS_COUNT]; /* sums to 1000 */
	int64_t think_ms_max;                       /* between claims */
	int64_t hold_ms_max;
	uint32_t no_wait_permille;
	uint32_t resident_permille, gang_permille, vram_permille;
};

struct plan {
	struct core_config config;
	unsigned client_count;
	struct client_plan clients[PLAN_CLIENTS_MAX];
	bool calm;          /* nothing that stops the clock of the bounds */
	bool strict;        /* one GPU, one slot, no residents: the theorems hold as written */
	bool close_is_told; /* the shell reports a connection that the core closed itself */
	bool uses_yielding; /* clients may ask for more grace */
	bool uses_lend;
	bool tabs_seen; /* the probe can tell which tab uses how much */
	bool uses_more; /* leases take more VRAM than they said */
	uint64_t vram_unit;
	uint32_t permille[FAULT_COUNT]; /* of the acts that a fault can strike; 0: off */
	int64_t every_ms[FAULT_COUNT];  /* mean distance of a timed fault; 0: off */
};

void plan_draw(struct plan *plan, struct rng *rng);
/* A reloaded configuration: the same GPUs, other timings within sane ranges. */
void plan_redraw_config(const struct plan *plan, struct core_config *config, struct rng *rng);

/* scenario: what one seed is about. Each seed draws its machine, its timings, its clients and which
 * faults strike how often (swarm testing): a fault that is off in a seed leaves room for the others
 * to reach deep states. */
#pragma once
#include "core/config.h"
#include "rng.h"

/* Every kind is counted when it strikes; T4 of CASES.md asks for each in >= 10 % of seeds. */
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
	X(FAULT_LOST, "journal-lost") /* a restart finds no record of who holds */                 \
	X(FAULT_PIDFD, "pidfd")       /* a process cannot be watched for a time */                 \
	X(FAULT_OBSERVE, "observe")   /* a reload begins or ends observe mode */                   \
	X(FAULT_REGPU, "regpu")       /* a reload changes GPUs, slots, VRAM */

enum fault {
#define X(code, name) code,
	FAULT_TABLE(X)
#undef X
		FAULT_COUNT
};
const char *fault_name(int fault);

/* What an adversary does in place of what an honest client would do (trick.c). */
#define TRICK_TABLE(X)                                                                             \
	X(TRICK_NONE, "honest")                                                                    \
	X(TRICK_NEVER_ACCEPTS, "never-accepts")                                                    \
	X(TRICK_CANCELS, "cancels-offers")  /* and asks anew */                                    \
	X(TRICK_FLAPS, "flaps")             /* closes and resumes at each offer */                 \
	X(TRICK_LENDS, "lends-and-leaves")  /* a turn passed on from claim to claim */             \
	X(TRICK_RETURNS, "returns")         /* an evicted resident that comes back at once */      \
	X(TRICK_VOICE_MODEL, "voice-model") /* the same of class voice, too big for two */         \
	X(TRICK_FLOODS, "floods")           /* acquires, more than it may have */                  \
	X(TRICK_LIES, "lies-of-class")      /* says voice, works for an hour */                    \
	X(TRICK_UNSTOPPABLE, "unstoppable") /* uninterruptible for 20 s, each time */              \
	X(TRICK_TO_LIMIT, "to-the-limit")   /* holds as long as the grace lasts, comes back */     \
	X(TRICK_RENEWS, "renews")           /* asks for renewals and more grace while asked */     \
	X(TRICK_IGNORES, "ignores-yields")                                                         \
	X(TRICK_SQUATS, "squats")              /* a resident with a min_residence of a year */     \
	X(TRICK_SETS, "names-sets")            /* each claim another set of GPUs */                \
	X(TRICK_STANDS, "stands-still")        /* stopped whenever it is offered a GPU */          \
	X(TRICK_LOADS, "loads-for-ever")       /* never ready, and comes back */                   \
	X(TRICK_FLAPS_READY, "flaps-at-ready") /* closes and resumes when it should say so */      \
	X(TRICK_HOSTS, "hosts-and-leaves")     /* takes its own guests in, and goes */             \
	X(TRICK_STAYS, "stays-inside")         /* a guest that never leaves, or stops for long */

enum trick {
#define X(code, name) code,
	TRICK_TABLE(X)
#undef X
		TRICK_COUNT
};

enum { SCENARIO_CLIENTS_MAX = 40, SCENARIO_NAME_BYTES = 32 };

struct client_scenario {
	char name[SCENARIO_NAME_BYTES];
	char principal[SCENARIO_NAME_BYTES]; /* "": what the socket and the token say */
	enum binding binding;
	bool browser; /* HTTP and streams: has an Origin */
	bool mute;    /* ignores yields at times */
	bool deaf;    /* native: SIGTERM does not end it */
	bool slow;    /* its work takes a moment to stop */
	bool stays;   /* comes back each time it gave way, until it is through */
	bool greedy;  /* holds until asked, comes back at once */
	enum trick trick;
	unsigned claims_max, slots_max;
	uint32_t class_permille[LEASE_CLASS_COUNT]; /* sums to 1000 */
	int64_t think_ms_min, think_ms_max;         /* between claims */
	int64_t hold_ms_max, residence_ms_max;
	uint32_t no_wait_permille;
	uint32_t resident_permille, gang_permille, vram_permille;
	uint32_t loads_permille, hosts_permille, guest_permille; /* of its claims */
	uint32_t leaves_permille; /* memory is used after it stopped */
	uint32_t park_permille;   /* of the askings to give way: it is frozen instead */
};

struct scenario {
	struct core_config config;
	unsigned client_count;
	struct client_scenario clients[SCENARIO_CLIENTS_MAX];
	bool calm;          /* nothing that stops the clock of the bounds */
	bool strict;        /* one GPU, one slot, no residents: the theorems hold as written */
	bool close_is_told; /* the daemon reports a connection that the core closed itself */
	bool uses_yielding; /* clients may ask for more grace */
	bool uses_lend;
	bool tabs_seen; /* the probe can tell which tab uses how much */
	bool uses_more; /* leases take more VRAM than they said */
	bool hostile;   /* many clients, several slots, adversaries */
	bool uses_loads, uses_guests;
	bool switches; /* models alone have memory, and make room for others */
	bool war;      /* every class always has somebody waiting for turns */
	bool or_new;   /* who resumes in vain takes a new session at once */
	uint64_t vram_unit;
	uint32_t permille[FAULT_COUNT]; /* of the acts that a fault can strike; 0: off */
	int64_t every_ms[FAULT_COUNT];  /* mean distance of a timed fault; 0: off */
};

const char *trick_name(int trick);
/* `more`: the numbers that make it hostile, so that the others stay what they were. `trick`: not
 * NONE: a calm but hostile world whose adversaries all play this one. */
void scenario_draw(struct scenario *scenario, enum trick trick, bool gateways, struct rng *rng,
		   struct rng *more);
void scenario_draw_gpu(const struct scenario *scenario, struct gpu_config *ret_gpu,
		       struct rng *rng);
/* scenario_hostile.c: before the clients are drawn, and after. */
void scenario_draw_machine(struct scenario *scenario, struct rng *rng);
void scenario_draw_tricks(struct scenario *scenario, enum trick trick, struct rng *rng);
void scenario_widen_gpus(const struct scenario *scenario, struct core_config *config);
/* A client that plays this trick. */
void scenario_equip(struct client_scenario *client, enum trick trick, struct rng *rng);
/* scenario_inside.c: who loads and who hosts, over all that was drawn before. */
void scenario_draw_inside(struct scenario *scenario, struct rng *rng);
/* Who can be frozen. */
void scenario_draw_park(struct scenario *scenario, struct rng *rng);
/* Whose memory is freed late, never, or comes back. */
void scenario_draw_leftovers(struct scenario *scenario, struct rng *rng);
/* Observe mode: in some seeds from the start, in some switched while they run. */
void scenario_draw_observe(struct scenario *scenario, struct rng *rng);
/* The scenario's configuration with other GPUs: more or fewer, other slots, other memory. */
void scenario_redraw_gpus(const struct scenario *scenario, struct core_config *config,
			  struct rng *rng);
/* A reloaded configuration: the same GPUs, other timings within sane ranges. */
void scenario_redraw_config(const struct scenario *scenario, struct core_config *config,
			    struct rng *rng);

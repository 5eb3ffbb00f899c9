/* types: the words of the domain (DESIGN.md section 2). No behaviour, shared by wire, store and
 * net. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Highest first. The wire also takes the predecessor's numbers: 0, 10, 15, 20. */
enum lease_class { LEASE_VOICE, LEASE_CHAT, LEASE_NORMAL, LEASE_BACKGROUND, LEASE_CLASS_COUNT };

/* QUEUED -> OFFERED -> [LOADING ->] HELD -> YIELDING -> ENDED, QUEUED/OFFERED -> ENDED, OFFERED ->
 * QUEUED (ack missed, place kept), LOADING -> YIELDING, YIELDING -> QUEUED (gave way, comes back
 * with its key), YIELDING -> HELD (the asking was taken back). HELD -> ENDED: released. Before
 * ENDED it is DRAINING while its room is not free yet. */
enum claim_state {
	CLAIM_QUEUED,
	CLAIM_OFFERED,
	CLAIM_HELD,
	CLAIM_YIELDING,
	CLAIM_ENDED,
	CLAIM_DRAINING,
	CLAIM_LOADING, /* granted; its turn begins when what it loads is ready */
	CLAIM_STATE_COUNT
};

enum end_reason {
	END_NONE,
	END_RELEASED,
	END_TIMEOUT,
	END_CANCELLED,
	END_DISCONNECTED,
	END_EXPIRED,
	END_REVOKED,
	END_DENIED,
	END_FORCE_RELEASED,
	END_REASON_COUNT
};

/* What the kernel lets the broker do with the peer process of a native session. */
enum peer_reach {
	PEER_REACHED, /* its end is seen, and it can be signalled */
	PEER_WATCHED, /* its end is seen; signals do not reach it (another PID namespace) */
	PEER_UNKNOWN, /* neither: presumed alive until its linger ends */
};

/* Whose runtime reaches a GPU: CUDA, ROCm, Level Zero. */
enum gpu_maker {
	GPU_MAKER_UNKNOWN, /* it is not measured, or has a driver that none of them can use */
	GPU_MAKER_NVIDIA,
	GPU_MAKER_AMD,
	GPU_MAKER_INTEL,
	GPU_MAKER_COUNT
};

/* Why a holder is asked to yield, or is revoked without being asked. */
enum yield_reason {
	YIELD_PREEMPTED,
	YIELD_HOLD_MAX,
	YIELD_EVICTED,
	YIELD_OPERATOR,
	YIELD_UNRESPONSIVE,
	YIELD_EXPIRED,
	YIELD_HOST_OVER,
	YIELD_LOAD_MAX, /* what it loads was not ready in time */
	YIELD_REASON_COUNT
};

/* What keeps a claim alive, and so how its holder's death is noticed (DESIGN.md section 1). Each is
 * one row in core/binding.c. */
enum binding {
	BIND_NATIVE,  /* session on the Unix socket */
	BIND_TAB,     /* WebSocket session */
	BIND_STREAM,  /* lock over Server-Sent Events */
	BIND_HTTP,    /* plain lock request */
	BIND_PROXIED, /* a request that the broker itself forwards, and can cut */
	BIND_REMOTE,  /* session of another broker */
	BINDING_COUNT
};

/* What a claim asks for. Per GPU: `slots` compute turns (0 for a resident model) and `vram_bytes`
 * (0: none stated). `gpu_count` GPUs out of `gpu_mask` (bit = index) are taken at once or not at
 * all. */
struct need {
	uint64_t vram_bytes;
	uint32_t slots;
	uint32_t gpu_count;
	uint32_t gpu_mask;
	bool all_slots; /* as many as each GPU has: `slots` is 1 while it waits, and from the grant
			   on what that came to, on the GPU that has fewest */
};

const char *lease_class_name(int cls);     /* "voice" .. */
const char *claim_state_name(int state);   /* "queued" .. */
const char *end_reason_name(int reason);   /* "released", .. "force-released" */
const char *yield_reason_name(int reason); /* "preempted", "hold-max", .. */
/* The class of a name, or -1. */
int lease_class_from_name(const char *name);
/* The number that the predecessor had for it. */
int lease_class_priority(enum lease_class cls);
/* The class nearest to one of the predecessor's numbers (ties go to the higher class). */
enum lease_class lease_class_from_priority(int64_t priority);
/* NULL: unknown. */
const char *gpu_maker_name(enum gpu_maker maker);

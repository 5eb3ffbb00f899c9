/* lease_port: what the gateway needs of whoever grants leases: these calls, and news that come back
 * by gateway_lease_news. It knows parties by numbers of its own, each for one claim, never used
 * twice; so the gateway runs in tests against a fake. */
#pragma once
#include "core/types.h"

struct text;
struct token;

enum { LEASE_PARTY_FIRST = 1 }; /* numbers count up from here */

struct lease_ask {
	uint64_t party;
	const char *name, *principal, *label; /* borrowed for the call */
	const char *again; /* where a claim of this name was asked for so before, and has lost its
			      party, that is meant; borrowed; NULL: none is */
	enum lease_class cls;
	uint32_t slots;      /* 0: a model that is kept loaded */
	uint64_t uses;       /* the lease of the model that it is a turn of; 0: of none */
	uint64_t vram_bytes; /* of it */
	uint32_t gpu_mask;   /* 0: any */
	bool preemptible, evictable, loads;
	int64_t uninterruptible_ms; /* it finishes what it does, that long at most */
	int64_t waited_ms;          /* before this ask, for the same */
	int64_t timeout_ms;         /* <0: none */
};

/* A claim that has outlived the broker that asked for it. Texts are borrowed. */
struct lease_kept {
	uint64_t lease;
	const char *name, *label, *again; /* as it was asked for */
	bool cut;                         /* the label may be more than is left of it */
};

struct lease_port {
	void (*acquire)(void *ctx, const struct lease_ask *ask);
	/* What it loads is there. */
	void (*ready)(void *ctx, uint64_t party, const struct token *token);
	/* It stopped using the GPU; `requeue`: and comes back to its place. */
	void (*release)(void *ctx, uint64_t party, const struct token *token, bool requeue);
	/* Whoever waited or held by this number is gone, and uses nothing. */
	void (*gone)(void *ctx, uint64_t party);
	/* How many claims wait, of all; NULL: nobody does. */
	unsigned (*waiting)(void *ctx);
	/* With that, whether the claim of this party is one of them, now: what was asked may not be
	 * there yet, and what is told may be older. */
	bool (*waits)(void *ctx, uint64_t party);
	/* Appends why this claim waits, in sentences for `principal`, and returns the error that it
	 * is once that lasts too long; 0: it does not wait. NULL: nobody knows. */
	int (*tell)(void *ctx, uint64_t claim, const char *principal, struct text *out);
	void *ctx;
};

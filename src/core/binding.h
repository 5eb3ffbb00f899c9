/* binding: what each way to hold a lease means, in one table: how the end of a holder is known, how
 * long it may be away, what it hears and may do. A new way is a new row. */
#pragma once
#include "core/party.h"
#include "core/types.h"

struct core_config;

/* What proves that a holder has stopped using the GPU. */
enum binding_proof {
	PROOF_EXIT, /* its processes are gone: they are watched, signalled and measured */
	PROOF_WORD, /* its own word; without it a delay stands for what may still run */
	PROOF_CUT,  /* the end of its connection: hold the connection, hold the GPU */
	PROOF_TIME, /* its time to live: while it holds it has no connection */
};

/* What follows when a session has said nothing for session_ttl_ms. */
enum binding_silence {
	SILENCE_NOTHING,
	SILENCE_WANTED, /* it is stopped as soon as its capacity is needed */
	SILENCE_ENDS,   /* its waiting claims end, its leases are revoked */
};

struct binding_traits {
	const char *name;
	enum binding_proof proof;
	enum binding_silence silence;
	/* After a session's connection broke: how long its places are kept, and how long nobody
	 * else is given what it holds; a client stops at half of that. Fields of core_config by
	 * offset. */
	size_t place_linger, lease_linger;
	size_t delay; /* from a revoke until the capacity is free, unless something proves it sooner
		       */
	size_t memory_delay;   /* the same where it is memory alone; 0: no other */
	enum party_kind party; /* what it lives by, and hears on */
	bool ack;              /* an offer is held once it is accepted; else at once */
	bool ears;             /* can be sent yields */
	bool requeue;          /* may give way and come back */
	bool remembered;       /* a lost waiter has its place by its request_id for a while */
	bool carries_age;      /* says how long it has waited elsewhere, and is believed */
	bool outside;          /* a grant needs the consent of an authority outside this broker */
};

extern const struct binding_traits binding_table[BINDING_COUNT];

static inline const struct binding_traits *binding_of(enum binding binding)
{
	return &binding_table[binding];
}

/* A time of the configuration by its offset there; offset 0: none. */
int64_t binding_ms(const struct core_config *config, size_t offset);
const char *binding_name(int binding); /* "native" .. */
/* From the break of a session's connection: for so long nobody else is given what it holds, unless
 * its process is known to be gone. */
int64_t core_linger_ms(const struct core_config *config, enum binding binding);

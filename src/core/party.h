/* party: who speaks to the core, and to whom it speaks. Its id is the server's number for the
 * connection or exchange, never used twice in one run: a session or a claim has none before it is
 * taken, and what was said to a connection that broke must not reach the one that replaced it. */
#pragma once
#include <stdint.h>

enum party_kind {
	PARTY_NONE,     /* nobody is there: what is said is dropped */
	PARTY_SESSION,  /* a connection that is a session, or asks to be one */
	PARTY_EXCHANGE, /* a plain request, until its answer or its stream ends */
	PARTY_GATEWAY,  /* a request that the broker itself forwards */
};

struct party {
	enum party_kind kind;
	uint64_t id; /* 0: PARTY_NONE */
};

static inline struct party party_of(enum party_kind kind, uint64_t id)
{
	return (struct party){id ? kind : PARTY_NONE, id};
}

/* party: a peer of the core: the source of an event, the target of an effect. Its id is the
 * server's number for the connection or exchange, never reused in one run, so that a message to a
 * broken connection cannot reach the one that replaced it. */
#pragma once
#include <stdint.h>

enum party_kind {
	PARTY_NONE,     /* no peer: messages are dropped */
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

/* deadline: private to src/net: by when a peer must have done something, by kind. */
#pragma once
#include "base/list.h"
#include "base/mono.h"

struct net;

/* A connection has one read deadline and one write deadline. All deadlines of a kind have the same
 * duration, so each kind is a list sorted by time; no heap is needed. */
enum deadline_kind {
	DEADLINE_NONE,
	DEADLINE_HEADER,
	DEADLINE_BODY,
	DEADLINE_CLOSE,
	DEADLINE_PING,
	DEADLINE_WRITE,
	DEADLINE_COUNT
};

struct deadline {
	struct list node; /* net.deadlines[kind] */
	enum deadline_kind kind;
	struct mono_ms at;
};

void deadlines_init(struct net *net);
void deadline_arm(struct net *net, struct deadline *deadline, enum deadline_kind kind);
void deadline_stop(struct deadline *deadline);

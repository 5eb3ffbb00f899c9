/* effects: all that the core wants done, in order. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/mono.h"

struct effect;

enum effect_type {
	EFFECT_APPEND, /* record */
	EFFECT_SEND,   /* send, to a party; one that is gone is no error */
	EFFECT_TRACE,  /* trace: a change people may want to see (log, /v1/gpu/events) */
	EFFECT_SIGNAL, /* signal the process of a native session: revoke by force */
	EFFECT_CLOSE,  /* close a connection: its session was resumed elsewhere, or said bye */
};

/* A growing array, owned by the caller and reused in each loop iteration: the core only adds. */
struct effects {
	struct effect *v;
	size_t count, capacity;
	size_t work;              /* claims that steps moved without an effect */
	bool queue_changed;       /* some waiter's position or reason may have changed */
	struct mono_ms next_wake; /* when the core wants the next EVENT_TICK; set by each step */
};

void effects_init(struct effects *fx);
void effects_clear(struct effects *fx); /* keeps the memory of a usual iteration */
void effects_finish(struct effects *fx);
void effects_append(struct effects *fx, const struct effect *effect); /* a copy, at the end */
/* A cleared effect at the end, valid until the next add. Aborts on allocation failure. */
struct effect *effects_add(struct effects *fx, enum effect_type type);

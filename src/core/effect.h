/* effect: one of the things that the core wants done (effects.h). The server commits all APPENDs of
 * a loop iteration first and carries out the rest only then (I8). Everything is by value: an effect
 * stays good after later steps. */
#pragma once
#include "core/effects.h"
#include "core/party.h"
#include "core/record.h"
#include "core/send.h"
#include "core/trace.h"

struct signal_effect {
	uint64_t session;
	int signo; /* SIGTERM or SIGKILL */
};

struct effect {
	enum effect_type type;
	struct party to; /* SEND, SIGNAL, CLOSE */
	union {
		struct record record;
		struct send_effect send;
		struct trace_effect trace;
		struct signal_effect signal;
	};
};

/* Zeroes the part that this type uses: of a text its first byte, of a record nothing. */
void effect_clear(struct effect *effect, enum effect_type type);
/* Copies the part in use, not the unused tail. */
void effect_copy(struct effect *to, const struct effect *from);

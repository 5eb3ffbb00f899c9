/* message_context: what a message says besides its effect, looked up in the core when it is
 * written. */
#pragma once
#include "base/limits.h"
#include "core/view.h"
#include "wire/session_encode.h"

struct broker;
struct core;
struct core_config;
struct send_effect;

enum { MESSAGE_NAMES_BYTES = WHY_NAMED_MAX * (LIMIT_ID_BYTES + 2) + 32 };

struct message_context {
	struct encode_context wire; /* points into `why` and the core: good until the next step */
	struct why why;
	char names[MESSAGE_NAMES_BYTES];
};

void message_context_fill(struct message_context *context, const struct broker *broker,
			  const struct core_config *config, uint64_t epoch,
			  const struct send_effect *send);
/* The place that a `queued` says; -1: none. */
int64_t message_context_position(const struct message_context *context);
/* What a waiter is told about time. */
void message_context_told(const struct core *core, uint64_t claim, struct mono_ms now,
			  struct wall_ms wall, struct told *ret_told);
/* The name of a live claim, or NULL. */
const char *message_context_name(const struct core *core, uint64_t claim, struct mono_ms now);
/* Who is in the way, as one name or as "a, b and 2 more" in `names`; NULL: nobody. */
const char *message_context_in_the_way(const struct core *core, const struct why *why,
				       struct mono_ms now, char names[MESSAGE_NAMES_BYTES]);
/* What is known of the reason for which nothing is granted; NULL: no more than the reason. */
struct run_state;
struct store;
const char *message_context_grants_detail(const struct store *store, const struct run_state *state,
					  enum grants grants);

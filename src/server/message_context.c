/* message_context: asks the core what effects leave open: places, reasons, names. Changes nothing.
 * */
#include "server/message_context.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/estimate.h"
#include "server/broker.h"
#include "server/run_state.h"
#include "store/store.h"

const char *message_context_name(const struct core *core, uint64_t claim, struct mono_ms now)
{
	struct claim_view view;
	return claim && core_claim(core, claim, now, &view) ? view.rec->name : NULL;
}

const char *message_context_in_the_way(const struct core *core, const struct why *why,
				       struct mono_ms now, char names[MESSAGE_NAMES_BYTES])
{
	uint32_t named = why->holder_count < WHY_NAMED_MAX ? why->holder_count : WHY_NAMED_MAX;
	size_t length = 0;
	if (why->holder_count == 0)
		return message_context_name(core, why->holder, now);
	for (uint32_t i = 0; i < named; i++) {
		const char *name = message_context_name(core, why->holders[i], now);
		const char *before = i == 0 ? "" : i + 1 == why->holder_count ? " and " : ", ";
		length += (size_t)snprintf(names + length, MESSAGE_NAMES_BYTES - length, "%s%s",
					   before, name ? name : "another client");
	}
	if (why->holder_count > named)
		snprintf(names + length, MESSAGE_NAMES_BYTES - length, " and %" PRIu32 " more",
			 why->holder_count - named);
	return names;
}

void message_context_told(const struct core *core, uint64_t claim, struct mono_ms now,
			  struct wall_ms wall, struct told *ret_told)
{
	struct bound bound;
	core_bound(core, claim, now, &bound);
	*ret_told = (struct told){.bound_ms = bound.ms,
				  .bound_why = bound_none_name((int)bound.none),
				  .bound_text = bound_none_text((int)bound.none),
				  .wall = wall};
	core_estimate(core, claim, now, &ret_told->estimate);
}

static void fill_place(struct message_context *context, const struct core *core, uint64_t claim,
		       struct mono_ms now, struct wall_ms wall)
{
	struct encode_context *wire = &context->wire;
	struct claim_view ahead;
	wire->position = core_position(core, claim);
	if (wire->position < 0)
		return;
	wire->has_place = true;
	message_context_told(core, claim, now, wall, &wire->told);
	core_why(core, claim, now, &context->why);
	wire->why = &context->why;
	wire->holder_name = message_context_in_the_way(core, &context->why, now, context->names);
	for (uint32_t i = 0; i < AHEAD_NAMES_MAX && i < wire->position; i++)
		if (core_waiter_at(core, i, now, &ahead))
			wire->ahead[wire->ahead_count++] = ahead.rec->name;
}

void message_context_fill(struct message_context *context, const struct broker *broker,
			  const struct core_config *config, uint64_t epoch,
			  const struct send_effect *send)
{
	context->wire = (struct encode_context){
		.config = config, .epoch = epoch, .server = "baton/" BATON_VERSION};
	if (send->msg == SEND_QUEUED)
		fill_place(context, broker->core, send->lease, broker->now, broker->wall);
	else if (send->msg == SEND_YIELD)
		context->wire.other_name =
			message_context_name(broker->core, send->other, broker->now);
}

int64_t message_context_position(const struct message_context *context)
{
	return context->wire.has_place ? context->wire.position : -1;
}

const char *message_context_grants_detail(const struct store *store, const struct run_state *state,
					  enum grants grants)
{
	const char *detail = NULL;
	if (grants == GRANTS_IN_DOUBT)
		detail = state->doubt;
	else if (grants == GRANTS_JOURNAL)
		detail = store_trouble(store);
	else if (grants == GRANTS_PAUSED)
		detail = state->paused_reason;
	return detail && detail[0] ? detail : NULL;
}

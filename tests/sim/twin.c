/* twin: the properties of export and import: the same bytes again, and the same future. It judges
 * nothing else. */
#include "twin.h"

#include <string.h>

#include "base/buf.h"
#include "core/export.h"
#include "core/import.h"
#include "store/codec.h"
#include "world.h"

enum { TOGETHER = 12 }; /* steps that both take */

static void assert_exports(struct world *w, const struct core *core, const struct buf *bytes,
			   const char *when)
{
	struct buf own = {0};
	core_export(core, &own);
	if (own.length != bytes->length || memcmp(buf_data(&own), buf_data(bytes), own.length) != 0)
		sim_fail(w, "two cores differ in what they export, %s", when);
	buf_finish(&own);
}

/* The copy takes over, the original becomes the twin. */
static void hand_over(struct world *w)
{
	struct twin *twin = &w->broker.twin;
	struct buf bytes = {0};
	const char *why = NULL;
	struct core *copy;

	core_export(w->broker.core, &bytes);
	copy = core_import(buf_data(&bytes), bytes.length, twin->handovers, &why);
	if (!copy)
		sim_fail(w, "an export cannot be imported: %s", why);
	assert_exports(w, copy, &bytes, "as soon as one is imported");
	buf_finish(&bytes);
	twin->core = w->broker.core;
	twin->left = TOGETHER;
	twin->handovers++;
	w->broker.core = copy;
}

void twin_drop(struct world *w)
{
	struct twin *twin = &w->broker.twin;
	core_destroy(twin->core);
	twin->core = NULL;
	effects_finish(&twin->fx);
}

static void part(struct world *w)
{
	struct buf bytes = {0};
	core_export(w->broker.core, &bytes);
	assert_exports(w, w->broker.twin.core, &bytes, "after the same events");
	buf_finish(&bytes);
	twin_drop(w);
}

void twin_begin_step(struct world *w, const struct event *event)
{
	struct twin *twin = &w->broker.twin;
	if (event->type <= EVENT_START || twin->every == 0 || w->broker.steps % twin->every != 0)
		return;
	if (twin->core)
		part(w);
	hand_over(w);
}

static bool same(const struct effect *a, const struct effect *b)
{
	uint8_t one[CODEC_BYTES_MAX], other[CODEC_BYTES_MAX];
	if (a->type != b->type || a->to.kind != b->to.kind || a->to.id != b->to.id)
		return false;
	switch (a->type) {
	case EFFECT_APPEND: {
		size_t length = codec_encode(&a->record, one);
		return codec_encode(&b->record, other) == length && !memcmp(one, other, length);
	}
	case EFFECT_SEND: /* what lies behind a text means nothing */
		return !memcmp(&a->send, &b->send, (size_t)(a->send.detail - (char *)&a->send)) &&
		       !strcmp(a->send.detail, b->send.detail);
	case EFFECT_TRACE:
		return !memcmp(&a->trace, &b->trace, (size_t)(a->trace.name - (char *)&a->trace)) &&
		       !strcmp(a->trace.name, b->trace.name) &&
		       !strcmp(a->trace.principal, b->trace.principal) &&
		       !strcmp(a->trace.detail, b->trace.detail);
	case EFFECT_SIGNAL:
		return a->signal.session == b->signal.session && a->signal.signo == b->signal.signo;
	case EFFECT_CLOSE:
		return true;
	}
	return false;
}

void twin_end_step(struct world *w, const struct event *event, size_t from)
{
	struct twin *twin = &w->broker.twin;
	const struct effects *fx = &w->broker.fx;
	if (!twin->core)
		return;
	effects_clear(&twin->fx);
	core_step(twin->core, event, &twin->fx);
	if (twin->fx.count != fx->count - from || twin->fx.next_wake.v != fx->next_wake.v)
		sim_fail(w, "the imported core jobs %zu effects and to wake at %lld, not %zu, %lld",
			 fx->count - from, (long long)fx->next_wake.v, twin->fx.count,
			 (long long)twin->fx.next_wake.v);
	for (size_t i = 0; i < twin->fx.count; i++)
		if (!same(&twin->fx.v[i], &fx->v[from + i]))
			sim_fail(w, "effect %zu of the imported core is another", i);
	if (--twin->left == 0)
		part(w);
}

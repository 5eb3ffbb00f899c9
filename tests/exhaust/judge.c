/* judge: what must hold in every state, seen from outside of the core and by its own check. */
#include <stdarg.h>
#include <stdio.h>

#include "world.h"

bool judge_bounds = true;
double judge_worst_of_told;
static char found[200];

void judge_fail(const char *format, ...)
{
	va_list args;

	if (found[0])
		return;
	va_start(args, format);
	vsnprintf(found, sizeof(found), format, args);
	va_end(args);
}

const char *judge_found(void)
{
	return found[0] ? found : NULL;
}

void judge_forget(void)
{
	found[0] = '\0';
}

static bool is_guest(const struct claim_view *view)
{
	return view->rec->lender != 0;
}

/* Plain HTTP is not told when its lease is revoked: only its token is refused. */
static bool knows_nothing(const struct world *w, const struct client *client)
{
	struct claim_view view;

	return is_http(w, client) &&
	       (!core_claim(w->core, client->lease, w->now, &view) || view.rec->revoked);
}

/* Of one GPU that has so many. */
static uint32_t slots_of(const struct world *w, const struct client *client, uint32_t configured)
{
	return cast_of(w, client)->all && client->slots ? configured : client->slots;
}

/* What a GPU has, or more while a reload shrank it under those who had their room before. */
static uint32_t cap_of(struct world *w, uint32_t gpu, uint32_t configured)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < w->scene->count; i++) {
		struct claim_view view;
		if (core_claim(w->core, w->clients[i].lease, w->now, &view) &&
		    (view.rec->granted_mask & (1u << gpu)) && !is_guest(&view))
			room += slots_of(w, &w->clients[i], configured);
	}
	if (room < w->cap[gpu])
		w->cap[gpu] = room;
	if (w->cap[gpu] < configured)
		w->cap[gpu] = configured;
	return w->cap[gpu];
}

/* In truth: who computes, and what is loaded. */
static void judge_gpu(struct world *w, uint32_t gpu, uint32_t configured)
{
	uint32_t slots = 0, vram_gib = 0;

	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *client = &w->clients[i];
		struct claim_view view;
		if (!client->using || !(client->gpus & (1u << gpu)) || knows_nothing(w, client))
			continue;
		vram_gib += client->vram_gib;
		if (!core_claim(w->core, client->lease, w->now, &view) || !is_guest(&view))
			slots += slots_of(w, client, configured);
	}
	if (slots > cap_of(w, gpu, configured))
		judge_fail("%u turns are in use at once on a GPU of %u", slots, configured);
	if (w->scene->vram_gib && vram_gib > w->scene->vram_gib)
		judge_fail("%u GiB are in use on a GPU of %u", vram_gib, w->scene->vram_gib);
}

static void judge_room(struct world *w)
{
	struct core_config config;

	scene_config(w->scene, w->reloaded, &config);
	for (uint32_t gpu = 0; gpu < config.gpu_count; gpu++)
		judge_gpu(w, gpu, config.gpus[gpu].slots);
}

static const char *stage_word(enum stage stage)
{
	static const char *const words[STAGE_COUNT] = {"idle", "waiting", "offered", "held"};

	return words[stage];
}

static enum stage stage_of(enum claim_state state)
{
	switch (state) {
	case CLAIM_QUEUED:
		return STAGE_WAITING;
	case CLAIM_OFFERED:
		return STAGE_OFFERED;
	case CLAIM_LOADING:
	case CLAIM_HELD:
	case CLAIM_YIELDING:
		return STAGE_HELD;
	case CLAIM_ENDED:
	case CLAIM_DRAINING:
	case CLAIM_STATE_COUNT:
		break;
	}
	return STAGE_IDLE;
}

/* Who is connected and has heard all that was said believes what is so. */
static void judge_belief(struct world *w, const struct client *client)
{
	struct claim_view view;
	bool live = client->lease && core_claim(w->core, client->lease, w->now, &view);
	bool waits_http = is_http(w, client) && client->exchange != 0;

	if (client->over && core_claim(w->core, client->over, w->now, &view))
		judge_fail("%s was told that lease %llu is over, but it is %s",
			   cast_of(w, client)->name, (unsigned long long)client->over,
			   claim_state_name(view.rec->state));
	if ((client->conn == 0 && !waits_http) || client->lagging || client->stopping)
		return;
	if (client->lease)
		live = core_claim(w->core, client->lease, w->now, &view);
	if (stage_of(live ? view.rec->state : CLAIM_ENDED) != client->stage)
		judge_fail("%s was told %s, but its claim is %s", cast_of(w, client)->name,
			   stage_word(client->stage),
			   live ? claim_state_name(view.rec->state) : "over");
}

static void count_wait(const struct world *w, const struct client *client)
{
	int64_t told_ms = mono_since(client->promise, client->waits_since);
	double part =
		told_ms > 0 ? (double)mono_since(w->now, client->waits_since) / (double)told_ms : 0;

	if (part > judge_worst_of_told)
		judge_worst_of_told = part;
}

/* The number first told of this wait. Who is away, or misses its offer, was promised nothing. */
static void judge_promise(struct world *w, struct client *client)
{
	struct claim_view view;
	int64_t told_ms;

	if (!client->lease || !core_claim(w->core, client->lease, w->now, &view) ||
	    view.rec->state != CLAIM_QUEUED) {
		if (client->counted && client->promise.v != INT64_MAX)
			count_wait(w, client);
		client->counted = false;
		client->promise = MONO_NEVER;
		return;
	}
	if (client->conn == 0 && client->exchange == 0) {
		client->counted = true;
		client->promise = MONO_NEVER;
	}
	if (!client->counted) {
		client->counted = true;
		client->waits_since = w->now;
		told_ms = core_bound_ms(w->core, client->lease, w->now);
		client->promise = told_ms < 0 ? MONO_NEVER : mono_after(w->now, told_ms);
	}
	if (judge_bounds && mono_before(client->promise, w->now))
		judge_fail("%s was told %lld ms and waits for %lld ms", cast_of(w, client)->name,
			   (long long)mono_since(client->promise, client->waits_since),
			   (long long)mono_since(w->now, client->waits_since));
}

void judge_world(struct world *w)
{
	if (judge_found())
		return;
	core_check(w->core, w->now);
	judge_room(w);
	for (uint32_t i = 0; i < w->scene->count; i++) {
		judge_belief(w, &w->clients[i]);
		judge_promise(w, &w->clients[i]);
	}
}

/* going_on: see going_on.h. States that have passed are remembered, so most runs are short. */
#include "going_on.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "set.h"

enum { TOLD_MAX = 60 }; /* steps of a trace; what goes on forever has no end */

static uint64_t *memo;
static size_t memo_mask;
static uint64_t steps;

void going_init(size_t memo_count)
{
	memo_mask = 1024;
	while (memo_mask < memo_count)
		memo_mask *= 2;
	memo = mmap(NULL, memo_mask * sizeof(*memo), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memo == MAP_FAILED)
		abort();
	memo_mask--;
}

uint64_t going_steps(void)
{
	return steps;
}

static uint64_t key_of(const struct world *w, enum going how, unsigned goal)
{
	struct hash128 hash = canon_hash(w);

	return (hash.a ^ hash.b * 31) + (uint64_t)how * 0x9e3779b97f4a7c15u +
	       goal * 0xd6e8feb86659fd93u;
}

static bool reachable(const struct world *w, const struct client *client)
{
	return !client->lagging &&
	       (client->conn != 0 || (is_http(w, client) && client->exchange != 0));
}

/* It needs more than there is since a reload. */
static bool beyond(const struct world *w, const struct client *client)
{
	return w->reloaded && cast_of(w, client)->slots > w->scene->slots_later;
}

/* Who waits without a limit of its own, and has heard all. */
static unsigned waiting(const struct world *w, enum going how)
{
	unsigned mask = 0;

	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *client = &w->clients[i];
		bool promised = how == GOING_KIND || client->promise.v != INT64_MAX;
		if (client->stage == STAGE_WAITING && reachable(w, client) && promised &&
		    w->scene->cast[i].forever && !client->done && !beyond(w, client))
			mask |= 1u << i;
	}
	return mask;
}

static bool first_open(const struct world *w, enum act act, unsigned who, struct choice *ret_choice)
{
	for (uint8_t i = 0; i < w->scene->count; i++) {
		*ret_choice = (struct choice){act, i};
		if ((who & 1u << i) && choice_open(w, *ret_choice))
			return true;
	}
	return false;
}

static struct choice time_goes_on(const struct world *w)
{
	struct choice wake = {ACT_WAKE, 0};

	return choice_open(w, wake) ? wake : (struct choice){ACT_PASS, 0};
}

static bool all_hear(const struct world *w, struct choice *ret_choice)
{
	return first_open(w, ACT_HEAR, ~0u, ret_choice) ||
	       first_open(w, ACT_STOPPED, ~0u, ret_choice) ||
	       first_open(w, ACT_OPEN, ~0u, ret_choice);
}

static struct choice kind_choice(const struct world *w)
{
	struct choice choice;

	if (all_hear(w, &choice) || first_open(w, ACT_ACCEPT, ~0u, &choice) ||
	    first_open(w, ACT_RELEASE, ~0u, &choice))
		return choice;
	return time_goes_on(w);
}

/* Gives way in the last moment, and comes back where it may. */
static bool gives_way(const struct world *w, struct choice *ret_choice)
{
	for (uint8_t i = 0; i < w->scene->count; i++) {
		struct claim_view view;
		if (!w->clients[i].asked ||
		    !core_claim(w->core, w->clients[i].lease, w->now, &view))
			continue;
		if (mono_since(view.yield_deadline, w->now) > TICK_MS)
			continue;
		*ret_choice = (struct choice){ACT_REQUEUE, i};
		if (choice_open(w, *ret_choice))
			return true;
		*ret_choice = (struct choice){ACT_RELEASE, i};
		if (choice_open(w, *ret_choice))
			return true;
	}
	return false;
}

static struct choice greedy_choice(const struct world *w, enum going how, unsigned goal)
{
	unsigned accept = how == GOING_RUDE ? goal : ~0u;
	struct choice choice;

	if (all_hear(w, &choice) || first_open(w, ACT_ACCEPT, accept, &choice) ||
	    gives_way(w, &choice) || first_open(w, ACT_ASK, ~goal, &choice))
		return choice;
	return (struct choice){ACT_PASS, 0};
}

static void strike_served(const struct world *w, unsigned *goal)
{
	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *client = &w->clients[i];
		if (!(*goal & 1u << i))
			continue;
		if (client->stage == STAGE_HELD)
			*goal &= ~(1u << i);
		else if (client->stage == STAGE_IDLE)
			judge_fail("%s waited, and its claim ended unserved",
				   w->scene->cast[i].name);
	}
}

static bool is_over(const struct world *w, enum going how, unsigned goal)
{
	if (goal != 0 || how != GOING_KIND)
		return goal == 0;
	for (uint32_t i = 0; i < w->scene->count; i++)
		if (w->clients[i].stage != STAGE_IDLE && !beyond(w, &w->clients[i]))
			return false;
	return true;
}

/* No faults from here on. */
static void clear_faults(struct world *w)
{
	w->crashes = w->lost = w->asked = w->reloads = 0;
	w->armed = false;
}

/* Who is not kind asks again whenever time has passed. */
static void step_on(struct world *w, enum going how, struct choice choice)
{
	steps++;
	world_apply(w, choice);
	for (uint32_t i = 0; i < w->scene->count && choice.act <= ACT_WAKE; i++)
		w->clients[i].asks = how != GOING_KIND;
}

static void remember(const uint64_t *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		memo[keys[i] & memo_mask] = keys[i];
}

void going_run(struct world *w, enum going how, struct going_path *ret_path)
{
	uint64_t keys[GOING_STEPS_MAX];
	unsigned goal = waiting(w, how);

	ret_path->how = how;
	ret_path->count = 0;
	clear_faults(w);
	while (!is_over(w, how, goal)) {
		struct choice choice;
		uint64_t key;
		key = key_of(w, how, goal);
		if (memo[key & memo_mask] == key)
			break;
		if (ret_path->count == GOING_STEPS_MAX) {
			judge_fail("somebody waits for ever");
			return;
		}
		keys[ret_path->count] = key;
		choice = how == GOING_KIND ? kind_choice(w) : greedy_choice(w, how, goal);
		ret_path->v[ret_path->count++] = choice;
		step_on(w, how, choice);
		strike_served(w, &goal);
		if (judge_found())
			return;
	}
	remember(keys, ret_path->count);
}

void going_again(struct world *w, const struct going_path *path)
{
	static const char *const words[GOING_COUNT] = {
		"from here on all are kind", "from here on all are greedy",
		"from here on the others neither accept nor rest"};

	trace_say(w, "%s", words[path->how]);
	clear_faults(w);
	for (uint32_t i = 0; i < path->count && i < TOLD_MAX; i++) {
		struct choice choice = path->v[i];
		trace_say(w, "%s%s%s",
			  choice.act < ACT_OF_CLIENT ? "" : w->scene->cast[choice.client].name,
			  choice.act < ACT_OF_CLIENT ? "" : " ", act_name(choice.act));
		step_on(w, path->how, choice);
	}
}

/* crowd: the loops and their clock. A loop that is asked to give way ends in a moment, as a command
 * of `baton run` does at SIGTERM. */
#include "crowd.h"
#include "core/estimate.h"

#include <stdlib.h>

enum { START_MS = 5, STOP_MS = 12, APART_MS = 3 };

static const struct {
	enum lease_class cls;
	int loops;
	int64_t from_ms, to_ms;
} kinds[] = {{LEASE_VOICE, 3, 300, 1500},
	     {LEASE_CHAT, 5, 500, 4000},
	     {LEASE_NORMAL, 6, 1000, 6000},
	     {LEASE_BACKGROUND, 6, 2000, 8000}};

static int64_t below(struct crowd *crowd, int64_t limit)
{
	crowd->random =
		crowd->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((crowd->random >> 33) % (uint64_t)limit);
}

/* About what an exponential one is: the sum of tries of one in 64 each. */
static void think(struct crowd *crowd, struct crowd_loop *loop)
{
	int64_t ms = below(crowd, crowd->think_ms / 64 + 1);

	while (below(crowd, 64) != 0)
		ms += crowd->think_ms / 64;
	loop->works = false;
	loop->lease = 0;
	loop->due_ms = crowd->fixture.now.v + ms;
}

static void begin_turn(struct crowd *crowd, struct crowd_loop *loop)
{
	loop->wait.wait_ms = crowd->fixture.now.v - loop->wait.asked_ms;
	if (loop->wait.p50_ms >= 0 && crowd->wait_count < CROWD_WAITS_MAX)
		crowd->waits[crowd->wait_count++] = loop->wait;
	loop->works = true;
	loop->due_ms = crowd->fixture.now.v + START_MS + loop->turn_ms;
}

/* What the last step sent to the loops. Accepting is a step of its own, and comes last. */
static void hear(struct crowd *crowd)
{
	struct crowd_loop *offered[CROWD_LOOPS];
	size_t offers = 0;

	for (size_t i = 0; i < crowd->fixture.fx.count; i++) {
		const struct effect *effect = &crowd->fixture.fx.v[i];
		for (int at = 0; effect->type == EFFECT_SEND && at < CROWD_LOOPS; at++) {
			struct crowd_loop *loop = &crowd->loops[at];
			if (effect->to.id != loop->conn || loop->lease == 0)
				continue;
			if (effect->send.msg == SEND_OFFERED)
				offered[offers++] = loop;
			else if (effect->send.msg == SEND_YIELD)
				loop->due_ms = crowd->fixture.now.v + STOP_MS;
		}
	}
	for (size_t i = 0; i < offers; i++) {
		begin_turn(crowd, offered[i]);
		fixture_accept(&crowd->fixture, offered[i]->conn, offered[i]->lease);
	}
}

static void ask(struct crowd *crowd, struct crowd_loop *loop)
{
	struct fixture *fixture = &crowd->fixture;
	struct event want = fixture_want(BIND_NATIVE, loop->cls, "loop");
	struct estimate estimate;

	loop->conn = fixture_session(fixture, BIND_NATIVE, "loop");
	loop->turn_ms = kinds[loop->cls].from_ms +
			below(crowd, kinds[loop->cls].to_ms - kinds[loop->cls].from_ms);
	loop->due_ms = -1;
	want.acquire.timeout_ms = -1;
	loop->lease = fixture_ask(fixture, loop->conn, want);
	core_estimate(fixture->core, loop->lease, fixture->now, &estimate);
	loop->wait = (struct crowd_wait){.cls = loop->cls,
					 .asked_ms = fixture->now.v,
					 .p50_ms = estimate.p50_ms,
					 .p90_ms = estimate.p90_ms};
	hear(crowd);
}

static void end_turn(struct crowd *crowd, struct crowd_loop *loop)
{
	uint64_t conn = loop->conn;

	fixture_release(&crowd->fixture, conn, loop->lease, false);
	think(crowd, loop);
	hear(crowd);
	fixture_step(&crowd->fixture,
		     (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});
	hear(crowd);
}

static struct crowd_loop *first_due(struct crowd *crowd)
{
	struct crowd_loop *first = NULL;

	for (int at = 0; at < CROWD_LOOPS; at++) {
		struct crowd_loop *loop = &crowd->loops[at];
		if (loop->due_ms >= 0 && (!first || loop->due_ms < first->due_ms))
			first = loop;
	}
	return first;
}

void crowd_run(struct crowd *crowd, int64_t ms)
{
	struct fixture *fixture = &crowd->fixture;
	int64_t end = fixture->now.v + ms;

	while (fixture->now.v < end) {
		struct crowd_loop *loop = first_due(crowd);
		int64_t at = loop ? loop->due_ms : end, wake = fixture->fx.next_wake.v;
		bool is_tick = wake < at;
		at = is_tick ? wake : at;
		fixture->now.v = at > fixture->now.v ? at : fixture->now.v;
		if (is_tick)
			fixture_step(fixture, (struct event){.type = EVENT_TICK});
		hear(crowd);
		if (!is_tick && loop)
			loop->works ? end_turn(crowd, loop) : ask(crowd, loop);
	}
}

struct crowd *crowd_begin(uint64_t seed, int64_t think_ms)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	int at = 0;

	assert_non_null(crowd);
	crowd->random = seed * 7919 + 17;
	crowd->think_ms = think_ms;
	fixture_init(&crowd->fixture);
	crowd->fixture.unchecked = true;
	fixture_start(&crowd->fixture);
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++)
		for (int i = 0; i < kinds[kind].loops; i++, at++) {
			crowd->loops[at].cls = kinds[kind].cls;
			crowd->loops[at].due_ms = crowd->fixture.now.v + at * APART_MS;
		}
	return crowd;
}

void crowd_end(struct crowd *crowd)
{
	fixture_finish(&crowd->fixture);
	free(crowd);
}

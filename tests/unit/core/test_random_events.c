/* Goal: no sequence of events, sensible or not, breaks an invariant. Method: random events with
 * random fields out of small sets, so that they often hit something, with restarts and reloads
 * among them; core_check after each step, asserts in the core itself. The simulator has clients
 * that make sense; these here do not. */
#include "fixture.h"

#include <stdlib.h>

#include "base/hash.h"

enum { RUNS = 40, STEPS = 8000, CONNS = 24, NAMES = 4 };

static uint64_t seed;

static uint64_t below(uint64_t limit)
{
	seed = hash_u64(seed);
	return seed % limit;
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

static int64_t some_ms(void)
{
	static const int64_t odd_ms[] = {0, 1, -1, 500, 2000, 60000, INT64_MAX, INT64_MIN};

	return one_in(4) ? odd_ms[below(8)] : (int64_t)below(20000);
}

static struct need some_need(void)
{
	struct need need = {.slots = (uint32_t)below(3),
			    .gpu_count = (uint32_t)below(4),
			    .gpu_mask = one_in(3) ? (uint32_t)below(16) : 0};

	if (one_in(2))
		need.vram_bytes = below(9) * GIB;
	need.all_slots = need.slots > 0 && one_in(6);
	if (one_in(100))
		need = (struct need){UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, true};
	return need;
}

/* A number that may be a live claim's, and often is. */
static uint64_t some_claim(const struct fixture *fixture)
{
	return fixture->claim_id_max - below(12);
}

static const struct token *some_token(const struct fixture *fixture)
{
	if (fixture->claim_count == 0)
		return NULL;
	return &fixture->claims[fixture->claim_count - 1 -
				below(fixture->claim_count < 20 ? fixture->claim_count : 20)]
			.token;
}

static const char *some_name(void)
{
	static const char *const names[] = {"a", "b", "c", NULL};

	return names[below(NAMES)];
}

static struct event some_acquire(const struct fixture *fixture)
{
	struct event event = {.type = EVENT_ACQUIRE};
	struct ev_acquire *ask = &event.acquire;

	ask->binding = (enum binding)below(BINDING_COUNT);
	ask->browser = one_in(2);
	ask->preemptible = !one_in(4);
	ask->evictable = one_in(2);
	ask->no_wait = one_in(8);
	ask->accept = one_in(2);
	ask->cls = (enum lease_class)below(one_in(50) ? 9 : LEASE_CLASS_COUNT);
	ask->ref = below(40);
	ask->parent = one_in(5) ? some_claim(fixture) : 0;
	ask->host = one_in(6) ? some_claim(fixture) : 0;
	ask->host = ask->parent && one_in(2) ? ask->parent : ask->host;
	ask->resumes = one_in(4) ? some_claim(fixture) : 0;
	ask->guests = one_in(3) ? (uint32_t)below(4) : 0;
	ask->guests_open = one_in(2);
	ask->need = one_in(2) ? (struct need){.slots = 1, .gpu_count = 1} : some_need();
	ask->timeout_ms = some_ms();
	ask->ttl_ms = some_ms();
	ask->uninterruptible_ms = some_ms();
	ask->min_residence_ms = some_ms();
	ask->load_ms = some_ms();
	ask->name = some_name();
	ask->request_id = one_in(4) ? some_name() : NULL;
	return event;
}

static struct event some_session(const struct fixture *fixture)
{
	struct event event = {.type = EVENT_SESSION_OPEN};

	event.session.binding = one_in(2) ? BIND_TAB : BIND_NATIVE;
	event.session.name = some_name();
	if (one_in(2) && fixture->session_count > 0)
		event.session.resume = &fixture->sessions[below(fixture->session_count)].secret;
	event.session.or_new = one_in(2);
	return event;
}

static struct event some_sample(const struct fixture *fixture, struct observed *observed)
{
	struct event event = {.type = EVENT_GPU_SAMPLE};

	*observed = (struct observed){.session = fixture->session_id_max - below(6),
				      .vram_bytes = below(8) * GIB,
				      .lease = one_in(2) ? some_claim(fixture) : 0};
	event.sample.gpu = (uint32_t)below(5);
	event.sample.healthy = !one_in(20);
	event.sample.used_known = !one_in(8);
	event.sample.vram_bytes_used = one_in(50) ? UINT64_MAX : below(9) * GIB;
	event.sample.observed = observed;
	event.sample.observed_count = (uint32_t)below(2);
	return event;
}

static struct event some_word(const struct fixture *fixture)
{
	static const enum event_type words[] = {EVENT_ACCEPT, EVENT_ACCEPT, EVENT_RELEASE,
						EVENT_RENEW,  EVENT_CHANGE, EVENT_LEND,
						EVENT_CANCEL, EVENT_ALIVE,  EVENT_YIELDING};
	struct event event = {.type = words[below(9)]};
	uint64_t lease = one_in(3) ? 0 : some_claim(fixture);

	if (event.type == EVENT_ACCEPT) {
		event.lease = some_claim(fixture);
	} else if (event.type == EVENT_RELEASE) {
		event.release.lease = lease;
		event.release.token = one_in(2) ? some_token(fixture) : NULL;
		event.release.id = some_name();
		event.release.requeue = one_in(2);
	} else if (event.type == EVENT_RENEW || event.type == EVENT_YIELDING) {
		event.renew.lease = lease;
		event.renew.token = some_token(fixture);
		event.renew.ttl_ms = some_ms();
	} else if (event.type == EVENT_CHANGE) {
		event.change.lease = some_claim(fixture);
		event.change.need = some_need();
	} else if (event.type == EVENT_LEND) {
		event.lend.lease = some_claim(fixture);
		event.lend.to = some_claim(fixture);
	} else if (event.type == EVENT_CANCEL) {
		event.cancel.ref = below(40);
		event.cancel.keep = one_in(2);
	}
	return event;
}

static struct event some_rare(const struct fixture *fixture)
{
	struct event event = {.type = EVENT_ADMIN};

	switch (below(6)) {
	case 0:
		event.type = EVENT_PEER_EXIT;
		event.peer.session = fixture->session_id_max - below(6);
		event.peer.rest = one_in(2);
		break;
	case 1:
		event.type = EVENT_BYE;
		break;
	case 2:
		event.type = EVENT_JOURNAL;
		event.journal.ok = !one_in(3);
		break;
	case 3:
		event.type = EVENT_CLOCK_JUMP;
		event.stalled_ms = one_in(2) ? 0 : below(60000);
		break;
	default:
		event.admin.act = (enum admin_act)below(one_in(4) ? 6 : 4);
		event.admin.lease = some_claim(fixture);
		break;
	}
	return event;
}

static void some_step(struct fixture *fixture)
{
	struct observed observed;
	struct event event;
	uint64_t kind = below(100);

	if (kind < 25)
		event = some_acquire(fixture);
	else if (kind < 35)
		event = some_session(fixture);
	else if (kind < 70)
		event = some_word(fixture);
	else if (kind < 76)
		event = some_sample(fixture, &observed);
	else if (kind < 80)
		event = some_rare(fixture);
	else if (kind < 86)
		event = (struct event){.type = EVENT_CONN_CLOSED, .closed = {one_in(3), one_in(3)}};
	else
		event = (struct event){.type = EVENT_TICK};
	if (event.type != EVENT_TICK && event.type != EVENT_GPU_SAMPLE)
		event.from = party_of(PARTY_SESSION, one_in(20) ? 0 : 1 + below(CONNS));
	fixture->now = mono_after(fixture->now, one_in(3) ? (int64_t)below(3000) : 0);
	fixture_step(fixture, event);
}

static void some_gpus(struct fixture *fixture)
{
	fixture_gpus(fixture, 1 + (uint32_t)below(4), 1 + (uint32_t)below(2),
		     one_in(3) ? 0 : (4 + below(5)) * GIB);
	fixture->config.vram_headroom_bytes = below(2) * GIB;
}

/* Pauses and full disks pass, else most of a run would be waiting. */
static void some_repair(struct fixture *fixture)
{
	struct event resume = {.type = EVENT_ADMIN};

	resume.admin.act = ADMIN_RESUME;
	fixture_step(fixture, resume);
	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
}

/* Ended rows are of no further use, and the fixture's journal is small. */
static void forget_ended(struct fixture *fixture)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fixture->claim_count; i++)
		if (fixture->claims[i].state != CLAIM_ENDED)
			fixture->claims[kept++] = fixture->claims[i];
	fixture->claim_count = kept;
}

/* Nothing that can be said breaks the core. */
static void test_random_events(void **state)
{
	uint64_t granted = 0, revoked = 0;

	(void)state;
	for (int run = 1; run <= RUNS; run++) {
		struct fixture *fixture = malloc(sizeof(*fixture));
		assert_non_null(fixture);
		seed = (uint64_t)run;
		fixture_init(fixture);
		some_gpus(fixture);
		fixture_start(fixture);
		for (int i = 0; i < STEPS; i++) {
			some_step(fixture);
			granted += fixture_count(fixture, SEND_GRANTED);
			revoked += fixture_count(fixture, SEND_REVOKED);
			if (fixture->claim_count > RIG_ROWS / 2)
				forget_ended(fixture);
			if (one_in(30))
				some_repair(fixture);
			if (one_in(400))
				fixture_restart(fixture, !one_in(4));
			if (one_in(300)) {
				some_gpus(fixture);
				fixture_configure(fixture);
			}
		}
		fixture_finish(fixture);
		free(fixture);
	}
	/* It was not all noise. */
	assert_true(granted > RUNS * 50);
	assert_true(revoked > RUNS * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_events)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

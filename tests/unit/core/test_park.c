/* Goal: a holder whose work is frozen gives its turn back and nothing else: its memory counts as
 * used, it comes back to its place, and it keeps nobody out for ever. */
#include <string.h>

#include "fixture.h"

#define GIB ((uint64_t)1 << 30)

struct pair {
	uint64_t trainer, voice; /* sessions' connections */
	uint64_t lease;
};

static struct event resumes(uint64_t lease, uint64_t ref)
{
	struct event event = fixture_want(BIND_NATIVE, LEASE_NORMAL, "ignored");

	event.acquire.resumes = lease;
	event.acquire.ref = ref;
	event.acquire.timeout_ms = -1;
	return event;
}

/* A background job with memory on a GPU of 24 GiB. */
static struct pair start_job(struct fixture *fixture, uint64_t vram_bytes)
{
	struct pair pair;

	fixture->config.gpus[0].vram_known = true;
	fixture->config.gpus[0].vram_bytes_total = 24 * GIB;
	fixture->config.vram_headroom_bytes = 0;
	fixture_configure(fixture);
	fixture_sample(fixture, 0, 0, 0, 0);
	pair.trainer = fixture_session(fixture, BIND_NATIVE, "train");
	pair.voice = fixture_session(fixture, BIND_NATIVE, "voice");
	pair.lease =
		fixture_take(fixture, pair.trainer, fixture_need(LEASE_BACKGROUND, 1, vram_bytes));
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
	return pair;
}

/* Time passes; all are alive, and what is measured stays known. */
static void live_on(struct fixture *fixture, const struct pair *pair, int64_t ms)
{
	while (ms > 0) {
		int64_t step_ms = ms < 4000 ? ms : 4000;

		fixture_alive(fixture, pair->trainer);
		fixture_alive(fixture, pair->voice);
		fixture_sample(fixture, 0, 0, 0, 0);
		fixture_pass(fixture, step_ms);
		ms -= step_ms;
	}
}

static uint64_t park(struct fixture *fixture, const struct pair *pair, uint64_t ref)
{
	return fixture_ask(fixture, pair->trainer, resumes(pair->lease, ref));
}

/* Voice gets the turn in the step in which it is given back; the memory stays, the place is the old
 * one, and with the turn the lease is as it was. */
static void test_turn_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	const struct claim_record *lease = fixture_row(fixture, pair.lease);
	uint64_t fence = lease->fence, voice, turn;
	struct mono_ms tag = lease->tag;

	fixture_pass(fixture, 5000);
	voice = fixture_wait(fixture, pair.voice, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	turn = park(fixture, &pair, 70);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	assert_non_null(fixture_sent(fixture, SEND_KEEP, pair.lease));

	lease = fixture_row(fixture, pair.lease);
	assert_true(lease->need.slots == 0 && lease->need.vram_bytes == 8 * GIB);
	assert_int_equal(lease->parked_slots, 1);
	assert_true(fixture_row(fixture, turn)->tag.v == tag.v);
	assert_int_equal(fixture_row(fixture, turn)->used_ms, 5000);
	assert_int_equal(fixture_row(fixture, turn)->cls, LEASE_BACKGROUND);

	fixture_accept(fixture, pair.voice, voice);
	fixture_release(fixture, pair.voice, voice, false);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_OFFERED);
	fixture_accept(fixture, pair.trainer, turn);
	assert_non_null(fixture_sent(fixture, SEND_GRANTED, turn));
	assert_int_equal(fixture_sent(fixture, SEND_RELEASED, turn)->send.end, END_RELEASED);
	assert_int_equal(fixture_end(fixture, turn), END_RELEASED);

	lease = fixture_row(fixture, pair.lease);
	assert_true(lease->need.slots == 1 && lease->parked_slots == 0);
	assert_true(lease->fence == fence && lease->used_ms == 5000);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
}

/* It gives way with its memory, too, and comes back: with all that it needs, turn and memory. */
static void test_comes_back_whole(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	struct event cancel = {.type = EVENT_CANCEL, .from = {PARTY_SESSION, pair.trainer}};
	uint64_t chat = fixture_session(fixture, BIND_NATIVE, "chat"), voice, waits, turn;

	voice = fixture_wait(fixture, pair.voice, LEASE_VOICE);
	turn = park(fixture, &pair, 70);
	waits = fixture_ask(fixture, chat, fixture_need(LEASE_CHAT, 0, 12 * GIB));
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	cancel.cancel.ref = 70;
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_end(fixture, turn), END_CANCELLED);
	fixture_release(fixture, pair.trainer, pair.lease, true);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, pair.lease)->need.slots, 1);
	assert_int_equal(fixture_row(fixture, pair.lease)->parked_slots, 0);

	fixture_accept(fixture, chat, waits);
	fixture_release(fixture, chat, waits, false);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_QUEUED);
	fixture_accept(fixture, pair.voice, voice);
	fixture_release(fixture, pair.voice, voice, false);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_OFFERED);
}

/* What was still loading is frozen like any other: it is not over when its time to load is. */
static void test_what_loads_is_frozen(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair;
	struct event loads = fixture_need(LEASE_BACKGROUND, 1, 4 * GIB);
	uint64_t turn;

	fixture->config.load_ms_max = 5000;
	pair = start_job(fixture, 4 * GIB);
	fixture_release(fixture, pair.trainer, pair.lease, false);
	loads.acquire.loads = true;
	pair.lease = fixture_ask(fixture, pair.trainer, loads);
	fixture_accept(fixture, pair.trainer, pair.lease);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_LOADING);
	turn = park(fixture, &pair, 70);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_OFFERED);
	fixture_accept(fixture, pair.trainer, turn);
	assert_int_equal(fixture_end(fixture, turn), END_RELEASED);
	assert_int_equal(fixture_row(fixture, pair.lease)->need.slots, 1);

	live_on(fixture, &pair, fixture->config.load_ms_max + 1000);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
}

/* Its memory is not given to a claim that fits only without it; who waits is told why. */
static void test_memory_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	uint64_t other = fixture_session(fixture, BIND_NATIVE, "other"), waits;

	fixture_wait(fixture, pair.voice, LEASE_VOICE);
	park(fixture, &pair, 70);
	waits = fixture_ask(fixture, other, fixture_need(LEASE_BACKGROUND, 0, 12 * GIB));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, waits), WHY_PARKED);
}

/* A higher class may have the memory at once: the frozen lease is asked for it. */
static void test_memory_for_a_higher_class(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	uint64_t chat = fixture_session(fixture, BIND_NATIVE, "chat"), voice, waits;

	voice = fixture_wait(fixture, pair.voice, LEASE_VOICE);
	park(fixture, &pair, 70);
	waits = fixture_ask(fixture, chat, fixture_need(LEASE_CHAT, 0, 12 * GIB));
	fixture_pass(fixture, 100);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	assert_int_equal(fixture_row(fixture, pair.lease)->yield_reason, YIELD_EVICTED);
	fixture_release(fixture, pair.trainer, pair.lease, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* Who comes first and wants turn and memory: the turn does not go back and forth meanwhile, the
 * frozen lease is asked for its memory in the step in which it gives its turn back. */
static void test_turn_without_memory(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	uint64_t voice, turn;

	fixture_pass(fixture, 1000);
	voice = fixture_ask(fixture, pair.voice, fixture_need(LEASE_VOICE, 1, 12 * GIB));
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	turn = park(fixture, &pair, 70);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	assert_int_equal(fixture_row(fixture, pair.lease)->yield_reason, YIELD_EVICTED);
	fixture_release(fixture, pair.trainer, pair.lease, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* Should that one leave, the turn comes back. */
static void test_turn_when_it_left(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	uint64_t voice, turn;

	fixture_pass(fixture, 1000);
	voice = fixture_ask(fixture, pair.voice, fixture_need(LEASE_VOICE, 1, 12 * GIB));
	turn = park(fixture, &pair, 70);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	fixture_release(fixture, pair.voice, voice, false);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_OFFERED);
}

/* Its own class gets it once the turn would have been over; then it does not stay for ever. */
static void test_memory_for_its_own_class(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 16 * GIB);
	int64_t hold_ms = fixture->config.classes[LEASE_BACKGROUND].hold_ms_max;
	uint64_t other = fixture_session(fixture, BIND_NATIVE, "other"), voice;

	fixture_pass(fixture, 1000);
	voice = fixture_wait(fixture, pair.voice, LEASE_VOICE);
	park(fixture, &pair, 70);
	fixture_accept(fixture, pair.voice, voice);
	fixture_ask(fixture, other, fixture_need(LEASE_BACKGROUND, 0, 12 * GIB));
	live_on(fixture, &pair, hold_ms - 1000 - 1);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
	fixture_pass(fixture, 2);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
}

/* After its whole turn it comes back as a new arrival, behind whom it gave way to. */
static void test_whole_turn(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	uint64_t other = fixture_session(fixture, BIND_NATIVE, "other"), waits, turn;

	waits = fixture_wait(fixture, other, LEASE_BACKGROUND);
	live_on(fixture, &pair, fixture->config.classes[LEASE_BACKGROUND].hold_ms_max);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_YIELDING);
	turn = park(fixture, &pair, 70);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	assert_true(mono_before(fixture_row(fixture, waits)->tag, fixture_row(fixture, turn)->tag));
	assert_int_equal(fixture_row(fixture, turn)->used_ms, 0);
}

/* Without stated memory, too: the lease stands for what is frozen. */
static void test_without_memory(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 0);
	uint64_t voice = fixture_wait(fixture, pair.voice, LEASE_VOICE), turn;

	turn = park(fixture, &pair, 70);
	fixture_accept(fixture, pair.voice, voice);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, pair.lease), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, pair.lease)->parked_slots, 1);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	assert_true(fixture_row(fixture, turn)->resumes == pair.lease);
}

/* Its claim for the turn may be lost, and asked for again; there is one at a time. */
static void test_asked_again(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	uint64_t voice = fixture_wait(fixture, pair.voice, LEASE_VOICE), turn;
	struct event event = {.type = EVENT_CANCEL, .from = {PARTY_SESSION, pair.trainer}};

	park(fixture, &pair, 70);
	fixture_accept(fixture, pair.voice, voice);
	park(fixture, &pair, 71);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	event.cancel.ref = 70;
	fixture_step(fixture, event);
	turn = park(fixture, &pair, 72);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	fixture_release(fixture, pair.voice, voice, false);
	fixture_accept(fixture, pair.trainer, turn);
	assert_int_equal(fixture_row(fixture, pair.lease)->need.slots, 1);
}

/* The lease was lost while the turn was on its way: the turn is one of its own, without memory. */
static void test_lease_is_over(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	uint64_t voice = fixture_wait(fixture, pair.voice, LEASE_VOICE), turn;

	turn = park(fixture, &pair, 70);
	fixture_accept(fixture, pair.voice, voice);
	fixture_release(fixture, pair.trainer, pair.lease, false);
	fixture_release(fixture, pair.voice, voice, false);
	fixture_accept(fixture, pair.trainer, turn);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, turn)->need.vram_bytes, 0);
}

/* The turn that comes back is the lease's: as firm as that, and ready, whatever the claim for it
 * says; who comes while it is offered is promised no sooner end (seed 16249). */
static void test_turn_is_the_leases(void **state)
{
	struct fixture *fixture = *state;
	struct event firm = fixture_want(BIND_NATIVE, LEASE_CHAT, "chat"), again;
	uint64_t chat = fixture_session(fixture, BIND_NATIVE, "chat");
	uint64_t other = fixture_session(fixture, BIND_NATIVE, "voice"), lease, turn, voice;

	firm.acquire.preemptible = false;
	firm.acquire.uninterruptible_ms = 4000;
	lease = fixture_take(fixture, chat, firm);
	again = resumes(lease, 70);
	again.acquire.preemptible = true;
	again.acquire.loads = true;
	turn = fixture_ask(fixture, chat, again);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_OFFERED);
	assert_int_equal(fixture_row(fixture, turn)->uninterruptible_ms, 4000);

	voice = fixture_wait(fixture, other, LEASE_VOICE);
	assert_in_range(core_bound_ms(fixture->core, voice, fixture->now),
			fixture->config.classes[LEASE_CHAT].hold_ms_max, INT64_MAX);
	fixture_accept(fixture, chat, turn);
	assert_int_equal(fixture_end(fixture, turn), END_RELEASED);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 1);
}

static void test_refused(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	uint64_t resident =
		fixture_take(fixture, pair.trainer, fixture_need(LEASE_BACKGROUND, 0, GIB));
	uint64_t waits = fixture_wait(fixture, pair.voice, LEASE_NORMAL);

	fixture_ask(fixture, pair.voice, resumes(pair.lease, 70)); /* of another session */
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_ask(fixture, pair.voice, resumes(waits, 70)); /* holds nothing */
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_ask(fixture, pair.trainer, resumes(resident, 71)); /* has no turn */
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_ask(fixture, pair.trainer, resumes(4711, 72));
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	assert_int_equal(fixture_row(fixture, pair.lease)->need.slots, 1);
}

#define on_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* In observe mode it comes back beside whoever has its turn, and its record says so: the rules
 * leave both alone later, and let nobody in before there is room (seed 484). */
static void test_back_beside_another(void **state)
{
	struct fixture *fixture = *state;
	struct pair pair = start_job(fixture, 8 * GIB);
	uint64_t voice = fixture_wait(fixture, pair.voice, LEASE_VOICE);
	uint64_t turn = park(fixture, &pair, 70);

	fixture_accept(fixture, pair.voice, voice);
	assert_false(fixture_row(fixture, pair.lease)->observed);
	fixture->config.observe = true;
	fixture_configure(fixture);
	fixture_accept(fixture, pair.trainer, turn);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, pair.lease)->need.slots, 1);
	assert_true(fixture_row(fixture, pair.lease)->observed);
	assert_true(fixture_row(fixture, pair.lease)->would_wait);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_fixture(test_turn_comes_back),
		on_fixture(test_what_loads_is_frozen),
		on_fixture(test_comes_back_whole),
		on_fixture(test_memory_is_kept),
		on_fixture(test_memory_for_a_higher_class),
		on_fixture(test_turn_without_memory),
		on_fixture(test_turn_when_it_left),
		on_fixture(test_memory_for_its_own_class),
		on_fixture(test_whole_turn),
		on_fixture(test_without_memory),
		on_fixture(test_asked_again),
		on_fixture(test_back_beside_another),
		on_fixture(test_lease_is_over),
		on_fixture(test_turn_is_the_leases),
		on_fixture(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

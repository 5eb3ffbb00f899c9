/* Goal: events are stepped in their order, the journal is written before anything leaves, and what
 * promises waits for a journal that fails. Method: a core and a store of the test's own, which
 * write down what was called; the real turn between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/view.h"
#include "server/broker.h"
#include "store/store.h"
#include "wire/json_fields.h"

static char calls[4096]; /* "step 3;append;commit;send 4;" .. */
static int commit_rc;
static bool degraded, gone, wants_all;
static enum claim_state claim_state;
static uint64_t claim_fence, claim_session;
static int64_t next_wake;
static size_t work_per_step;
static int64_t stalled;
static unsigned denied;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;
	size_t used = strlen(calls);
	va_start(args, format);
	vsnprintf(calls + used, sizeof calls - used, format, args);
	va_end(args);
}

/* The core of the test: ACQUIRE appends and grants, RELEASE appends and answers. */
void core_step(struct core *core, const struct event *event, struct effects *fx)
{
	(void)core;
	note("step %d;", event->type);
	if (event->type == EVENT_CLOCK_JUMP)
		stalled = event->stalled_ms;
	if (event->type == EVENT_ACQUIRE || event->type == EVENT_RELEASE) {
		effects_add(fx, EFFECT_APPEND)->record.type = RECORD_CLAIM_PUT;
		struct effect *send = effects_add(fx, EFFECT_SEND);
		send->to = event->from;
		send->send.msg = event->type == EVENT_ACQUIRE ? SEND_GRANTED : SEND_RELEASED;
		send->send.lease = 1;
		send->send.fence = 5;
		effects_add(fx, EFFECT_TRACE);
	}
	if (event->type == EVENT_SESSION_OPEN) {
		effects_add(fx, EFFECT_APPEND)->record.type = RECORD_SESSION_PUT;
		effects_add(fx, EFFECT_SEND)->to = event->from; /* SEND_WELCOME */
	}
	fx->work += work_per_step;
	fx->next_wake = (struct mono_ms){next_wake};
}

bool core_claim(const struct core *core, uint64_t claim_id, struct mono_ms now,
		struct claim_view *ret_view)
{
	static struct claim_record rec;
	(void)core, (void)claim_id, (void)now;
	rec.state = claim_state;
	rec.fence = claim_fence;
	rec.session = claim_session;
	*ret_view = (struct claim_view){.rec = &rec};
	return true;
}

int store_append(struct store *store, const struct record *record)
{
	(void)store, (void)record;
	note("append;");
	return 0;
}

int store_commit(struct store *store)
{
	(void)store;
	note("commit %d;", commit_rc);
	return commit_rc;
}

bool store_check(struct store *store)
{
	(void)store;
	return !gone;
}

bool store_wants_all(struct store *store)
{
	(void)store;
	return wants_all;
}

const char *store_trouble(const struct store *store)
{
	(void)store;
	return gone ? "gone" : "";
}

bool store_is_degraded(const struct store *store)
{
	(void)store;
	return degraded;
}

void parsed_finish(struct parsed *parsed)
{
	(void)parsed;
}

static void on_send(void *ctx, struct party to, const struct send_effect *send)
{
	(void)ctx;
	note("send %llu;", (unsigned long long)to.id);
	denied += send->msg == SEND_DENIED && send->err == ERR_JOURNAL;
}

static void on_trace(void *ctx, const struct trace_effect *trace)
{
	(void)ctx, (void)trace;
	note("trace;");
}

static void on_appended(void *ctx, const struct record *record)
{
	(void)ctx, (void)record;
}

static void on_nothing(void *ctx)
{
	(void)ctx;
}

static void on_journal(void *ctx, bool ok)
{
	(void)ctx;
	note("journal %d;", ok);
}

static const struct broker_out out = {.send = on_send,
				      .trace = on_trace,
				      .appended = on_appended,
				      .queue_changed = on_nothing,
				      .journal = on_journal};

static struct broker broker;

static int set_up(void **state)
{
	(void)state;
	calls[0] = 0;
	commit_rc = 0;
	degraded = gone = wants_all = false;
	work_per_step = 0;
	denied = 0;
	next_wake = INT64_MAX;
	claim_state = CLAIM_HELD;
	claim_fence = 5;
	claim_session = 3;
	broker_init(&broker, NULL, NULL, (struct mono_ms){1000}, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	broker_finish(&broker);
	return 0;
}

static void turn_at(int64_t now, int64_t stalled_ms)
{
	calls[0] = 0;
	broker_turn(&broker, (struct mono_ms){now}, (struct wall_ms){0}, stalled_ms, &out);
}

static void expect(const char *expected)
{
	assert_string_equal(calls, expected);
}

#define STEP(type) step_text(type)
static const char *step_text(int type)
{
	static char text[8][32];
	static int at;
	at = (at + 1) % 8;
	snprintf(text[at], sizeof text[at], "step %d;", type);
	return text[at];
}

static void expect_steps(int a, int b, int c, const char *rest)
{
	char expected[512];
	snprintf(expected, sizeof expected, "%s%s%s%s", a < 0 ? "" : STEP(a), b < 0 ? "" : STEP(b),
		 c < 0 ? "" : STEP(c), rest);
	expect(expected);
}

/* All of a turn is one commit, nothing leaves before it (I8), and answers leave before what
 * people read about them. */
static void test_commit_first(void **state)
{
	(void)state;
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, 8));
	event_queue_event(&broker.queue, EVENT_RELEASE, party_of(PARTY_EXCHANGE, 9));
	turn_at(1000, BROKER_IN_TIME);
	expect_steps(EVENT_ACQUIRE, EVENT_RELEASE, -1,
		     "append;append;commit 0;send 8;send 9;trace;trace;");
	turn_at(1001, BROKER_IN_TIME);
	expect("");
}

/* A clock jump is judged first, the tick last, after what was readable (R8); the tick comes once.
 */
static void test_order(void **state)
{
	(void)state;
	broker.tick_at = (struct mono_ms){1500};
	event_queue_event(&broker.queue, EVENT_ALIVE, party_of(PARTY_SESSION, 8));
	turn_at(1499, BROKER_IN_TIME);
	expect_steps(EVENT_ALIVE, -1, -1, "");
	broker.tick_at = (struct mono_ms){1500};
	event_queue_event(&broker.queue, EVENT_ALIVE, party_of(PARTY_SESSION, 8));
	turn_at(1500, 4000);
	expect_steps(EVENT_CLOCK_JUMP, EVENT_ALIVE, EVENT_TICK, "");
	assert_int_equal(stalled, 4000);
	turn_at(1501, BROKER_IN_TIME);
	expect("");
	assert_true(broker_wake(&broker).v == INT64_MAX);
}

/* More events than a turn takes are stepped later, in order, and the tick waits behind those that
 * were there when it came due. */
static void test_budget(void **state)
{
	(void)state;
	for (int i = 0; i < BROKER_EVENTS_MAX + 2; i++)
		event_queue_event(&broker.queue, EVENT_ALIVE, party_of(PARTY_SESSION, 8));
	broker.tick_at = (struct mono_ms){1000};
	next_wake = 1000;
	turn_at(1000, BROKER_IN_TIME);
	assert_null(strstr(calls, STEP(EVENT_TICK)));
	assert_true(broker_wake(&broker).v == 1000);
	next_wake = INT64_MAX;
	event_queue_event(&broker.queue, EVENT_BYE, party_of(PARTY_SESSION, 8));
	turn_at(1001, BROKER_IN_TIME);
	char expected[128];
	snprintf(expected, sizeof expected, "%s%s%s%s", STEP(EVENT_ALIVE), STEP(EVENT_ALIVE),
		 STEP(EVENT_TICK), STEP(EVENT_BYE));
	expect(expected);
}

/* A journal that fails: the grant waits, the release is answered, the core is told; the commit is
 * tried again after a while, and then the grant leaves (S20). */
static void test_journal_fails(void **state)
{
	(void)state;
	commit_rc = -1;
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, 8));
	event_queue_event(&broker.queue, EVENT_RELEASE, party_of(PARTY_EXCHANGE, 9));
	turn_at(1000, BROKER_IN_TIME);
	char expected[512];
	snprintf(expected, sizeof expected,
		 "%s%sappend;append;commit -1;%sjournal 0;send 9;trace;trace;", STEP(EVENT_ACQUIRE),
		 STEP(EVENT_RELEASE), STEP(EVENT_JOURNAL));
	expect(expected);
	assert_int_equal(broker_wake(&broker).v, 1000 + BROKER_RETRY_MS);
	turn_at(1500, BROKER_IN_TIME);
	expect("");
	commit_rc = 0;
	turn_at(1000 + BROKER_RETRY_MS, BROKER_IN_TIME);
	snprintf(expected, sizeof expected, "commit 0;%sjournal 1;send 8;", STEP(EVENT_JOURNAL));
	expect(expected);
	turn_at(9000, BROKER_IN_TIME);
	expect("");
}

/* A promise that is void by the time the journal works is not made (I7). */
static void test_void_promise(void **state)
{
	(void)state;
	commit_rc = -1;
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, 8));
	turn_at(1000, BROKER_IN_TIME);
	claim_state = CLAIM_ENDED;
	commit_rc = 0;
	turn_at(5000, BROKER_IN_TIME);
	assert_null(strstr(calls, "send"));
	commit_rc = -1;
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, 8));
	turn_at(6000, BROKER_IN_TIME);
	claim_state = CLAIM_HELD;
	claim_fence = 6;
	commit_rc = 0;
	turn_at(9000, BROKER_IN_TIME);
	assert_null(strstr(calls, "send"));
}

/* A disk without room to spare stops grants although this commit still worked. */
static void test_degraded(void **state)
{
	(void)state;
	degraded = true;
	event_queue_event(&broker.queue, EVENT_RELEASE, party_of(PARTY_EXCHANGE, 9));
	turn_at(1000, BROKER_IN_TIME);
	expect_steps(EVENT_RELEASE, -1, -1, "append;commit 0;step 18;journal 0;send 9;trace;");
	assert_int_equal(EVENT_JOURNAL, 18);
	degraded = false;
	turn_at(3000, BROKER_IN_TIME);
	expect("commit 0;step 18;journal 1;");
}

/* A stall is a turn that begins late; a suspend is BOOTTIME that ran ahead (R2). */
static void test_jumps(void **state)
{
	(void)state;
	const struct mono_ms asked = {1000}, never = MONO_NEVER;
	assert_false(broker_jumped(&broker, asked, (struct mono_ms){1900}, 0));
	assert_true(broker_jumped(&broker, asked, (struct mono_ms){2001}, 0));
	assert_false(broker_jumped(&broker, never, (struct mono_ms){900000}, 0));
	assert_true(broker_jumped(&broker, asked, (struct mono_ms){1000}, 8 * 3600 * 1000));
	assert_false(broker_jumped(&broker, asked, (struct mono_ms){1000}, 8 * 3600 * 1000 + 1));
}

/* A deadline from before the last turn is nobody's stall: only what passed since then is. */
static void test_no_stall_before_the_last_turn(void **state)
{
	(void)state;
	const struct mono_ms asked = {1000};
	turn_at(60000, BROKER_IN_TIME);
	assert_false(broker_jumped(&broker, asked, (struct mono_ms){60900}, 0));
	assert_int_equal(broker_late_ms(&broker, asked, (struct mono_ms){60900}), 900);
	assert_true(broker_jumped(&broker, asked, (struct mono_ms){61001}, 0));
	assert_int_equal(broker_late_ms(&broker, (struct mono_ms){70000}, (struct mono_ms){61001}),
			 0);
}

/* Random bits differ from draw to draw and from block to block. */
static void test_random(void **state)
{
	(void)state;
	struct random_pool pool = {0};
	struct token last = {0}, token;
	for (int i = 0; i < 300; i++) {
		random_fill(&pool, &token, sizeof token);
		assert_memory_not_equal(&token, &last, sizeof token);
		last = token;
	}
}

/* What was asked for anew in the very turn that cannot be written is refused at once and undone: a
 * plain grant as one that did not arrive, a session as one that said bye. */
static void test_refused_at_once(void **state)
{
	(void)state;
	commit_rc = -1;
	claim_session = 0;
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, 8));
	event_queue_event(&broker.queue, EVENT_SESSION_OPEN, party_of(PARTY_SESSION, 9));
	turn_at(1000, BROKER_IN_TIME);
	assert_int_equal(broker.deferred.count, 0);
	assert_non_null(strstr(calls, "send 8;"));
	assert_non_null(strstr(calls, "send 9;"));
	assert_int_equal(denied, 2);
	assert_int_equal(broker.queue.count, 2);
	turn_at(1001, BROKER_IN_TIME);
	assert_non_null(strstr(calls, STEP(EVENT_CONN_CLOSED)));
	assert_non_null(strstr(calls, STEP(EVENT_BYE)));
}

/* A folder that is gone is noticed though nothing is written, the core is told, and asked for all
 * that lives as soon as there is a journal again. */
static void test_journal_is_lost(void **state)
{
	(void)state;
	turn_at(1000 + BROKER_CHECK_MS - 1, BROKER_IN_TIME);
	expect("");
	gone = degraded = true;
	commit_rc = -1;
	turn_at(1000 + BROKER_CHECK_MS, BROKER_IN_TIME);
	assert_non_null(strstr(calls, "journal 0;"));
	assert_null(strstr(calls, STEP(EVENT_REWRITE)));
	assert_true(broker.unwritable);
	wants_all = true;
	gone = degraded = false;
	commit_rc = 0;
	turn_at(1000 + BROKER_CHECK_MS + BROKER_RETRY_MS, BROKER_IN_TIME);
	assert_non_null(strstr(calls, STEP(EVENT_REWRITE)));
	assert_non_null(strstr(calls, "journal 1;"));
	assert_false(broker.unwritable);
}

/* A turn ends when it has work enough to write and to tell; the rest is done in the next, at once.
 */
static void test_work_per_turn(void **state)
{
	(void)state;
	work_per_step = BROKER_WORK_MAX / 4;
	for (int i = 0; i < 6; i++)
		event_queue_event(&broker.queue, EVENT_CONN_CLOSED, party_of(PARTY_SESSION, 1));
	broker_turn(&broker, (struct mono_ms){1000}, (struct wall_ms){1}, BROKER_IN_TIME, &out);
	assert_int_equal(broker.queue.count, 2);
	assert_int_equal(broker_wake(&broker).v, 1000);
	broker_turn(&broker, (struct mono_ms){1000}, (struct wall_ms){1}, BROKER_IN_TIME, &out);
	assert_int_equal(broker.queue.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_void_promise, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_degraded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_jumps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_work_per_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_stall_before_the_last_turn, set_up,
						tear_down),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

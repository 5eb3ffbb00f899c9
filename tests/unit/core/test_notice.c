/* Goal: a holder is told, once, that its GPU computes nothing, that it uses more than it declared,
 * that its card is lost or back; nothing else follows from it. Method: readings. */
#include "fixture.h"

#include <stdio.h>

#include "core/state.h"

struct reading {
	int64_t idle_ms;
	uint32_t gpu;
	uint64_t session, bytes;
	bool lost, unknown;
};

static void read_gpu(struct fixture *fixture, struct reading reading)
{
	struct observed seen = {.session = reading.session, .vram_bytes = reading.bytes};
	struct event event = {.type = EVENT_GPU_SAMPLE};

	event.sample.gpu = reading.gpu;
	event.sample.healthy = !reading.lost;
	event.sample.used_known = !reading.lost && !reading.unknown;
	event.sample.idle_ms = reading.idle_ms;
	event.sample.vram_bytes_used = reading.bytes;
	event.sample.observed = &seen;
	event.sample.observed_count = reading.session != 0;
	fixture_step(fixture, event);
}

static void expect(struct fixture *fixture, uint64_t lease, enum notice notice)
{
	const struct effect *sent = fixture_sent(fixture, SEND_NOTICE, lease);

	assert_non_null(sent);
	assert_int_equal(fixture_count(fixture, SEND_NOTICE), 1);
	assert_int_equal(sent->send.notice, notice);
	assert_string_not_equal(sent->send.detail, "");
}

static void expect_nothing(struct fixture *fixture)
{
	assert_int_equal(fixture_count(fixture, SEND_NOTICE), 0);
}

static void pass(struct fixture *fixture, uint64_t conn, int64_t ms)
{
	for (; ms > 0; ms -= 1000) {
		fixture_pass(fixture, 1000);
		fixture_alive(fixture, conn);
	}
}

static struct why why_of(struct fixture *fixture, uint64_t claim)
{
	struct why why;

	core_why(fixture->core, claim, fixture->now, &why);
	return why;
}

/* Told once, and again only after it computed. */
static void test_idle(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t lease = fixture_hold(fixture, s, LEASE_NORMAL);

	pass(fixture, s, 60 * 1000);
	read_gpu(fixture, (struct reading){.idle_ms = 59999});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){.idle_ms = 60000});
	expect(fixture, lease, NOTICE_IDLE);
	assert_string_equal(fixture_sent(fixture, SEND_NOTICE, lease)->send.detail,
			    "gpu0 has computed nothing for 60 s; if it is not needed, give it "
			    "back.");
	read_gpu(fixture, (struct reading){.idle_ms = 61000});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){0});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){.idle_ms = 60000});
	expect(fixture, lease, NOTICE_IDLE);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
}

/* The GPU was idle before it was granted: that is not the holder's. */
static void test_idle_before(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t lease = fixture_hold(fixture, s, LEASE_NORMAL);

	read_gpu(fixture, (struct reading){.idle_ms = 3600 * 1000});
	expect_nothing(fixture);
	pass(fixture, s, 59 * 1000);
	read_gpu(fixture, (struct reading){.idle_ms = 3600 * 1000});
	expect_nothing(fixture);
	pass(fixture, s, 1000);
	read_gpu(fixture, (struct reading){.idle_ms = 3600 * 1000});
	expect(fixture, lease, NOTICE_IDLE);
}

/* Who only keeps memory computes nothing, and need not. */
static void test_resident(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_take(fixture, s, fixture_need(LEASE_NORMAL, 0, GIB));
	pass(fixture, s, 120 * 1000);
	read_gpu(fixture, (struct reading){.idle_ms = 120 * 1000});
	expect_nothing(fixture);
}

/* Of several GPUs none computes; one that does is enough. */
static void test_several(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_need(LEASE_NORMAL, 1, 0);
	uint64_t s, lease;

	fixture_gpus(fixture, 2, 1, 24 * GIB);
	fixture_configure(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "a");
	want.acquire.need.gpu_count = 2;
	lease = fixture_take(fixture, s, want);
	pass(fixture, s, 90 * 1000);
	read_gpu(fixture, (struct reading){.idle_ms = 80 * 1000, .gpu = 1});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){.idle_ms = 70 * 1000});
	expect(fixture, lease, NOTICE_IDLE);
	read_gpu(fixture, (struct reading){.idle_ms = 81 * 1000, .gpu = 1});
	expect_nothing(fixture);
}

/* Who waits learns that its holder does not use the GPU. */
static void test_why(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), waiter;
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");

	fixture_hold(fixture, a, LEASE_NORMAL);
	waiter = fixture_wait(fixture, b, LEASE_BACKGROUND);
	assert_int_equal(why_of(fixture, waiter).code, WHY_HOLDER);
	assert_int_equal(why_of(fixture, waiter).idle_ms, 0);
	for (int i = 0; i < 5; i++) {
		pass(fixture, a, 1000);
		fixture_alive(fixture, b);
	}
	read_gpu(fixture, (struct reading){.idle_ms = 100 * 1000});
	assert_int_equal(why_of(fixture, waiter).idle_ms, 5000);
	read_gpu(fixture, (struct reading){0});
	assert_int_equal(why_of(fixture, waiter).idle_ms, 0);
}

static void test_over(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s, id, lease;
	struct gpu_view view;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	snprintf(fixture->config.gpus[0].name, sizeof(fixture->config.gpus[0].name), "gpu0");
	fixture_configure(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "a");
	id = fixture_session_id(fixture, s);
	lease = fixture_take(fixture, s, fixture_need(LEASE_NORMAL, 1, 2 * GIB));
	read_gpu(fixture, (struct reading){.session = id, .bytes = 2 * GIB + (64 << 20)});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){.session = id, .bytes = 5 * GIB});
	expect(fixture, lease, NOTICE_OVER);
	assert_string_equal(fixture_sent(fixture, SEND_NOTICE, lease)->send.detail,
			    "It uses 5120 MiB of gpu0 and declared 2048: it counts with what it "
			    "uses.");
	core_gpu(fixture->core, 0, &view);
	assert_int_equal(view.vram_bytes_granted, 5 * GIB);

	read_gpu(fixture, (struct reading){.session = id, .bytes = 6 * GIB});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){.session = id, .bytes = 2 * GIB});
	read_gpu(fixture, (struct reading){.session = id, .bytes = 5 * GIB});
	expect(fixture, lease, NOTICE_OVER);
	read_gpu(fixture, (struct reading){.session = id, .bytes = 9 * GIB, .unknown = true});
	expect_nothing(fixture);
}

/* It uses a card that it was not given: told once, at the next reading of its own; not of what a
 * context takes, and not where another lease of its own is. */
static void test_astray(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s, id, lease;

	fixture_gpus(fixture, 2, 1, 24 * GIB);
	snprintf(fixture->config.gpus[1].name, sizeof(fixture->config.gpus[1].name), "gpu1");
	fixture_configure(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "a");
	id = fixture_session_id(fixture, s);
	lease = fixture_take(fixture, s, fixture_need(LEASE_NORMAL, 1, 2 * GIB));
	read_gpu(fixture, (struct reading){.gpu = 1, .session = id, .bytes = 64 << 20});
	read_gpu(fixture, (struct reading){0});
	expect_nothing(fixture);

	read_gpu(fixture, (struct reading){.gpu = 1, .session = id, .bytes = GIB});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){0});
	expect(fixture, lease, NOTICE_ASTRAY);
	assert_string_equal(fixture_sent(fixture, SEND_NOTICE, lease)->send.detail,
			    "It uses 1024 MiB of gpu1, on which it has no lease.");
	read_gpu(fixture, (struct reading){0});
	expect_nothing(fixture);

	uint64_t second = fixture_take(fixture, s, fixture_need(LEASE_NORMAL, 1, 2 * GIB));
	read_gpu(fixture, (struct reading){.gpu = 1, .session = id, .bytes = GIB});
	read_gpu(fixture, (struct reading){0});
	expect_nothing(fixture);
	fixture_release(fixture, s, second, false);
	read_gpu(fixture, (struct reading){.gpu = 1, .session = id, .bytes = GIB});
	read_gpu(fixture, (struct reading){0});
	expect(fixture, lease, NOTICE_ASTRAY);
}

/* Who declared nothing is not over it. */
static void test_nothing_declared(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_hold(fixture, s, LEASE_NORMAL);
	read_gpu(fixture,
		 (struct reading){.session = fixture_session_id(fixture, s), .bytes = 5 * GIB});
	expect_nothing(fixture);
}

static void test_lost(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_TAB, "a");
	uint64_t lease = fixture_hold(fixture, s, LEASE_NORMAL);

	read_gpu(fixture, (struct reading){.lost = true});
	expect(fixture, lease, NOTICE_LOST);
	read_gpu(fixture, (struct reading){.lost = true});
	expect_nothing(fixture);
	read_gpu(fixture, (struct reading){0});
	expect(fixture, lease, NOTICE_BACK);
	read_gpu(fixture, (struct reading){0});
	expect_nothing(fixture);
}

/* It has no session, so it hears nothing; people see it. */
static void test_plain(void **state)
{
	struct fixture *fixture = *state;
	struct claim_view view;
	uint64_t lease = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_NORMAL, "curl"));

	read_gpu(fixture, (struct reading){.lost = true});
	expect_nothing(fixture);
	assert_true(core_claim(fixture->core, lease, fixture->now, &view));
	assert_int_equal(view.noticed, 1u << NOTICE_LOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_idle),     TEST(test_idle_before),
		TEST(test_resident), TEST(test_several),
		TEST(test_why),      TEST(test_over),
		TEST(test_astray),   TEST(test_lost),
		TEST(test_plain),    TEST(test_nothing_declared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

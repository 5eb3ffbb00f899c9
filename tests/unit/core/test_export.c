/* Goal: a core that was exported and imported is the same one: the same bytes again, and the same
 * effects of whatever comes next; its bytes do not depend on what is not its state; bytes that are
 * no state are refused. Method: states of the fixture, exported in the middle of things. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "core/event.h"
#include "core/export.h"
#include "core/import.h"
#include "core/state_rows.h"
#include "fixture.h"

/* A holder of each kind, waiters, an offer, a loan, a revoke, a lost place, samples, a pause. */
static void set_the_scene(struct fixture *fixture)
{
	struct event want = fixture_want(BIND_HTTP, LEASE_NORMAL, "plain");
	uint64_t tab, native, lease, inside;

	fixture_gpus(fixture, 3, 2, 24 * GIB);
	fixture_configure(fixture);
	tab = fixture_session(fixture, BIND_TAB, "tab");
	native = fixture_session(fixture, BIND_NATIVE, "native");
	want.acquire.need.vram_bytes = 3 * GIB;
	want.acquire.request_id = "again";
	fixture_ask(fixture, 0, want);
	fixture_sample(fixture, 0, 9 * GIB, fixture_session_id(fixture, native), 2 * GIB);
	lease = fixture_hold(fixture, native, LEASE_BACKGROUND);
	fixture_pass(fixture, 700);
	for (int i = 0; i < 4; i++) {
		struct event anywhere = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
		anywhere.acquire.need.gpu_mask = UINT32_MAX;
		fixture_take(fixture, tab, anywhere);
	}
	want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	want.acquire.parent = lease;
	inside = fixture_ask(fixture, native, want);
	fixture_step(fixture, (struct event){.type = EVENT_LEND,
					     .from = {PARTY_SESSION, native},
					     .lend = {.lease = lease, .to = inside}});
	assert_int_equal(fixture_state(fixture, inside), CLAIM_OFFERED);
	fixture_wait(fixture, tab, LEASE_VOICE);
	want = fixture_want(BIND_HTTP, LEASE_CHAT, "lost");
	want.acquire.request_id = "lost";
	want.from = (struct party){PARTY_EXCHANGE, 999};
	fixture_step(fixture, want);
	fixture_close(fixture, 999);
	fixture_pass(fixture, 300);
	fixture_admin(fixture, ADMIN_REVOKE, lease);
	fixture_close(fixture, tab);
}

static struct core *copy_of(const struct core *core)
{
	struct buf bytes = {0};
	const char *why = NULL;
	struct core *copy;

	core_export(core, &bytes);
	copy = core_import(buf_data(&bytes), bytes.length, 77, &why);
	assert_null(why);
	assert_non_null(copy);
	buf_finish(&bytes);
	return copy;
}

static void assert_same(const struct core *a, const struct core *b)
{
	struct buf one = {0}, other = {0};

	core_export(a, &one);
	core_export(b, &other);
	assert_int_equal(one.length, other.length);
	assert_memory_equal(buf_data(&one), buf_data(&other), one.length);
	buf_finish(&one);
	buf_finish(&other);
}

static void comes_back_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct core *copy;

	set_the_scene(fixture);
	copy = copy_of(fixture->core);
	core_check(copy, fixture->now);
	assert_same(fixture->core, copy);
	core_destroy(copy);
}

static void has_the_same_future(void **state)
{
	struct fixture *fixture = *state;
	struct core *copy;
	struct effects fx;

	set_the_scene(fixture);
	copy = copy_of(fixture->core);
	effects_init(&fx);
	for (int i = 0; i < 400; i++) {
		struct event event = {.type = EVENT_TICK, .now = mono_after(fixture->now, 200)};
		fixture_pass(fixture, 200);
		event.now = fixture->now;
		effects_clear(&fx);
		core_step(copy, &event, &fx);
		core_check(copy, fixture->now);
	}
	/* The fixture ticked more often: the states meet when all deadlines are over. */
	assert_same(fixture->core, copy);
	effects_finish(&fx);
	core_destroy(copy);
}

static void relative_knows_no_clock(void **state)
{
	struct fixture *fixture = *state, late;
	struct buf one = {0}, other = {0};
	const char *why;
	struct core *copy;

	fixture_init(&late);
	late.now = mono_after(late.now, 1234567);
	fixture_start(&late);
	set_the_scene(fixture);
	set_the_scene(&late);
	core_export_relative(fixture->core, fixture->now, &one);
	core_export_relative(late.core, late.now, &other);
	assert_int_equal(one.length, other.length);
	assert_memory_equal(buf_data(&one), buf_data(&other), one.length);
	copy = core_import(buf_data(&one), one.length, 0, &why);
	assert_non_null(copy);
	core_check(copy, (struct mono_ms){0});
	buf_clear(&other, 0);
	core_export_relative(copy, (struct mono_ms){0}, &other);
	assert_int_equal(one.length, other.length);
	assert_memory_equal(buf_data(&one), buf_data(&other), one.length);
	core_destroy(copy);
	fixture_finish(&late);
	buf_finish(&one);
	buf_finish(&other);
}

/* One that had other claims before is, in the end, where the other is. */
static void canonical_forgets_numbers(void **state)
{
	struct fixture *fixture = *state, other;
	struct buf one = {0}, two = {0};
	uint64_t conn;

	fixture_init(&other);
	fixture_start(&other);
	conn = fixture_session(&other, BIND_TAB, "was");
	fixture_release(&other, conn, fixture_hold(&other, conn, LEASE_NORMAL), false);
	fixture_step(&other, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});
	other.ref_next = fixture->ref_next;
	fixture_pass(fixture, 60000);
	fixture_pass(&other, 60000);
	set_the_scene(fixture);
	set_the_scene(&other);
	core_export_canonical(fixture->core, fixture->now, &one);
	core_export_canonical(other.core, other.now, &two);
	assert_int_equal(one.length, two.length);
	assert_memory_equal(buf_data(&one), buf_data(&two), one.length);
	fixture_finish(&other);
	buf_finish(&one);
	buf_finish(&two);
}

static void seal(struct buf *bytes)
{
	uint64_t sum = hash_bytes(0, buf_data(bytes), bytes->length - sizeof(sum));

	memcpy(buf_data(bytes) + bytes->length - sizeof(sum), &sum, sizeof(sum));
}

/* With a checksum that is right, too. */
static void damage_is_refused_or_harmless(void **state)
{
	struct fixture *fixture = *state;
	struct buf bytes = {0};

	set_the_scene(fixture);
	core_export(fixture->core, &bytes);
	for (size_t i = 0; i < bytes.length; i++)
		for (int bit = 0; bit < 8; bit++) {
			const char *why = NULL;
			char was = buf_data(&bytes)[i];
			struct core *core;
			buf_data(&bytes)[i] = (char)(was ^ 1 << bit);
			core = core_import(buf_data(&bytes), bytes.length, 0, &why);
			assert_null(core);
			assert_non_null(why);
			seal(&bytes);
			core_destroy(core_import(buf_data(&bytes), bytes.length, 0, &why));
			buf_data(&bytes)[i] = was;
			seal(&bytes);
		}
	for (size_t cut = 0; cut < bytes.length; cut++) {
		const char *why = NULL;
		assert_null(core_import(buf_data(&bytes), cut, 0, &why));
		assert_non_null(why);
	}
	buf_finish(&bytes);
}

/* A newer broker writes a section and fields that this one does not know. */
static void unknown_is_passed_over(void **state)
{
	struct fixture *fixture = *state;
	struct buf bytes = {0};
	const char *why = NULL;
	struct core *core;

	set_the_scene(fixture);
	core_export(fixture->core, &bytes);
	bytes.length -= 8;
	buf_append(&bytes, "\x7d\x03new", 5);
	buf_append(&bytes, "checksum", 8);
	seal(&bytes);
	core = core_import(buf_data(&bytes), bytes.length, 0, &why);
	assert_non_null(core);
	assert_same(fixture->core, core);
	core_destroy(core);
	buf_finish(&bytes);
}

static void grant(struct fixture *fixture, enum binding binding, bool loads)
{
	struct event want = fixture_want(binding, LEASE_CHAT, NULL);
	struct claim_view view;
	uint64_t conn = binding <= BIND_TAB ? fixture_session(fixture, binding, "holder") : 0,
		 lease;

	want.acquire.name = "holder";
	want.acquire.loads = loads;
	lease = fixture_ask(fixture, conn, want);
	if (binding <= BIND_TAB)
		fixture_accept(fixture, conn, lease);
	if (binding == BIND_HTTP) { /* it has its whole answer */
		assert_true(core_claim(fixture->core, lease, fixture->now, &view));
		fixture_close(fixture, view.conn);
	}
	assert_int_equal(fixture_state(fixture, lease), loads ? CLAIM_LOADING : CLAIM_HELD);
}

/* Whatever keeps a lease alive, ready or not. */
static void leases_of_all_bindings_come_back(void **state)
{
	struct fixture *fixture = *state;
	struct core *copy;

	fixture_gpus(fixture, 1, 2 * (BIND_HTTP + 1), 0);
	fixture_configure(fixture);
	for (int binding = 0; binding <= BIND_HTTP; binding++) {
		grant(fixture, (enum binding)binding, false);
		grant(fixture, (enum binding)binding, true);
	}
	copy = copy_of(fixture->core);
	core_check(copy, fixture->now);
	assert_same(fixture->core, copy);
	core_destroy(copy);
}

/* How its work ended, as its client said, is known when the drain is over. */
static void what_was_said_comes_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn = fixture_session(fixture, BIND_NATIVE, "native"), lease;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	struct event sample = {.type = EVENT_GPU_SAMPLE};
	const struct record *record = NULL;
	struct effects fx;
	struct core *copy;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	want.acquire.need.vram_bytes = 2 * GIB;
	lease = fixture_ask(fixture, conn, want);
	fixture_accept(fixture, conn, lease);
	fixture_sample(fixture, 0, 2 * GIB, fixture_session_id(fixture, conn), 2 * GIB);
	fixture_step(fixture,
		     (struct event){.type = EVENT_RELEASE,
				    .from = {PARTY_SESSION, conn},
				    .release = {.lease = lease, .detail = "exit status 1"}});
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	fixture_pass(fixture, 1000);

	copy = copy_of(fixture->core);
	assert_same(fixture->core, copy);
	effects_init(&fx);
	sample.now = sample.sample.measured = fixture->now;
	sample.sample.healthy = sample.sample.used_known = true;
	core_step(copy, &sample, &fx);
	for (size_t i = 0; i < fx.count; i++)
		if (fx.v[i].type == EFFECT_APPEND && fx.v[i].record.type == RECORD_CLAIM_END)
			record = &fx.v[i].record;
	assert_non_null(record);
	assert_string_equal(record->detail.text, "exit status 1");
	effects_finish(&fx);
	core_destroy(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back_the_same, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(has_the_same_future, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(leases_of_all_bindings_come_back, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(what_was_said_comes_back, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(relative_knows_no_clock, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(canonical_forgets_numbers, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(damage_is_refused_or_harmless, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(unknown_is_passed_over, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

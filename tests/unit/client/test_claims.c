/* Goal: what a program does with a claim reaches the broker, and what the broker says reaches the
 * right handler, once and in order. Method: a scripted broker, one thread. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_broker.h"

struct scene {
	struct fake fake;
	struct baton *baton;
	struct seen seen;
};

static int setup(void **state)
{
	static struct scene scene;
	memset(&scene, 0, sizeof(scene));
	fake_open(&scene.fake);
	*state = &scene;
	return fake_connect(&scene.fake, NULL, NULL, &scene.baton);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	baton_close(scene->baton);
	fake_close(&scene->fake);
	return 0;
}

/* Every field of a request is on the wire under its name, and defaults are not. */
static void request_fields(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	baton_request_init(&request);
	request.lease_class = "background";
	request.vram_bytes = (8ull << 30) + 1;
	request.slots = 2;
	request.gpus = 3;
	request.gpu = "gpu1";
	request.timeout_ms = 90000;
	request.evictable = true;
	request.loads = true;
	request.uninterruptible_ms = 500;
	request.min_residence_ms = 600;
	request.load_ms = 700;
	request.label = "llama";
	request.request_id = "job-1";
	request.parent_lease = 9;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	json_t *message = fake_take(&scene->fake, "acquire");
	json_t *expected = json_pack(
		"{s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:i, s:i, s:i, s:i, s:b, s:s, s:s}",
		"type", "acquire", "ref", 1, "class", "background", "gpu", "gpu1", "gpus", 3,
		"slots", 2, "vram_mb", 8193, "evictable", 1, "loads", 1, "uninterruptible_ms", 500,
		"min_residence_ms", 600, "load_ms", 700, "parent", 9, "accept", 1, "request_id",
		"job-1", "label", "llama");
	assert_non_null(expected);
	double timeout_s = json_number_value(json_object_get(message, "timeout_s"));
	assert_true(timeout_s > 80 && timeout_s <= 90);
	json_object_del(message, "timeout_s");
	assert_true(json_equal(message, expected));
	json_decref(expected);
	json_decref(message);
	baton_claim_free(claim);
	fake_expect(&scene->fake, "cancel");

	baton_request_init(&request);
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	message = fake_take(&scene->fake, "acquire");
	assert_null(json_object_get(message, "timeout_s"));
	assert_null(json_object_get(message, "class"));
	assert_null(json_object_get(message, "vram_mb"));
	assert_int_equal(json_integer_value(json_object_get(message, "slots")), 1);
	assert_null(json_object_get(message, "parent"));
	assert_non_null(json_object_get(message, "request_id"));
	json_decref(message);
}

/* How many that is, only the broker knows. */
static void all_slots(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	baton_request_init(&request);
	request.slots = BATON_SLOTS_ALL;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	json_t *message = fake_take(&scene->fake, "acquire");
	assert_string_equal(json_string_value(json_object_get(message, "slots")), "all");
	json_decref(message);
	baton_claim_free(claim);
}

/* Waiting for ever and not at all are said outright. */
static void timeouts(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	baton_request_init(&request);
	request.timeout_ms = BATON_TIMEOUT_NEVER;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	json_t *message = fake_take(&scene->fake, "acquire");
	assert_true(json_is_null(json_object_get(message, "timeout_s")));
	assert_null(json_object_get(message, "preemptible"));
	json_decref(message);
	request.no_wait = request.no_preempt = true;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	message = fake_take(&scene->fake, "acquire");
	assert_true(json_is_false(json_object_get(message, "wait")));
	assert_true(json_is_false(json_object_get(message, "preemptible")));
	json_decref(message);
}

/* queued, granted, release, ended: the plain life of a claim. */
static void plain_life(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_claim(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':2,'eta_s':1.5,'eta_"
				"p90_s':4,'estimate':'about 1.5 s',"
				"'bound_s':60,'why':{'code':'holder','text':'x holds gpu0.'}}");
	pump(scene->baton, &seen->queued, 1);
	assert_int_equal(seen->place.position, 2);
	assert_int_equal(seen->place.eta_ms, 1500);
	assert_int_equal(seen->place.eta_p90_ms, 4000);
	assert_int_equal(seen->place.bound_ms, 60000);
	assert_string_equal(seen->why, "x holds gpu0.");
	assert_string_equal(seen->reason, "holder");
	assert_int_equal(baton_claim_id(claim), 7);
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':100}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "accept"), 7);
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':["
				"{'index':1,'name':'b','uuid':'GPU-b'},{'index':2,'name':'c'}]}");
	pump(scene->baton, &seen->granted, 1);
	const struct baton_lease *lease = baton_claim_lease(claim);
	assert_non_null(lease);
	assert_int_equal(baton_lease_id(lease), 7);
	assert_int_equal(baton_lease_fence(lease), 100);
	assert_int_equal(baton_lease_gpu_count(lease), 2);
	assert_int_equal(baton_lease_gpu_index(lease, 0), 1);
	assert_string_equal(baton_lease_gpu_uuid(lease, 0), "GPU-b");
	assert_string_equal(baton_lease_gpu_name(lease, 1), "c");
	assert_string_equal(baton_lease_gpu_uuid(lease, 1), "");
	assert_int_equal(baton_release(claim, false), 0);
	assert_null(baton_claim_lease(claim));
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, 0);
	assert_int_equal(seen->revoked, 0);
	assert_int_equal(baton_claim_ended(claim), 1);
	assert_int_equal(baton_release(claim, false), BATON_E_STATE);
	fake_send(&scene->fake, "{'type':'released','ref':1,'lease':7,'reason':'released'}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(seen->ended, 1);
}

/* The blocking call returns with a lease in hand. */
static void blocking_acquire(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	baton_request_init(&request);
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':100}");
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	assert_int_equal(baton_acquire_wait(scene->baton, &request, &claim), 0);
	assert_non_null(claim);
	assert_int_equal(baton_lease_fence(baton_claim_lease(claim)), 100);
}

/* A yield says why, for whom and how long; the answers are `yielding` or a release that comes back.
 */
static void yield_and_requeue(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_false(baton_yield_asked(claim));
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','for_lease':8,"
				"'for':'mic','grace_ms':2000}");
	pump(scene->baton, &seen->yields, 1);
	assert_string_equal(seen->reason, "preempted");
	assert_string_equal(seen->for_whom, "mic");
	assert_int_equal(seen->grace_ms, 2000);
	assert_true(baton_yield_asked(claim));
	assert_non_null(baton_claim_lease(claim));
	assert_int_equal(baton_yielding(claim, 1500), 0);
	json_t *message = fake_take(&scene->fake, "yielding");
	assert_int_equal(json_integer_value(json_object_get(message, "need_ms")), 1500);
	json_decref(message);
	assert_int_equal(baton_release(claim, true), 0);
	assert_null(baton_claim_lease(claim));
	message = fake_take(&scene->fake, "release");
	assert_true(json_is_true(json_object_get(message, "requeue")));
	json_decref(message);
	fake_send(&scene->fake, "{'type':'renewed','lease':7,'expires_in_s':1.5}");
	fake_send(&scene->fake, "{'type':'released','ref':1,'lease':7}");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':1}");
	pump(scene->baton, &seen->queued, 1);
	assert_int_equal(seen->ended, 0);
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':101}");
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "accept");
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':101,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	pump(scene->baton, &seen->granted, 2);
	assert_int_equal(seen->fence, 101);
	assert_false(baton_yield_asked(claim));
}

/* A requeue that comes too late ends the claim: there was nothing left to come back to. */
static void requeue_too_late(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_release(claim, true), 0);
	fake_expect(&scene->fake, "release");
	fake_send(&scene->fake, "{'type':'released','ref':1,'lease':7,'reason':'revoked'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, 0);
	assert_int_equal(seen->revoked, 0);
}

/* I2: a second grant with a fence that does not rise is no lease. */
static void fence_must_rise(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_release(claim, true), 0);
	fake_expect(&scene->fake, "release");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	pump(scene->baton, &seen->queued, 1);
	assert_null(baton_claim_lease(claim));
	assert_int_equal(baton_link_state(scene->baton), BATON_LINK_DOWN);
}

/* Revoked: the handler runs without a lease to ask for, then the broker is told, then it ends. */
static void revoked(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'hold-max'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	assert_string_equal(seen->reason, "hold-max");
	assert_false(seen->lease_in_revoked);
	assert_int_equal(seen->fence_in_revoked, 100);
	assert_int_equal(seen->code, BATON_E_REVOKED);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_int_equal(baton_renew(claim), BATON_E_STATE);
	assert_int_equal(baton_change(claim, 1, 0), BATON_E_STATE);
}

/* D1: the broker is told when the work has stopped, not when the handler has returned. Meanwhile
 * heartbeats go on, and nothing that it says is taken for a wish to have the lease back. */
static void stops_later(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold_later(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_time_left_ms(claim), -1);
	assert_int_equal(baton_lease_stopped(claim), BATON_E_STATE);
	fake_send(&scene->fake,
		  "{'type':'revoked','lease':7,'reason':'preempted','grace_ms':5000}");
	pump(scene->baton, &seen->revoked, 1);
	assert_null(baton_claim_lease(claim));
	assert_true(baton_time_left_ms(claim) > 4000 && baton_time_left_ms(claim) <= 5000);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'preempted'}");
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':1}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "alive");
	assert_true(fake_is_quiet(&scene->fake));
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->ended, 0);
	assert_int_equal(baton_claim_ended(claim), 0);

	assert_int_equal(baton_lease_stopped(claim), 0);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_int_equal(baton_lease_stopped(claim), BATON_E_STATE);
	assert_int_equal(baton_time_left_ms(claim), -1);
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, BATON_E_REVOKED);
	assert_true(fake_is_quiet(&scene->fake));
}

/* Said from within the handler, it is as if there were no stops_later. */
static void stopped_in_handler(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	seen->stopped_in_revoked = true;
	fake_hold_later(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'hold-max'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_true(fake_is_quiet(&scene->fake));
}

/* Freeing a claim, and closing the session, say that the work has stopped. */
static void freed_is_stopped(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold_later(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'hold-max'}");
	pump(scene->baton, &seen->revoked, 1);
	assert_true(fake_is_quiet(&scene->fake));
	baton_claim_free(claim);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
}

/* A yield that is taken back is over; one that the program had not heard of yet is not told at all.
 */
static void kept(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':60000}");
	pump(scene->baton, &seen->yields, 1);
	fake_send(&scene->fake, "{'type':'keep','lease':7}");
	pump(scene->baton, &seen->kept, 1);
	assert_false(baton_yield_asked(claim));
	assert_int_equal(baton_time_left_ms(claim), -1);
	assert_non_null(baton_claim_lease(claim));
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':60000}");
	fake_send(&scene->fake, "{'type':'keep','lease':7}");
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	pump(scene->baton, &seen->revoked, 1);
	assert_int_equal(seen->yields + seen->kept, 2);
}

/* How much time there is: by the yield, then by the answer to `yielding`. */
static void time_left(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_time_left_ms(claim), -1);
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':60000}");
	pump(scene->baton, &seen->yields, 1);
	assert_true(baton_time_left_ms(claim) > 50000 && baton_time_left_ms(claim) <= 60000);
	assert_int_equal(baton_yielding(claim, 3600000), 0);
	fake_expect(&scene->fake, "yielding");
	fake_send(&scene->fake, "{'type':'renewed','lease':7,'expires_in_s':300}");
	pump(scene->baton, &seen->answered, 1);
	assert_true(baton_time_left_ms(claim) > 290000 && baton_time_left_ms(claim) <= 300000);
}

/* Processes are named at once; what cannot be named is refused and changes nothing. */
static void processes(void **state)
{
	struct scene *scene = *state;
	const pid_t pids[] = {123, 456}, none[] = {0};
	pid_t many[16];
	char long_path[600];
	assert_int_equal(baton_processes(scene->baton, pids, 2, "/sys/fs/cgroup/x"), 0);
	json_t *message = fake_take(&scene->fake, "processes");
	json_t *expected = json_pack("{s:s, s:[i,i], s:s}", "type", "processes", "pids", 123, 456,
				     "cgroup", "/sys/fs/cgroup/x");
	assert_true(json_equal(message, expected));
	json_decref(message);
	json_decref(expected);
	/* Another broker, other mounts: without the cgroup, then. Other refusals change nothing. */
	fake_send(&scene->fake,
		  "{'type':'denied','code':'bad_field','detail':'field `pids`: gone'}");
	fake_send(&scene->fake,
		  "{'type':'denied','code':'bad_field','detail':'field `cgroup`: no'}");
	baton_dispatch(scene->baton, 0);
	message = fake_take(&scene->fake, "processes");
	assert_int_equal(json_array_size(json_object_get(message, "pids")), 2);
	assert_null(json_object_get(message, "cgroup"));
	json_decref(message);
	for (size_t i = 0; i < 16; i++)
		many[i] = 1;
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(baton_processes(scene->baton, none, 1, NULL), BATON_E_INVALID);
	assert_int_equal(baton_processes(scene->baton, many, 16, NULL), BATON_E_INVALID);
	assert_int_equal(baton_processes(scene->baton, NULL, 0, "relative"), BATON_E_INVALID);
	assert_int_equal(baton_processes(scene->baton, NULL, 0, ""), BATON_E_INVALID);
	assert_int_equal(baton_processes(scene->baton, NULL, 0, long_path), BATON_E_INVALID);
	assert_int_equal(baton_keeper(scene->baton, -1), BATON_E_INVALID);
	assert_true(fake_is_quiet(&scene->fake));
	assert_int_equal(baton_keeper(scene->baton, 789), 0);
	message = fake_take(&scene->fake, "processes");
	assert_int_equal(json_array_size(json_object_get(message, "pids")), 3);
	assert_int_equal(json_integer_value(json_object_get(message, "keeper")), 789);
	json_decref(message);
	assert_int_equal(baton_keeper(scene->baton, 0), 0);
	fake_expect(&scene->fake, "processes");
	assert_int_equal(baton_processes(scene->baton, NULL, 0, NULL), 0);
	message = fake_take(&scene->fake, "processes");
	assert_int_equal(json_array_size(json_object_get(message, "pids")), 0);
	assert_null(json_object_get(message, "cgroup"));
	json_decref(message);
}

/* Three offers that were not taken end the claim; nobody's operator did it. */
static void missed_offers(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	fake_claim(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'released','ref':1,'lease':7,'reason':'disconnected'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, BATON_E_MISSED);
}

/* C13: once over, a lease stays over, whatever is said about it later. */
static void over_is_over(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	pump(scene->baton, &seen->ended, 1);
	fake_expect(&scene->fake, "release");
	fake_send(&scene->fake, "{'type':'renewed','lease':7}");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':200,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "cancel");
	fake_expect(&scene->fake, "release");
	assert_null(baton_claim_lease(claim));
	assert_int_equal(seen->granted, 1);
	assert_int_equal(seen->ended, 1);
}

/* change, lend and renew are answered one by one, refusals too. */
static void questions(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_change(claim, 0, 3ull << 30), 0);
	json_t *message = fake_take(&scene->fake, "change");
	assert_int_equal(json_integer_value(json_object_get(message, "slots")), 0);
	assert_int_equal(json_integer_value(json_object_get(message, "vram_mb")), 3072);
	json_decref(message);
	fake_send(&scene->fake, "{'type':'changed','lease':7}");
	pump(scene->baton, &seen->answered, 1);
	assert_int_equal(seen->question, BATON_ASKED_CHANGE);
	assert_int_equal(seen->answer_code, 0);

	assert_int_equal(baton_change(claim, BATON_SLOTS_ALL, 0), BATON_E_INVALID);
	assert_int_equal(baton_change(claim, 1, 90ull << 30), 0);
	fake_expect(&scene->fake, "change");
	fake_send(&scene->fake, "{'type':'denied','lease':7,'code':'no_room'}");
	pump(scene->baton, &seen->answered, 2);
	assert_int_equal(seen->question, BATON_ASKED_CHANGE);
	assert_int_equal(seen->answer_code, BATON_E_NO_ROOM);
	assert_non_null(baton_claim_lease(claim));

	assert_int_equal(baton_lend(claim, 12), 0);
	fake_expect(&scene->fake, "lend");
	fake_send(&scene->fake, "{'type':'lent','lease':7,'to':12}");
	pump(scene->baton, &seen->answered, 3);
	assert_int_equal(seen->question, BATON_ASKED_LEND);

	assert_int_equal(baton_renew(claim), 0);
	fake_expect(&scene->fake, "renew");
	fake_send(&scene->fake, "{'type':'renewed','lease':7,'expires_in_s':20}");
	pump(scene->baton, &seen->answered, 4);
	assert_int_equal(seen->question, BATON_ASKED_RENEW);

	assert_int_equal(baton_yielding(claim, 800), 0);
	fake_expect(&scene->fake, "yielding");
	fake_send(&scene->fake, "{'type':'renewed','lease':7,'expires_in_s':0.8}");
	pump(scene->baton, &seen->answered, 5);
	assert_int_equal(seen->question, BATON_ASKED_YIELDING);
	assert_int_equal(seen->answer_code, 0);
	assert_int_equal(baton_yielding(claim, 800), 0);
	fake_expect(&scene->fake, "yielding");
	fake_send(&scene->fake, "{'type':'denied','ref':1,'lease':7,'code':'wrong_state'}");
	pump(scene->baton, &seen->answered, 6);
	assert_int_equal(seen->answer_code, BATON_E_STATE);

	assert_int_equal(baton_change(claim, 0, 0), BATON_E_INVALID);
	assert_int_equal(baton_lend(claim, 0), BATON_E_INVALID);
	assert_int_equal(baton_yielding(claim, -1), BATON_E_INVALID);
	assert_true(fake_is_quiet(&scene->fake));
}

/* P13: a renew that is told "stale" ends the lease on our side, too. */
static void stale_ends_the_lease(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_renew(claim), 0);
	fake_expect(&scene->fake, "renew");
	fake_send(&scene->fake, "{'type':'denied','lease':7,'code':'stale'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->answer_code, BATON_E_LOST);
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
	assert_null(baton_claim_lease(claim));
}

/* Heartbeats are answered inside dispatch and are nobody else's business. */
static void heartbeat(void **state)
{
	struct scene *scene = *state;
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	assert_int_equal(baton_dispatch(scene->baton, 0), 0);
	fake_expect(&scene->fake, "alive");
}

/* Handlers may release and free what they are told about. */
static void release_in_handler(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	fake_hold(&scene->fake, scene->baton, seen);
	seen->release_in_yield = true;
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'evicted','grace_ms':2000}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_int_equal(seen->code, 0);
}

static void free_claim(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	(void)code, (void)reason;
	++*(int *)ctx;
	baton_claim_free(claim);
}

static void free_in_handler(void **state)
{
	struct scene *scene = *state;
	struct baton_claim_handlers handlers;
	struct baton_request request;
	struct baton_claim *claim;
	int freed = 0;
	baton_claim_handlers_init(&handlers);
	handlers.ended = free_claim;
	baton_request_init(&request);
	request.handlers = &handlers;
	request.ctx = &freed;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	fake_expect(&scene->fake, "acquire");
	fake_send(&scene->fake, "{'type':'timeout','ref':1}");
	pump(scene->baton, &freed, 1);
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':1}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "cancel"), 1);
}

/* A freed lease is given back, and its handlers are never called again. */
static void free_held(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	baton_claim_free(claim);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(seen->revoked + seen->ended, 0);
}

/* The one descriptor is readable exactly while there is something to do. */
static void one_descriptor(void **state)
{
	struct scene *scene = *state;
	struct pollfd p = {.fd = baton_fd(scene->baton), .events = POLLIN};
	baton_dispatch(scene->baton, 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	assert_int_equal(poll(&p, 1, FAKE_MS_MAX), 1);
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "alive");
	assert_int_equal(poll(&p, 1, 0), 0);
	struct baton_claim *claim = fake_claim(&scene->fake, scene->baton, &scene->seen);
	assert_int_equal(poll(&p, 1, 0), 0);
	baton_cancel(claim); /* its `ended` waits to be told */
	assert_int_equal(poll(&p, 1, FAKE_MS_MAX), 1);
	assert_int_equal(baton_dispatch(scene->baton, 0), 1);
}

/* 16 claims in one session, and not one more. */
static void claim_limit(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	baton_request_init(&request);
	for (int i = 0; i < 16; i++)
		assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), BATON_E_FULL);
	assert_null(claim);
}

/* What cannot be sent is refused before it is asked. */
static void bad_requests(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	for (int i = 0; i < 13; i++) {
		baton_request_init(&request);
		switch (i) {
		case 12:
			request.slots = BATON_SLOTS_ALL - 1;
			break;
		case 0:
			request.gpus = 0;
			break;
		case 1:
			request.gpus = 17;
			break;
		case 2:
			request.slots = 0; /* and no VRAM: nothing at all */
			break;
		case 3:
			request.label = "line\nbreak";
			break;
		case 4:
			request.label = "";
			break;
		case 5:
			request.request_id = "\xff";
			break;
		case 6:
			request.timeout_ms = -3;
			break;
		case 7:
			request.load_ms = -1;
			break;
		case 8:
			request.size = 3;
			break;
		case 9:
			request.vram_bytes = UINT64_MAX;
			break;
		case 10:
			request.gpu = "\x1b[2J";
			break;
		case 11:
			request.label = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
					"abcdefghijklmnopqrstuvwxyz";
			break;
		}
		assert_int_equal(baton_acquire(scene->baton, &request, &claim), BATON_E_INVALID);
		assert_null(claim);
	}
	assert_true(fake_is_quiet(&scene->fake));
}

/* A program built against an older or newer header: the size tells. */
static void other_versions(void **state)
{
	struct scene *scene = *state;
	struct baton_claim *claim;
	struct {
		struct baton_request request;
		uint64_t of_the_future;
	} newer;
	struct baton_request older;
	baton_request_init(&older);
	older.size = offsetof(struct baton_request, evictable);
	older.evictable = true; /* garbage, as far as the old header goes */
	assert_int_equal(baton_acquire(scene->baton, &older, &claim), 0);
	json_t *message = fake_take(&scene->fake, "acquire");
	assert_null(json_object_get(message, "evictable"));
	json_decref(message);
	memset(&newer, 0, sizeof(newer));
	baton_request_init(&newer.request);
	newer.request.size = sizeof(newer);
	assert_int_equal(baton_acquire(scene->baton, &newer.request, &claim), 0);
	newer.of_the_future = 1;
	assert_int_equal(baton_acquire(scene->baton, &newer.request, &claim), BATON_E_INVALID);
}

/* bye is said on the way out. */
static void close_says_bye(void **state)
{
	struct scene *scene = *state;
	fake_hold(&scene->fake, scene->baton, &scene->seen);
	baton_close(scene->baton);
	fake_expect(&scene->fake, "bye");
	assert_true(fake_is_closed(&scene->fake));
	assert_int_equal(fake_connect(&scene->fake, NULL, NULL, &scene->baton), 0);
}

/* A link to the pages, and its refusal. */
static void page_link(void **state)
{
	struct scene *scene = *state;
	char url[64] = "";
	fake_send(&scene->fake, "{'type':'link','url':'http://127.0.0.1:8470/?open=x'}");
	assert_int_equal(baton_page_link(scene->baton, url, sizeof(url)), 0);
	assert_string_equal(url, "http://127.0.0.1:8470/?open=x");
	fake_expect(&scene->fake, "open");
	fake_send(&scene->fake, "{'type':'denied','code':'forbidden'}");
	assert_int_equal(baton_page_link(scene->baton, url, sizeof(url)), BATON_E_FORBIDDEN);
	fake_send(&scene->fake, "{'type':'link','url':'http://127.0.0.1:8470/?open=x'}");
	assert_int_equal(baton_page_link(scene->baton, url, 8), BATON_E_INVALID);
}

/* Programs that compute without dispatching: the thread answers, the handlers wait. */
static void keepalive(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_keepalive_start(scene->baton), 0);
	assert_int_equal(baton_keepalive_start(scene->baton), BATON_E_STATE);
	for (int i = 0; i < 5; i++) {
		fake_send(&scene->fake, "{'type':'heartbeat'}");
		fake_expect(&scene->fake, "alive");
	}
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':100}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	assert_true(baton_yield_asked(claim));
	assert_int_equal(seen->yields, 0);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'preempted'}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	assert_null(baton_claim_lease(claim));
	assert_int_equal(seen->revoked, 0);
	assert_true(fake_is_quiet(&scene->fake)); /* the release waits for the handler */
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	fake_expect(&scene->fake, "release");
	baton_keepalive_stop(scene->baton);
	baton_keepalive_stop(scene->baton);
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	assert_int_equal(baton_dispatch(scene->baton, 0), 0);
	fake_expect(&scene->fake, "alive");
	assert_int_equal(baton_keepalive_start(scene->baton), 0); /* baton_close stops it */
}

#define with_scene(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_scene(request_fields),
		with_scene(all_slots),
		with_scene(timeouts),
		with_scene(plain_life),
		with_scene(blocking_acquire),
		with_scene(yield_and_requeue),
		with_scene(requeue_too_late),
		with_scene(fence_must_rise),
		with_scene(revoked),
		with_scene(stops_later),
		with_scene(stopped_in_handler),
		with_scene(freed_is_stopped),
		with_scene(kept),
		with_scene(time_left),
		with_scene(processes),
		with_scene(missed_offers),
		with_scene(over_is_over),
		with_scene(questions),
		with_scene(stale_ends_the_lease),
		with_scene(heartbeat),
		with_scene(release_in_handler),
		with_scene(free_in_handler),
		with_scene(free_held),
		with_scene(one_descriptor),
		with_scene(claim_limit),
		with_scene(bad_requests),
		with_scene(other_versions),
		with_scene(close_says_bye),
		with_scene(page_link),
		with_scene(keepalive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

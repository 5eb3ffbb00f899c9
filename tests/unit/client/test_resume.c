/* Goal: a restart of the broker costs nobody a lease or a place that the broker still knows, and
 * leaves nobody with a lease that it does not know. Method: the scripted broker hangs up, comes
 * back and remembers all, some or nothing. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_broker.h"

struct scene {
	struct fake fake;
	struct baton *baton;
	struct seen seen;
};

/* A linger of 0.4 s leaves 0.2 s after a break: base/margin.h halves it. */
#define SHORT_LINGER                                                                               \
	"{'type':'welcome','version':1,'session':'3-secret','resumed':false,'epoch':1,"            \
	"'session_ttl_s':1.2,'linger_s':0.4}"

/* The same ten times as slow: what a busy machine takes is little beside it. */
#define MEASURED_LINGER                                                                            \
	"{'type':'welcome','version':1,'session':'3-secret','resumed':false,'epoch':1,"            \
	"'session_ttl_s':12,'linger_s':4}"

static int open_scene(struct scene *scene, const char *welcome)
{
	struct baton_options options;
	memset(scene, 0, sizeof(*scene));
	fake_open(&scene->fake);
	baton_options_init(&options);
	options.link_changed = seen_link;
	options.ctx = &scene->seen;
	return fake_connect(&scene->fake, &options, welcome, &scene->baton);
}

static int setup(void **state)
{
	static struct scene scene;
	*state = &scene;
	return open_scene(&scene, NULL);
}

static int setup_short(void **state)
{
	static struct scene scene;
	*state = &scene;
	return open_scene(&scene, SHORT_LINGER);
}

static int setup_measured(void **state)
{
	static struct scene scene;
	*state = &scene;
	return open_scene(&scene, MEASURED_LINGER);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	baton_close(scene->baton);
	fake_close(&scene->fake);
	return 0;
}

/* The broker goes away and is away until the client has noticed. */
static void break_link(struct scene *scene)
{
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	pump(scene->baton, &scene->seen.links, scene->seen.links + 1);
	assert_int_equal(scene->seen.link, BATON_LINK_DOWN);
	assert_int_equal(baton_link_state(scene->baton), BATON_LINK_DOWN);
	fake_listen(&scene->fake);
}

/* Dispatches until the client has connected, then answers its hello. */
static void resume(struct scene *scene, bool known)
{
	struct seen *seen = &scene->seen;
	while (!fake_has_guest(&scene->fake))
		baton_dispatch(scene->baton, 10);
	fake_resume(&scene->fake, known);
	pump(scene->baton, &seen->links, seen->links + 1);
	assert_int_equal(seen->link, known ? BATON_LINK_UP : BATON_LINK_LOST);
}

/* S10: held, broken, resumed: the same lease, no handler but the link's. */
static void lease_survives(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	assert_non_null(baton_claim_lease(claim));
	resume(scene, true);
	assert_int_equal(fake_expect(&scene->fake, "renew"), 7);
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'held','fence':100,"
				"'gpus':[{'index':0,'name':'gpu0'}]}");
	fake_send(&scene->fake, "{'type':'renewed','lease':7,'expires_in_s':20}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "alive");
	assert_non_null(baton_claim_lease(claim));
	assert_int_equal(baton_lease_fence(baton_claim_lease(claim)), 100);
	assert_int_equal(seen->granted, 1);
	assert_int_equal(seen->revoked + seen->ended + seen->yields, 0);
}

/* P3: a broker that cannot write its journal yet asks for a sign of life before it says welcome;
 * that is no reason to lose what is held. */
static void heartbeat_before_welcome(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	while (!fake_has_guest(&scene->fake))
		baton_dispatch(scene->baton, 10);
	fake_accept(&scene->fake);
	fake_expect(&scene->fake, "hello");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	baton_dispatch(scene->baton, 0);
	fake_expect(&scene->fake, "alive");
	fake_send(&scene->fake, "{'type':'welcome','version':1,'session':'3-secret',"
				"'resumed':true,'epoch':2}");
	pump(scene->baton, &seen->links, seen->links + 1);
	assert_int_equal(seen->link, BATON_LINK_UP);
	assert_non_null(baton_claim_lease(claim));
}

/* S10: a place survives under the same ref and request id. */
static void place_survives(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim_handlers handlers;
	struct baton_request request;
	struct baton_claim *claim;
	seen_handlers(&handlers);
	baton_request_init(&request);
	request.handlers = &handlers;
	request.ctx = seen;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	json_t *first = fake_take(&scene->fake, "acquire");
	break_link(scene);
	resume(scene, true);
	json_t *second = fake_take(&scene->fake, "acquire");
	assert_true(json_equal(first, second));
	json_decref(first);
	json_decref(second);
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'queued'}");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':4}");
	pump(scene->baton, &seen->queued, 1);
	assert_int_equal(seen->place.position, 4);
	assert_int_equal(seen->ended, 0);
}

/* A grant that was lost on the way is found again by the resume. */
static void lost_grant_is_found(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_claim(&scene->fake, scene->baton, seen);
	break_link(scene);
	resume(scene, true);
	fake_expect(&scene->fake, "acquire");
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'held','fence':100,"
				"'gpus':[{'index':0,'name':'gpu0'}]}");
	pump(scene->baton, &seen->granted, 1);
	assert_non_null(baton_claim_lease(claim));
	/* The answer to the repeated acquire says the same and changes nothing. */
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(seen->granted, 1);
	assert_non_null(baton_claim_lease(claim));
}

/* S8: an offer that was lost on the way is accepted after the resume. */
static void lost_offer_is_accepted(void **state)
{
	struct scene *scene = *state;
	fake_claim(&scene->fake, scene->baton, &scene->seen);
	break_link(scene);
	resume(scene, true);
	fake_expect(&scene->fake, "acquire");
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'offered','fence':100}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "accept"), 7);
}

/* A yield that was asked meanwhile is told; what was asked before is not told twice. */
static void yield_is_found(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	for (int round = 0; round < 2; round++) {
		break_link(scene);
		resume(scene, true);
		fake_expect(&scene->fake, "renew");
		fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'yielding',"
					"'fence':100,'gpus':[{'index':0,'name':'gpu0'}]}");
		pump(scene->baton, &seen->yields, 1);
		baton_dispatch(scene->baton, 0);
		assert_true(baton_yield_asked(claim));
	}
	assert_int_equal(seen->yields, 1);
}

/* R9: the broker forgot the session: the held lease is lost, and said to be. */
static void unknown_session_loses_leases(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	resume(scene, false);
	assert_null(baton_claim_lease(claim));
	assert_int_equal(seen->revoked, 1);
	assert_string_equal(seen->reason, "lost");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
}

/* The same, said by a refusal of the resume: the next hello is a plain one. */
static void refused_resume_loses_leases(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	while (!fake_has_guest(&scene->fake))
		baton_dispatch(scene->baton, 10);
	fake_accept(&scene->fake);
	fake_expect(&scene->fake, "hello");
	fake_send(&scene->fake, "{'type':'denied','code':'stale','detail':'session'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
	assert_null(baton_claim_lease(claim));
	while (!fake_has_guest(&scene->fake))
		baton_dispatch(scene->baton, 10);
	fake_accept(&scene->fake);
	json_t *hello = fake_take(&scene->fake, "hello");
	assert_null(json_object_get(hello, "resume"));
	json_decref(hello);
	fake_send(&scene->fake, "{'type':'welcome','version':1,'session':'9-other','epoch':2}");
	pump(scene->baton, &seen->links, seen->links + 1);
	assert_int_equal(seen->link, BATON_LINK_LOST);
}

/* The broker forgot the session: who waits asks anew, under the same request id. */
static void unknown_session_waits_on(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	fake_claim(&scene->fake, scene->baton, seen);
	break_link(scene);
	resume(scene, false);
	assert_int_equal(fake_expect(&scene->fake, "acquire"), 1);
	assert_int_equal(seen->ended, 0);
}

/* The session is known, the lease is not: renew is denied, the lease is lost. */
static void unknown_lease_is_lost(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	resume(scene, true);
	fake_expect(&scene->fake, "renew");
	fake_send(&scene->fake, "{'type':'denied','lease':7,'code':'stale'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->answered, 0);
	assert_int_equal(seen->code, BATON_E_LOST);
	assert_null(baton_claim_lease(claim));
}

/* The lease went back into the queue while we were away: it is not ours any more. */
static void requeued_by_the_broker(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	resume(scene, true);
	fake_expect(&scene->fake, "renew");
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'queued'}");
	pump(scene->baton, &seen->ended, 1);
	assert_null(baton_claim_lease(claim));
	assert_int_equal(seen->code, BATON_E_LOST);
}

/* R3, R9: nobody answers for half of the linger: the lease ends by itself. */
static void linger_ends_the_lease(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	pump(scene->baton, &seen->ended, 1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 <
		    4000); /* TTL and linger are longer */
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
	assert_null(baton_claim_lease(claim));
	/* The broker comes back and still has it: it is given back, not taken up again. */
	fake_listen(&scene->fake);
	resume(scene, true);
	assert_true(fake_is_quiet(&scene->fake));
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'held','fence':100,"
				"'gpus':[{'index':0,'name':'gpu0'}]}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_null(baton_claim_lease(claim));
}

/* The same, judged by the keepalive thread while the program computes. */
static void keepalive_ends_the_lease(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_keepalive_start(scene->baton), 0);
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	while (baton_claim_lease(claim))
		sched_yield();
	assert_int_equal(seen->revoked, 0); /* no handler but by baton_dispatch */
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
}

static const char still_held[] = "{'type':'claim','ref':1,'lease':7,'state':'yielding',"
				 "'fence':100,'gpus':[{'index':0,'name':'gpu0'}]}";

static void expect_release(struct scene *scene, const char *detail)
{
	json_t *message = fake_take(&scene->fake, "release");
	assert_int_equal(json_integer_value(json_object_get(message, "lease")), 7);
	assert_string_equal(json_string_value(json_object_get(message, "detail")), detail);
	json_decref(message);
}

/* D1: lost while away, still being stopped when the broker is back: not given back before. */
static void stopped_after_the_break(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold_later(&scene->fake, scene->baton, seen);
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	pump(scene->baton, &seen->revoked, 1);
	assert_true(baton_time_left_ms(claim) <= 100); /* to be gone at 3/4 of the linger */
	fake_listen(&scene->fake);
	resume(scene, true);
	fake_send(&scene->fake, "%s", still_held);
	baton_dispatch(scene->baton, 0);
	assert_true(fake_is_quiet(&scene->fake));
	assert_null(baton_claim_lease(claim));
	assert_int_equal(baton_claim_explain(claim, "two\nlines"), BATON_E_INVALID);
	assert_int_equal(baton_claim_explain(claim, "exit status 1"), 0);
	assert_int_equal(baton_lease_stopped(claim), 0);
	expect_release(scene, "exit status 1");
	assert_int_equal(baton_claim_explain(claim, "late"), BATON_E_STATE);
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, BATON_E_LOST);
}

/* D1: stopped while away: reported when the broker lists the lease. */
static void revoked_over_a_break(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold_later(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'preempted'}");
	pump(scene->baton, &seen->revoked, 1);
	break_link(scene);
	assert_int_equal(baton_claim_explain(claim, "killed by SIGKILL"), 0);
	assert_int_equal(baton_lease_stopped(claim), 0);
	pump(scene->baton, &seen->ended, 1);
	resume(scene, true);
	fake_send(&scene->fake, "%s", still_held);
	baton_dispatch(scene->baton, 0);
	expect_release(scene, "killed by SIGKILL");
}

/* Named processes are named again before anything else is said, also while we were away. */
static void processes_over_a_break(void **state)
{
	struct scene *scene = *state;
	const pid_t first = 123, second = 456;
	assert_int_equal(baton_processes(scene->baton, &first, 1, NULL), 0);
	fake_expect(&scene->fake, "processes");
	fake_send(&scene->fake, "{'type':'ok','count':1}");
	baton_dispatch(scene->baton, 0);
	assert_true(baton_processes_recorded(scene->baton));
	break_link(scene);
	assert_false(baton_processes_recorded(scene->baton));
	assert_int_equal(baton_processes(scene->baton, &second, 1, "/sys/fs/cgroup/x"), 0);
	resume(scene, false);
	json_t *message = fake_take(&scene->fake, "processes");
	assert_int_equal(json_integer_value(json_array_get(json_object_get(message, "pids"), 0)),
			 456);
	json_decref(message);

	/* A refusal is no record, nor is what was answered before the latest was said. */
	fake_send(&scene->fake, "{'type':'denied','code':'draining'}");
	baton_dispatch(scene->baton, 0);
	assert_false(baton_processes_recorded(scene->baton));
	assert_int_equal(baton_processes(scene->baton, &first, 1, NULL), 0);
	assert_int_equal(baton_processes(scene->baton, NULL, 0, NULL), 0);
	fake_send(&scene->fake, "{'type':'ok','count':1}");
	baton_dispatch(scene->baton, 0);
	assert_false(baton_processes_recorded(scene->baton));
	fake_send(&scene->fake, "{'type':'ok','count':0}");
	baton_dispatch(scene->baton, 0);
	assert_true(baton_processes_recorded(scene->baton));
	fake_expect(&scene->fake, "processes");
	fake_expect(&scene->fake, "processes");
	break_link(scene);
	resume(scene, true);
	fake_expect(&scene->fake, "processes");
	assert_false(baton_processes_recorded(scene->baton));
}

/* L1: a claim that gave way asks again with what is left of its wait, not with nonsense. */
static void requeued_with_a_timeout(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim_handlers handlers;
	struct baton_request request;
	struct baton_claim *claim;
	seen_handlers(&handlers);
	baton_request_init(&request);
	request.timeout_ms = 60000;
	request.handlers = &handlers;
	request.ctx = seen;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	fake_expect(&scene->fake, "acquire");
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100,"
				"'gpus':[{'index':0,'name':'gpu0'}]}");
	pump(scene->baton, &seen->granted, 1);
	assert_int_equal(baton_release(claim, true), 0);
	fake_expect(&scene->fake, "release");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	pump(scene->baton, &seen->queued, 1);
	break_link(scene);
	resume(scene, true);
	json_t *message = fake_take(&scene->fake, "acquire");
	double timeout_s = json_number_value(json_object_get(message, "timeout_s"));
	assert_true(timeout_s > 40 && timeout_s <= 60);
	json_decref(message);
}

/* R3: a broker that is stopped but whose socket is open ends nobody's lease. */
static void silence_is_no_loss(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	for (int i = 0; i < 15; i++)
		baton_dispatch(scene->baton, 100); /* longer than the TTL of this scene */
	assert_non_null(baton_claim_lease(claim));
	assert_int_equal(seen->revoked, 0);
}

/* Released while away: the broker learns of it when it lists the lease. */
static void release_while_away(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	assert_int_equal(baton_release(claim, false), 0);
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->code, 0);
	baton_claim_free(claim);
	resume(scene, true);
	fake_send(&scene->fake,
		  "{'type':'claim','ref':1,'lease':7,'state':'yielding','fence':100}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
}

/* Cancelled while away: as above, for a place. */
static void cancel_while_away(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_claim(&scene->fake, scene->baton, seen);
	break_link(scene);
	assert_int_equal(baton_cancel(claim), 0);
	resume(scene, true);
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'queued'}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "cancel"), 1);
}

/* Requeued while away: nobody knows what became of it, so a new claim is asked for and the old
 * lease given back; one GPU is never counted twice. */
static void requeue_while_away(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	assert_int_equal(baton_release(claim, true), 0);
	resume(scene, true);
	assert_int_equal(fake_expect(&scene->fake, "acquire"), 2);
	fake_send(&scene->fake, "{'type':'claim','ref':1,'lease':7,'state':'held','fence':100}");
	baton_dispatch(scene->baton, 0);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	fake_send(&scene->fake,
		  "{'type':'granted','ref':2,'lease':9,'fence':102,'gpus':[{'index':0,"
		  "'name':'gpu0'}]}");
	pump(scene->baton, &seen->granted, 2);
	assert_int_equal(baton_lease_id(baton_claim_lease(claim)), 9);
}

/* What is asked while away is sent on return; what was not to wait is refused at once. */
static void acquire_while_away(void **state)
{
	struct scene *scene = *state;
	struct baton_request request;
	struct baton_claim *claim;
	break_link(scene);
	baton_request_init(&request);
	request.no_wait = true;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), BATON_E_UNREACHABLE);
	assert_null(claim);
	request.no_wait = false;
	assert_int_equal(baton_acquire(scene->baton, &request, &claim), 0);
	resume(scene, true);
	assert_int_equal(fake_expect(&scene->fake, "acquire"), 1);
}

/* Calls about a lease say when nobody can be told. */
static void questions_while_away(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	assert_int_equal(baton_change(claim, 1, 1 << 20), 0);
	break_link(scene);
	pump(scene->baton, &seen->answered, 1);
	assert_int_equal(seen->answer_code, BATON_E_UNREACHABLE);
	assert_int_equal(baton_change(claim, 1, 1 << 20), BATON_E_UNREACHABLE);
	assert_int_equal(baton_renew(claim), BATON_E_UNREACHABLE);
}

/* C11: the broker comes back and refuses us: over for good, held leases lost. */
static void refused_on_return(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	break_link(scene);
	while (!fake_has_guest(&scene->fake))
		baton_dispatch(scene->baton, 10);
	fake_accept(&scene->fake);
	fake_expect(&scene->fake, "hello");
	fake_send(&scene->fake, "{'type':'close','code':4401,'reason':'other user'}");
	pump(scene->baton, &seen->ended, 1);
	assert_int_equal(seen->revoked, 1);
	assert_int_equal(seen->code, BATON_E_UNAUTHORIZED);
	assert_null(baton_claim_lease(claim));
	assert_int_equal(baton_dispatch(scene->baton, 0), BATON_E_UNAUTHORIZED);
	assert_string_equal(baton_detail(scene->baton), "other user");
}

/* A broker that is stopping says so; the client comes back until the next one is up. */
static void draining_is_not_the_end(void **state)
{
	struct scene *scene = *state;
	struct seen *seen = &scene->seen;
	struct baton_claim *claim = fake_hold(&scene->fake, scene->baton, seen);
	fake_send(&scene->fake, "{'type':'close','code':4503,'reason':'draining'}");
	pump(scene->baton, &seen->links, 1);
	assert_non_null(baton_claim_lease(claim));
	resume(scene, true);
	assert_int_equal(fake_expect(&scene->fake, "renew"), 7);
}

#define with_scene(test)       cmocka_unit_test_setup_teardown(test, setup, teardown)
#define with_short_scene(test) cmocka_unit_test_setup_teardown(test, setup_short, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_scene(lease_survives),
		with_scene(heartbeat_before_welcome),
		with_scene(place_survives),
		with_scene(lost_grant_is_found),
		with_scene(lost_offer_is_accepted),
		with_scene(yield_is_found),
		with_scene(unknown_session_loses_leases),
		with_scene(refused_resume_loses_leases),
		with_scene(unknown_session_waits_on),
		with_scene(unknown_lease_is_lost),
		with_scene(requeued_by_the_broker),
		cmocka_unit_test_setup_teardown(linger_ends_the_lease, setup_measured, teardown),
		with_short_scene(keepalive_ends_the_lease),
		with_short_scene(stopped_after_the_break),
		with_scene(revoked_over_a_break),
		with_scene(processes_over_a_break),
		with_scene(requeued_with_a_timeout),
		with_short_scene(silence_is_no_loss),
		with_scene(release_while_away),
		with_scene(cancel_while_away),
		with_scene(requeue_while_away),
		with_scene(acquire_while_away),
		with_scene(questions_while_away),
		with_scene(refused_on_return),
		with_scene(draining_is_not_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

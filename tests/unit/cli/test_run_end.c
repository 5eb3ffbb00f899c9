/* Goal: nothing of what `baton run` started lives without a lease, the lease lives as long as
 * anything of it, and the exit status tells a command that was done from one whose lease was taken.
 * Method: as in test_run.c. */
#include "run_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "baton/baton.h"

/* A command that traps SIGTERM and ends, with a helper that does not. */
static const char obeys_with_helper[] =
	"(trap '' TERM; echo helper $BASHPID.; while :; do sleep 0.02; done) &"
	"trap 'echo term; exit 0' TERM; echo own $$.; while :; do sleep 0.02; done";

static void start_with_helper(struct scene *scene)
{
	start(scene, false, "--grace", "9s", "bash", "-c", obeys_with_helper, NULL);
	grant(scene);
	wait_output(scene, "own ");
	wait_output(scene, "helper ");
}

/* The broker is told nothing while the helper lives, and goes on being answered. */
static void lives_on_with_helper(struct scene *scene)
{
	wait_output(scene, "term\n");
	wait_dead(number_after(scene, "own "));
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	assert_true(is_alive(number_after(scene, "helper ")));
	kill(number_after(scene, "helper "), SIGKILL);
}

/* D1: at the yield the command gets SIGTERM, without a word of --on-yield. One that traps it and
 * ends well has lost its lease all the same: 75. The lease goes back when the last of it is gone.
 */
static void yield_stops(void **state)
{
	struct scene *scene = *state;
	start_with_helper(scene);
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','for':'mic',"
				"'grace_ms':9000}");
	lives_on_with_helper(scene);
	fake_expect(&scene->fake, "bye");
	ends_with(scene, 75);
}

/* D1: the same for a lease that is revoked without a yield. */
static void revoked_with_helper(void **state)
{
	struct scene *scene = *state;
	start_with_helper(scene);
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	lives_on_with_helper(scene);
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	fake_expect(&scene->fake, "bye");
	ends_with(scene, 75);
}

/* What ended by itself before anybody asked keeps its status, whatever comes while its leftovers
 * are stopped. */
static void ended_before_the_yield(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--grace", "9s", "bash", "-c",
	      "exec 3< <(trap '' TERM; echo helper $BASHPID.; while :; do sleep 0.02; done);"
	      "read -r line <&3; echo $line; exit 3",
	      NULL);
	grant(scene);
	wait_output(scene, "helper ");
	json_t *message = NULL; /* of the keeper, of the command, and that the command has ended */
	do {
		if (message)
			json_decref(message);
		message = fake_take(&scene->fake, "processes");
	} while (json_array_size(json_object_get(message, "pids")) != 2);
	json_decref(message);
	message = fake_take(&scene->fake, "processes");
	assert_int_equal(json_array_size(json_object_get(message, "pids")), 1);
	json_decref(message);
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':9000}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	kill(number_after(scene, "helper "), SIGKILL);
	ends_with(scene, 3);
}

/* D1: deaf to the yield: SIGKILL at the end of the grace that it told, before any revoke. */
static void yield_and_deaf(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c", "trap '' TERM; echo ready; while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	int64_t asked_ms = now_ms();
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':400}");
	fake_expect(&scene->fake, "bye");
	assert_in_range(now_ms() - asked_ms, 300, 5000);
	ends_with(scene, 75);
}

static void grant_again(struct scene *scene, int ref, int fence)
{
	fake_send(&scene->fake, "{'type':'offered','ref':%d,'lease':%d,'fence':%d}", ref, ref + 6,
		  fence);
	fake_expect(&scene->fake, "accept");
	fake_send(&scene->fake, "{'type':'granted','ref':%d,'lease':%d,'fence':%d," GPU "}", ref,
		  ref + 6, fence);
}

/* --requeue: gives way with its place, and the command is started again under the next grant. */
static void requeue(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--requeue", "bash", "-c",
	      "trap 'echo gave way; exit 0' TERM; echo fence $BATON_FENCE.;"
	      "[ $BATON_FENCE = 101 ] && exit 5; while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "fence 100.\n");
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':9000}");
	wait_output(scene, "gave way\n");
	json_t *message = fake_take(&scene->fake, "release");
	assert_true(json_is_true(json_object_get(message, "requeue")));
	json_decref(message);
	fake_send(&scene->fake, "{'type':'released','ref':1,'lease':7}");
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	grant_again(scene, 1, 101);
	wait_output(scene, "fence 101.\n");
	ends_with(scene, 5);
}

/* The same after a lease that was taken without a yield: there is no place to come back to, so it
 * asks anew, and does not name its own lease of before as its parent. */
static void requeue_after_revoke(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--requeue", "bash", "-c",
	      "echo fence $BATON_FENCE.; [ $BATON_FENCE = 101 ] && exit 5;"
	      "while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "fence 100.\n");
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	json_t *message = fake_take(&scene->fake, "acquire");
	assert_null(json_object_get(message, "parent"));
	assert_int_equal(json_integer_value(json_object_get(message, "ref")), 2);
	json_decref(message);
	grant_again(scene, 2, 101);
	ends_with(scene, 5);
}

/* Who is told to end while it gives way is not started again. */
static void requeue_is_called_off(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--requeue", "--on-yield", "USR1", "bash", "-c",
	      "trap 'echo yield' USR1; trap 'exit 0' TERM; echo ready;"
	      "while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','grace_ms':9000}");
	wait_output(scene, "yield\n");
	kill(scene->pid, SIGTERM);
	fake_expect(&scene->fake, "bye");
	ends_with(scene, 75);
}

/* A parent that ignores or blocks SIGCHLD, as some supervisors do, changes nothing. */
static void sigchld_of_the_parent(void **state)
{
	for (int how = 0; how < 3; how++) {
		setup(state);
		struct scene *scene = *state;
		sigset_t set, before;
		sigemptyset(&set);
		sigaddset(&set, SIGCHLD);
		if (how != 1)
			signal(SIGCHLD, SIG_IGN);
		if (how != 0)
			sigprocmask(SIG_BLOCK, &set, &before);
		start(scene, false, "sh", "-c", "sleep 0.01 & wait; exit 3", NULL);
		signal(SIGCHLD, SIG_DFL);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		grant(scene);
		ends_with(scene, 3);
		teardown(state);
	}
	setup(state);
}

/* SIGTERM hurries a wrapper whose command has ended and that stops what was left. */
static void hurried(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--grace", "19s", "bash", "-c",
	      "exec 3< <(trap '' TERM; echo helper $BASHPID.; while :; do sleep 0.02; done);"
	      "read -r line <&3; echo $line; echo own $$.; exit 3",
	      NULL);
	grant(scene);
	wait_output(scene, "helper ");
	wait_output(scene, "own ");
	wait_dead(number_after(scene, "own "));
	kill(scene->pid, SIGTERM);
	ends_with(scene, 3);
	assert_false(is_alive(number_after(scene, "helper ")));
}

/* A broker that neither queues nor refuses does not hold us beyond --wait. */
static void mute_broker(void **state)
{
	struct scene *scene = *state;
	int64_t asked_ms = now_ms();
	start(scene, false, "--wait", "200ms", "echo", "started", NULL);
	welcome(scene);
	ends_with(scene, 75);
	assert_true(now_ms() - asked_ms < 5000);
	close_all(scene);
	start(scene, false, "--no-wait", "echo", "started", NULL);
	welcome(scene);
	ends_with(scene, 75);
}

/* Yield passes a signal when told to; the lease goes on. */
static void on_yield(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--on-yield", "USR1", "bash", "-c",
	      "trap 'echo yield; exit 9' USR1; echo ready; while :; do sleep 0.02; done", NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'preempted','for':'mic',"
				"'grace_ms':5000}");
	wait_output(scene, "yield\n");
	ends_with(scene, 75);
}

/* Revoked: SIGTERM; the status of a command that obeys is not the word of one that was done. */
static void revoked_and_obeys(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c",
	      "trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.02; done", NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'hold-max'}");
	wait_output(scene, "term\n");
	fake_expect(&scene->fake, "release");
	ends_with(scene, 75);
}

/* `baton run`, once: after it has looked for messages, while SIGWINCH is pending, it waits for
 * SIGTERM before it looks for signals. */
static bool stalls;

int __real_baton_dispatch(struct baton *baton, int timeout_ms);
int __wrap_baton_dispatch(struct baton *baton, int timeout_ms);

static bool is_pending(int signo)
{
	sigset_t pending;
	return sigpending(&pending) == 0 && sigismember(&pending, signo) == 1;
}

int __wrap_baton_dispatch(struct baton *baton, int timeout_ms)
{
	int rc = __real_baton_dispatch(baton, timeout_ms);
	if (!stalls || !is_pending(SIGWINCH))
		return rc;

	stalls = false;
	if (write(STDOUT_FILENO, "stalled\n", 8) != 8)
		abort();
	for (int64_t until = now_ms() + FAKE_MS_MAX; !is_pending(SIGTERM) && now_ms() < until;)
		poll(NULL, 0, 1);
	return rc;
}

/* The broker's words come before its SIGTERM, but after `baton run` has looked for them: it says
 * them nevertheless. The sender is called as `baton run` is, and is none of its ancestors. */
static void revoked_as_it_looks(void **state)
{
	struct scene *scene = *state;
	char err[4096] = "";
	stalls = true;
	start(scene, false, "bash", "-c", "echo ready; while :; do sleep 0.02; done", NULL);
	stalls = false;
	grant(scene);
	wait_output(scene, "ready\n");

	kill(scene->pid, SIGWINCH);
	wait_output(scene, "stalled\n");
	fake_send(&scene->fake,
		  "{'type':'revoked','lease':7,'reason':'operator','detail':'new driver'}");
	pid_t broker = fork();
	if (broker == 0) {
		alarm(60); /* should this test fail */
		kill(scene->pid, SIGTERM);
		pause();
		_exit(0);
	}
	int status = wait_end(scene);
	kill(broker, SIGKILL);
	assert_int_equal(waitpid(broker, NULL, 0), broker);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 75);
	assert_true(read(scene->err_fd, err, sizeof(err) - 1) > 0);
	if (!strstr(err, "the lease is over (operator: new driver); stopping bash"))
		fail_msg("it said: %s", err);
}

/* S15: revoked and deaf: SIGKILL after the grace, for all that it started, however it hid. */
static void revoked_and_deaf(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--grace", "200ms", "bash", "-c",
	      "trap '' TERM; setsid bash -c 'trap \"\" TERM; echo hidden $$; while :; do sleep "
	      "0.02; done' &"
	      "(bash -c 'trap \"\" TERM; echo orphan $$; while :; do sleep 0.02; done' &) ;"
	      "echo own $$.; while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "hidden ");
	wait_output(scene, "orphan ");
	wait_output(scene, ".\n");
	pid_t own = number_after(scene, "own "), hidden = number_after(scene, "hidden "),
	      orphan = number_after(scene, "orphan ");
	assert_true(is_alive(own) && is_alive(hidden) && is_alive(orphan));
	fake_send(&scene->fake, "{'type':'revoked','lease':7,'reason':'operator'}");
	ends_with(scene, 75);
	assert_false(is_alive(own) || is_alive(hidden) || is_alive(orphan));
}

/* E9: what a command leaves behind when it ends is stopped before the lease goes back. */
static void leftovers(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c", "(setsid sleep 600 & echo left $!); echo done; exit 6",
	      NULL);
	grant(scene);
	wait_output(scene, "done\n");
	pid_t left = number_after(scene, "left ");
	assert_int_equal(fake_expect(&scene->fake, "release"), 7);
	assert_false(is_alive(left));
	ends_with(scene, 6);
}

/* S1, E9: kill -9 of the wrapper takes the command along, and all that the command started. */
static void wrapper_killed(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c",
	      "sleep 600 & echo child $!; (setsid sleep 600 & echo hidden $!); echo pid $$.; wait",
	      NULL);
	grant(scene);
	wait_output(scene, ".\n");
	pid_t command = number_after(scene, "pid ");
	kill(scene->pid, SIGKILL);
	wait_end(scene);
	assert_true(fake_is_closed(&scene->fake)); /* nobody keeps the session open */
	wait_dead(command);
	wait_dead(number_after(scene, "child "));
	wait_dead(number_after(scene, "hidden "));
}

/* S10: the broker is restarted; the command never notices. */
static void broker_restarts(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c",
	      "trap 'echo end; exit 0' USR1; trap 'echo bad' TERM INT HUP; echo ready;"
	      "while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	fake_listen(&scene->fake);
	fake_resume(&scene->fake, true);
	assert_int_equal(fake_expect(&scene->fake, "renew"), 7);
	fake_send(&scene->fake,
		  "{'type':'claim','ref':1,'lease':7,'state':'held','fence':100," GPU "}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	kill(scene->pid, SIGUSR1);
	wait_output(scene, "end\n");
	assert_null(strstr(scene->out, "bad"));
	ends_with(scene, 0);
}

/* R9: the broker comes back without a memory of us: the command is stopped. */
static void lease_lost(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c", "echo ready; while :; do sleep 0.02; done", NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	fake_stop_listening(&scene->fake);
	fake_hang_up(&scene->fake);
	fake_listen(&scene->fake);
	fake_resume(&scene->fake, false);
	ends_with(scene, 75);
}

#define with_scene(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_scene(on_yield),
		with_scene(yield_stops),
		with_scene(revoked_with_helper),
		with_scene(ended_before_the_yield),
		with_scene(yield_and_deaf),
		with_scene(requeue),
		with_scene(requeue_after_revoke),
		with_scene(requeue_is_called_off),
		with_scene(sigchld_of_the_parent),
		with_scene(hurried),
		with_scene(mute_broker),
		with_scene(revoked_and_obeys),
		with_scene(revoked_as_it_looks),
		with_scene(revoked_and_deaf),
		with_scene(leftovers),
		with_scene(wrapper_killed),
		with_scene(broker_restarts),
		with_scene(lease_lost),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Goal: `baton run` starts its command only under a lease and is otherwise as if it were not there.
 * Method: the command line in a process of its own, against the scripted broker; what commands
 * print says what they saw. */
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

/* ---- exit statuses ---- */

static void expect_release(struct scene *scene, const char *detail)
{
	json_t *message = fake_take(&scene->fake, "release");
	assert_string_equal(json_string_value(json_object_get(message, "detail")), detail);
	json_decref(message);
}

/* The command's status is ours; 128 + N for signals; 126 and 127 as in a shell. */
static void statuses(void **state)
{
	static const struct {
		const char *words[3];
		int code;
		const char *detail; /* that the broker is told */
	} rows[] = {
		{{"true"}, 0, NULL},
		{{"sh", "-c", "exit 3"}, 3, "exit status 3"},
		{{"sh", "-c", "kill -9 $$"}, 137, "killed by SIGKILL"},
		{{"sh", "-c", "kill -TERM $$"}, 143, "killed by SIGTERM"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setup(state);
		struct scene *scene = *state;
		const char *const *words = rows[i].words;
		start(scene, false, "--", words[0], words[1], words[2], NULL);
		grant(scene);
		ends_with(scene, rows[i].code);
		if (rows[i].detail)
			expect_release(scene, rows[i].detail);
		fake_expect(&scene->fake, "bye");
		teardown(state);
	}
	setup(state);
}

/* What cannot be run is refused before it is queued: the broker never hears of it. */
static void looked_up_first(void **state)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = {
		{"/no/such/program", 127},
		{"no-such-program", 127},
		{"/etc/passwd", 126},
		{"/etc", 126},
		{"", 127},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scene *scene = *state;
		start(scene, false, "--", rows[i].name, NULL);
		ends_with(scene, rows[i].code);
		assert_false(fake_has_guest(&scene->fake));
		close_all(scene);
	}
}

/* R9, C11: no grant, no command, whatever the broker does; and each has its exit status. */
static void never_without_a_lease(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
		{"{'type':'denied','ref':1,'code':'busy'}", 75},
		{"{'type':'timeout','ref':1}", 75},
		{"{'type':'denied','ref':1,'code':'queue_full'}", 75},
		{"{'type':'denied','ref':1,'code':'never_fits'}", 72},
		{"{'type':'denied','ref':1,'code':'no_such_gpu'}", 66},
		{"{'type':'denied','ref':1,'code':'deadlock'}", 75},
		{"{'type':'released','ref':1,'reason':'force-released'}", 75},
		{"{'type':'close','code':4401}", 77},
		{"{'type':'close','code':4409}", 76},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setup(state);
		struct scene *scene = *state;
		start(scene, false, "--", "echo", "started", NULL);
		welcome(scene);
		fake_send(&scene->fake, "%s", rows[i].answer);
		ends_with(scene, rows[i].code);
		assert_int_equal(read(scene->out_fd, scene->out, sizeof(scene->out)), 0);
		teardown(state);
	}
	setup(state);
}

/* No broker, one that says no, one that talks nonsense, one that hangs up: 69, 77, 76, 69. */
static void no_broker(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
		{NULL, 69},
		{"{'type':'denied','code':'unauthorized'}", 77},
		{"nonsense", 76},
		{"{'type':'close','code':1000}", 69},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setup(state);
		struct scene *scene = *state;
		if (!rows[i].answer)
			fake_stop_listening(&scene->fake);
		start(scene, false, "echo", "started", NULL);
		if (rows[i].answer) {
			fake_accept(&scene->fake);
			fake_expect(&scene->fake, "hello");
			fake_send(&scene->fake, "%s", rows[i].answer);
		}
		ends_with(scene, rows[i].code);
		assert_int_equal(read(scene->out_fd, scene->out, sizeof(scene->out)), 0);
		teardown(state);
	}
	setup(state);
}

/* ---- what the command gets ---- */

/* E13: a CUDA_VISIBLE_DEVICES of before (7, here) is overridden by the lease's UUIDs. */
static void environment(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "sh", "-c",
	      "echo $BATON_LEASE $BATON_FENCE $BATON_GPU $CUDA_VISIBLE_DEVICES.", NULL);
	welcome(scene);
	fake_send(&scene->fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':["
		  "{'index':0,'name':'a','uuid':'GPU-a'},{'index':1,'name':'b','uuid':'GPU-b'}]}");
	wait_output(scene, "7 100 a,b GPU-a,GPU-b.\n");
	ends_with(scene, 0);
}

/* Without UUIDs it is their index, in the driver's order of slots; what was set before is
 * overridden, for it may name a GPU that is not ours. ROCm's list is of the machine, HIP's of that.
 */
static void environment_without_uuid(void **state)
{
	struct scene *scene = *state;
	char err[1024] = "";
	start(scene, false, "-q", "sh", "-c",
	      "echo $BATON_GPU $BATON_GPU_COUNT $BATON_GPU_INDEX $CUDA_VISIBLE_DEVICES "
	      "$CUDA_DEVICE_ORDER $ROCR_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES $ZE_AFFINITY_MASK.",
	      NULL);
	welcome(scene);
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':["
				"{'index':1,'name':'b','uuid':'GPU-b'},{'index':3,'name':'d'}]}");
	wait_output(scene, "b,d 2 1,3 1,3 PCI_BUS_ID 1,3 0,1 1,3.\n");
	wait_end(scene);
	assert_true(read(scene->err_fd, err, sizeof(err) - 1) > 0);
	assert_non_null(strstr(err, "no UUID of b,d"));
}

/* Numbers are the makers' own; who has none of a maker's GPUs sees none of them. */
static void environment_by_number(void **state)
{
	static const struct {
		const char *gpus, *seen;
	} rows[] = {
		{"{'index':0,'name':'c','uuid':'GPU-c','maker':'nvidia','maker_index':2}",
		 "0 2 -1 -1 GPU-c"},
		{"{'index':0,'name':'c','maker':'nvidia','maker_index':2}", "0 2 -1 -1 2"},
		{"{'index':1,'name':'i','uuid':'MIG-1','maker':'nvidia'}", "1 MIG-1 -1 -1 MIG-1"},
		{"{'index':3,'name':'r','uuid':'GPU-r','maker':'amd','maker_index':1}",
		 "3 0 1 0 GPU-r"},
		{"{'index':2,'name':'x','maker':'intel','maker_index':0}", "2 -1 -1 -1 -1"},
		{"{'index':0,'name':'c','uuid':'GPU-c','maker':'nvidia','maker_index':2},"
		 "{'index':3,'name':'r','uuid':'GPU-r','maker':'amd','maker_index':1}",
		 "0,3 2 1 0 GPU-c"},
		{"{'index':3,'name':'r','uuid':'GPU-r','maker':'amd','maker_index':1},"
		 "{'index':0,'name':'i','uuid':'MIG-1','maker':'nvidia'}",
		 "3,0 MIG-1 1 0 MIG-1"},
		{"{'index':3,'name':'r','maker':'amd','maker_index':1},"
		 "{'index':0,'name':'i','uuid':'MIG-1','maker':'nvidia'}",
		 "3,0 MIG-1 1 0 MIG-1"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scene *scene = *state;
		char seen[128];
		start(scene, false, "-q", "--env-ids", "index", "sh", "-c",
		      "echo $BATON_GPU_INDEX $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES "
		      "$HIP_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES.",
		      NULL);
		welcome(scene);
		fake_send(&scene->fake,
			  "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':[%s]}",
			  rows[i].gpus);
		snprintf(seen, sizeof(seen), "%s.\n", rows[i].seen);
		wait_output(scene, seen);
		ends_with(scene, 0);
		teardown(state);
		setup(state);
	}
}

/* Options of ours reach the broker, those of the command do not. */
static void options_reach_the_broker(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "--name", "job", "--class", "background", "--vram=8G", "--slots", "2",
	      "--gpu", "gpu1", "--gpus", "3", "--wait", "5m", "--grace", "10s", "--evictable",
	      "--label", "llama", "true", "--no-such", NULL);
	fake_accept(&scene->fake);
	json_t *hello = fake_take(&scene->fake, "hello");
	assert_string_equal(json_string_value(json_object_get(hello, "id")), "job");
	json_decref(hello);
	fake_send(&scene->fake, "{'type':'welcome','session':'3-secret'}");
	json_t *acquire = fake_take(&scene->fake, "acquire");
	json_object_del(acquire, "request_id");
	json_object_del(acquire, "timeout_s");
	json_t *expected = json_pack("{s:s,s:i,s:s,s:s,s:i,s:i,s:i,s:b,s:i,s:b,s:s}", "type",
				     "acquire", "ref", 1, "class", "background", "gpu", "gpu1",
				     "gpus", 3, "slots", 2, "vram_mb", 8192, "evictable", 1,
				     "uninterruptible_ms", 10000, "accept", 1, "label", "llama");
	assert_true(json_equal(acquire, expected));
	json_decref(expected);
	json_decref(acquire);
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100," GPU "}");
	ends_with(scene, 0);
}

/* ---- signals ---- */

/* TERM, INT, HUP, QUIT, USR1 and USR2 reach the command, and the command decides. */
static void signals_are_passed_on(void **state)
{
	static const int signals[] = {SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGINT, SIGTERM};
	struct scene *scene = *state;
	start(scene, false, "bash", "-c",
	      "for s in HUP QUIT USR1 USR2 WINCH INT; do trap \"echo got-$s\" $s; done;"
	      "trap 'echo got-TERM; exit 5' TERM; echo ready; while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		char expected[32];
		snprintf(expected, sizeof(expected), "got-%s\n", sigabbrev_np(signals[i]));
		kill(scene->pid, signals[i]);
		wait_output(scene, expected);
	}
	ends_with(scene, 5);
}

/* E8: a hang-up ends neither the wrapper nor the lease while the command lives. */
static void hangup(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "bash", "-c",
	      "trap '' HUP; trap 'echo end; exit 0' USR1; echo ready; while :; do sleep 0.02; done",
	      NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	close(scene->err_fd); /* the terminal is gone, too */
	scene->err_fd = -1;
	kill(scene->pid, SIGHUP);
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	kill(scene->pid, SIGUSR1);
	wait_output(scene, "end\n");
	int status = wait_end(scene);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* While it waits, Ctrl-C gives the place up. */
static void interrupted_wait(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "echo", "started", NULL);
	welcome(scene);
	fake_send(&scene->fake, "{'type':'queued','ref':1,'lease':7,'position':0,"
				"'why':{'code':'holder','text':'x holds gpu0.'}}");
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	kill(scene->pid, SIGINT);
	fake_expect(&scene->fake, "cancel");
	assert_true(died_of(scene, SIGINT));
}

/* Whatever ends a program ends us while we wait, and a shell's loop with us. */
static void ended_wait(void **state)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGQUIT};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		setup(state);
		struct scene *scene = *state;
		start(scene, false, "echo", "started", NULL);
		welcome(scene);
		kill(scene->pid, signals[i]);
		fake_expect(&scene->fake, "cancel");
		assert_true(died_of(scene, signals[i]));
		teardown(state);
	}
	setup(state);
}

/* What ctrl_c runs: a shell with a trap may miss a signal that comes as its child ends. */
static void count_interrupts(int signo)
{
	static char line[] = "int 0\n";
	line[4]++;
	if (signo == SIGUSR1) {
		signal(SIGINT, SIG_DFL);
		raise(SIGINT);
	} else if (write(STDOUT_FILENO, line, strlen(line)) < 0) {
		_exit(1);
	}
}

static int counting_command(void)
{
	signal(SIGINT, count_interrupts);
	signal(SIGUSR1, count_interrupts);
	if (write(STDOUT_FILENO, "ready\n", 6) < 0)
		return 1;
	for (;;)
		pause();
}

/* On a terminal Ctrl-C reaches the command once, and a shell sees that we died of it. */
static void ctrl_c(void **state)
{
	struct scene *scene = *state;
	char self[256] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	start(scene, true, self, "count-interrupts", NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	for (int i = 1; i <= 3; i++) {
		char expected[16];
		snprintf(expected, sizeof(expected), "int %d\n", i);
		assert_int_equal(write(scene->tty_fd, "\x03", 1), 1);
		wait_output(scene, expected);
	}
	fake_send(&scene->fake, "{'type':'heartbeat'}");
	fake_expect(&scene->fake, "alive");
	assert_null(strstr(scene->out, "int 4"));
	kill(scene->pid, SIGUSR1);
	int status = wait_end(scene);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

/* A stop reaches wrapper and command; SIGCONT lets both go on. */
static void stop_and_continue(void **state)
{
	struct scene *scene = *state;
	int status;
	start(scene, false, "bash", "-c",
	      "trap 'echo again; exit 0' CONT; echo ready; while :; do sleep 0.02; done", NULL);
	grant(scene);
	wait_output(scene, "ready\n");
	kill(scene->pid, SIGTSTP);
	assert_int_equal(waitpid(scene->pid, &status, WUNTRACED), scene->pid);
	assert_true(WIFSTOPPED(status));
	kill(scene->pid, SIGCONT);
	wait_output(scene, "again\n");
	ends_with(scene, 0);
}

#define with_scene(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "count-interrupts") == 0)
		return counting_command();

	const struct CMUnitTest tests[] = {
		with_scene(statuses),
		with_scene(looked_up_first),
		with_scene(never_without_a_lease),
		with_scene(no_broker),
		with_scene(environment),
		with_scene(environment_without_uuid),
		with_scene(environment_by_number),
		with_scene(options_reach_the_broker),
		with_scene(signals_are_passed_on),
		with_scene(hangup),
		with_scene(interrupted_wait),
		with_scene(ended_wait),
		with_scene(ctrl_c),
		with_scene(stop_and_continue),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

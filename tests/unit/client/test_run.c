/* Goal: `baton run` starts its command only under a lease, keeps nothing of it alive without one,
 * and is otherwise as if it were not there. Method: the command line in a process of its own,
 * against the scripted broker; what commands print says what they saw. */
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

#include "cli/cli.h"
#include "fake.h"

struct scene {
	struct fake fake;
	pid_t pid;
	int out_fd, err_fd, tty_fd; /* -1: none */
	char out[8192];
	size_t out_length;
};

#define GPU "'gpus':[{'index':0,'name':'gpu0','uuid':'GPU-1'}]"

static int setup(void **state)
{
	static struct scene scene;
	memset(&scene, 0, sizeof(scene));
	scene.out_fd = scene.err_fd = scene.tty_fd = -1;
	fake_open(&scene.fake);
	*state = &scene;
	return 0;
}

static void close_all(struct scene *scene)
{
	int *fds[] = {&scene->out_fd, &scene->err_fd, &scene->tty_fd};
	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	if (scene->pid > 0) {
		kill(scene->pid, SIGKILL);
		waitpid(scene->pid, NULL, 0);
	}
	close_all(scene);
	fake_close(&scene->fake);
	return 0;
}

static void become_baton(const struct scene *scene, char **argv, int out_fd, int err_fd, int in_fd)
{
	size_t count;
	const struct command *const *commands = cli_commands(&count);
	int argc = 0;
	while (argv[argc])
		argc++;
	/* The runner of the tests may be in the background, or under nohup. */
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
	setsid();
	if (in_fd >= 0)
		ioctl(in_fd, TIOCSCTTY, 0);
	dup2(in_fd >= 0 ? in_fd : open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	dup2(err_fd, STDERR_FILENO);
	setenv("BATON_SOCKET", scene->fake.path, 1);
	setenv("CUDA_VISIBLE_DEVICES", "7", 1);
	unsetenv("BATON_LEASE");
	exit(cli_main(commands, count, argc, argv));
}

/* Starts `baton run WORDS`. */
static void start(struct scene *scene, int with_tty, ...)
{
	char *argv[24] = {(char *)"baton", (char *)"run"};
	int count = 2, out[2], err[2], tty = -1;
	va_list args;
	va_start(args, with_tty);
	while ((argv[count] = va_arg(args, char *)) && count < 22)
		count++;
	va_end(args);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	if (with_tty) {
		scene->tty_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_true(scene->tty_fd >= 0);
		assert_int_equal(grantpt(scene->tty_fd) | unlockpt(scene->tty_fd), 0);
		tty = open(ptsname(scene->tty_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_true(tty >= 0);
	}
	fflush(NULL);
	scene->pid = fork();
	if (scene->pid == 0)
		become_baton(scene, argv, out[1], err[1], tty);
	close(out[1]);
	close(err[1]);
	if (tty >= 0)
		close(tty);
	scene->out_fd = out[0];
	scene->err_fd = err[0];
}

static void welcome(struct scene *scene)
{
	fake_accept(&scene->fake);
	fake_expect(&scene->fake, "hello");
	fake_send(&scene->fake,
		  "{'type':'welcome','version':1,'session':'3-secret','resumed':false,"
		  "'epoch':1,'session_ttl_s':20}");
	fake_expect(&scene->fake, "acquire");
}

static void grant(struct scene *scene)
{
	welcome(scene);
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':100}");
	fake_expect(&scene->fake, "accept");
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100," GPU "}");
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Reads what the command prints until `text` is in it. */
static void wait_output(struct scene *scene, const char *text)
{
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while (!strstr(scene->out, text)) {
		struct pollfd p = {.fd = scene->out_fd, .events = POLLIN};
		if (now_ms() > deadline)
			fail_msg("no '%s' in '%s'", text, scene->out);
		if (poll(&p, 1, 100) <= 0)
			continue;
		ssize_t n = read(scene->out_fd, scene->out + scene->out_length,
				 sizeof(scene->out) - 1 - scene->out_length);
		if (n <= 0)
			fail_msg("the end, and no '%s' in '%s'", text, scene->out);
		scene->out_length += (size_t)n;
		scene->out[scene->out_length] = '\0';
	}
}

/* The status of waitpid. Answers nothing meanwhile. */
static int wait_end(struct scene *scene)
{
	int status;
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while (waitpid(scene->pid, &status, WNOHANG) == 0) {
		if (now_ms() > deadline)
			fail_msg("baton run does not end");
		poll(NULL, 0, 5);
	}
	scene->pid = 0;
	return status;
}

static void ends_with(struct scene *scene, int code)
{
	int status = wait_end(scene);
	char err[4096] = "";
	ssize_t n = read(scene->err_fd, err, sizeof(err) - 1);
	err[n > 0 ? n : 0] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status %x, expected exit %d; it said: %s", status, code, err);
}

static bool is_alive(pid_t pid)
{
	char path[64], stat[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(stat, sizeof(stat), file))
		stat[0] = '\0';
	fclose(file);
	const char *end = strrchr(stat, ')');
	return end && end[2] != 'Z' && end[2] != 'X';
}

static void wait_dead(pid_t pid)
{
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while (is_alive(pid)) {
		if (now_ms() > deadline)
			fail_msg("process %d lives", (int)pid);
		poll(NULL, 0, 5);
	}
}

static pid_t number_after(const struct scene *scene, const char *word)
{
	const char *at = strstr(scene->out, word);
	assert_non_null(at);
	return (pid_t)strtol(at + strlen(word), NULL, 10);
}

/* ---- exit statuses ---- */

/* The command's status is ours; 128 + N for signals; 126 and 127 as in a shell. */
static void statuses(void **state)
{
	static const struct {
		const char *words[3];
		int code;
	} rows[] = {
		{{"true"}, 0},
		{{"sh", "-c", "exit 3"}, 3},
		{{"sh", "-c", "kill -9 $$"}, 137},
		{{"sh", "-c", "kill -TERM $$"}, 143},
		{{"/no/such/program"}, 127},
		{{"/etc/passwd"}, 126},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setup(state);
		struct scene *scene = *state;
		const char *const *words = rows[i].words;
		start(scene, false, "--", words[0], words[1], words[2], NULL);
		grant(scene);
		ends_with(scene, rows[i].code);
		fake_expect(&scene->fake, "bye");
		teardown(state);
	}
	setup(state);
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
		{"{'type':'denied','ref':1,'code':'never_fits'}", 69},
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

/* Without UUIDs there is nothing better than what was set before. */
static void environment_without_uuid(void **state)
{
	struct scene *scene = *state;
	start(scene, false, "sh", "-c", "echo $BATON_GPU $CUDA_VISIBLE_DEVICES.", NULL);
	welcome(scene);
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100,'gpus':["
				"{'index':0,'name':'a','uuid':'GPU-a'},{'index':1,'name':'b'}]}");
	wait_output(scene, "a,b 7.\n");
	ends_with(scene, 0);
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
	json_t *expected =
		json_pack("{s:s,s:i,s:s,s:s,s:i,s:i,s:i,s:b,s:i,s:s}", "type", "acquire", "ref", 1,
			  "class", "background", "gpu", "gpu1", "gpus", 3, "slots", 2, "vram_mb",
			  8192, "evictable", 1, "uninterruptible_ms", 10000, "label", "llama");
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
	fake_send(&scene->fake, "{'type':'yield','lease':7,'reason':'operator','grace_ms':9000}");
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
	ends_with(scene, 130);
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

/* ---- the end of the lease ---- */

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
	ends_with(scene, 9);
}

/* Revoked: SIGTERM, and a command that obeys chooses its status. */
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
	ends_with(scene, 4);
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
	ends_with(scene, 137);
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
	fake_expect(&scene->fake, "bye");
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
	ends_with(scene, 143);
}

#define with_scene(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "count-interrupts") == 0)
		return counting_command();

	const struct CMUnitTest tests[] = {
		with_scene(statuses),
		with_scene(never_without_a_lease),
		with_scene(no_broker),
		with_scene(environment),
		with_scene(environment_without_uuid),
		with_scene(options_reach_the_broker),
		with_scene(signals_are_passed_on),
		with_scene(hangup),
		with_scene(interrupted_wait),
		with_scene(ctrl_c),
		with_scene(stop_and_continue),
		with_scene(on_yield),
		with_scene(revoked_and_obeys),
		with_scene(revoked_and_deaf),
		with_scene(leftovers),
		with_scene(wrapper_killed),
		with_scene(broker_restarts),
		with_scene(lease_lost),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

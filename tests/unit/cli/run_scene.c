/* run_scene: starts `baton run` in a process of its own against the scripted broker and reads what
 * it and its command say. Used by test_run.c and test_run_end.c. */
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

#include "cli/cli.h"
#include "cli/commands.h"

int setup(void **state)
{
	static struct scene scene;
	memset(&scene, 0, sizeof(scene));
	scene.out_fd = scene.err_fd = scene.tty_fd = -1;
	fake_open(&scene.fake);
	*state = &scene;
	return 0;
}

void close_all(struct scene *scene)
{
	int *fds[] = {&scene->out_fd, &scene->err_fd, &scene->tty_fd};
	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int teardown(void **state)
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
void start(struct scene *scene, int with_tty, ...)
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

void welcome(struct scene *scene)
{
	fake_accept(&scene->fake);
	fake_expect(&scene->fake, "hello");
	fake_send(&scene->fake,
		  "{'type':'welcome','version':1,'session':'3-secret','resumed':false,"
		  "'epoch':1,'session_ttl_s':20}");
	fake_expect(&scene->fake, "acquire");
}

void grant(struct scene *scene)
{
	welcome(scene);
	fake_send(&scene->fake, "{'type':'offered','ref':1,'lease':7,'fence':100}");
	fake_expect(&scene->fake, "accept");
	fake_send(&scene->fake, "{'type':'granted','ref':1,'lease':7,'fence':100," GPU "}");
}

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Reads what the command prints until `text` is in it. */
void wait_output(struct scene *scene, const char *text)
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
int wait_end(struct scene *scene)
{
	int status = 0;
	pid_t ended;
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while ((ended = waitpid(scene->pid, &status, WNOHANG)) == 0) {
		if (now_ms() > deadline)
			fail_msg("baton run does not end");
		poll(NULL, 0, 5);
	}
	if (ended < 0)
		fail_msg("somebody else has waited for baton run: %s", strerror(errno));
	scene->pid = 0;
	return status;
}

bool died_of(struct scene *scene, int signo)
{
	int status = wait_end(scene);
	return WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

void ends_with(struct scene *scene, int code)
{
	int status = wait_end(scene);
	char err[4096] = "";
	ssize_t n = read(scene->err_fd, err, sizeof(err) - 1);
	err[n > 0 ? n : 0] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status %x, expected exit %d; it said: %s", status, code, err);
}

bool is_alive(pid_t pid)
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

void wait_dead(pid_t pid)
{
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while (is_alive(pid)) {
		if (now_ms() > deadline)
			fail_msg("process %d lives", (int)pid);
		poll(NULL, 0, 5);
	}
}

pid_t number_after(const struct scene *scene, const char *word)
{
	const char *at = strstr(scene->out, word);
	assert_non_null(at);
	return (pid_t)strtol(at + strlen(word), NULL, 10);
}

/* run_scope: systemd-run makes the scope and becomes the command, so pid, terminal and descriptors
 * stay. It is tried beforehand: once it has taken our place nobody could go on without it. */
#include "cli/run/run_scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/run/run_progress.h"
#include "process/proc.h"

enum { TRIAL_MS = 3000, WORDS_MAX = 4096, LINE_BYTES = 256 * 1024, SAID_BYTES = 512 };

static const char mark[] = "BATON_IN_SCOPE"; /* for ourselves alone */

static const char *const makes_scope[] = {"systemd-run", "--user",    "--scope",
					  "--quiet",     "--collect", "--property=Delegate=yes"};
enum { MAKES_COUNT = sizeof(makes_scope) / sizeof(*makes_scope) };

/* What it says, until it ends or its time is over. */
static void read_words(int fd, char ret_words[SAID_BYTES])
{
	int64_t end_ms = clock_now_ms() + TRIAL_MS;
	size_t length = 0;
	ssize_t got = 1;

	while (got > 0 && length < SAID_BYTES - 1) {
		struct pollfd said = {.fd = fd, .events = POLLIN};
		int64_t left_ms = end_ms - clock_now_ms();
		if (left_ms <= 0 || poll(&said, 1, (int)left_ms) <= 0)
			break;
		got = read(fd, ret_words + length, SAID_BYTES - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	ret_words[length] = '\0';
	ret_words[strcspn(ret_words, "\n")] = '\0';
}

static _Noreturn void become_trial(int fd)
{
	const char *words[MAKES_COUNT + 3];
	memcpy(words, makes_scope, sizeof(makes_scope));
	words[MAKES_COUNT] = "--";
	words[MAKES_COUNT + 1] = "true";
	words[MAKES_COUNT + 2] = NULL;

	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	execvp(words[0], (char *const *)words);
	(void)dprintf(STDERR_FILENO, "%s\n",
		      errno == ENOENT ? "there is no systemd-run here" : strerror(errno));
	_exit(127);
}

/* Whether a scope can be made; if not, why. */
static bool try_scope(char ret_why[SAID_BYTES])
{
	int fds[2], status = -1;
	(void)snprintf(ret_why, SAID_BYTES, "%s", strerror(errno));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;

	pid_t pid = fork();
	if (pid == 0)
		become_trial(fds[1]);
	close(fds[1]);
	if (pid > 0)
		read_words(fds[0], ret_why);
	close(fds[0]);

	if (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		/* It has closed its output and ends, or it hangs. */
		int64_t end_ms = clock_now_ms() + TRIAL_MS / 10;
		while (waitpid(pid, &status, WNOHANG) == 0 && clock_now_ms() < end_ms)
			(void)poll(NULL, 0, 1);
		if (status == -1) {
			kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			(void)snprintf(ret_why, SAID_BYTES, "systemd-run does not end");
		}
	}
	if (status != 0 && !ret_why[0])
		(void)snprintf(ret_why, SAID_BYTES, "systemd-run failed");
	return status == 0;
}

/* The words that we were started with. */
static size_t read_own_words(char *line, const char **ret_words)
{
	size_t count = 0, length = proc_read(PROC_SELF, "cmdline", line, LINE_BYTES);
	for (const char *at = line; at < line + length && count < WORDS_MAX; at += strlen(at) + 1)
		ret_words[count++] = at;
	return length < LINE_BYTES - 1 ? count : 0;
}

static void become_scope(void)
{
	static const char *words[MAKES_COUNT + WORDS_MAX + 4];
	static char line[LINE_BYTES], unit[64], self[4096];
	size_t count = MAKES_COUNT;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	memcpy(words, makes_scope, sizeof(makes_scope));
	(void)snprintf(unit, sizeof(unit), "--unit=baton-run-%ld", (long)getpid());
	words[count++] = unit;
	words[count++] = "--";
	size_t own = read_own_words(line, words + count);
	if (own == 0 || length <= 0)
		return;
	words[count] = self;

	setenv(mark, "1", 1);
	execvp(words[0], (char *const *)words);
	unsetenv(mark);
}

void run_scope_enter(bool quiet)
{
	struct run_progress show;
	char why[SAID_BYTES] = "";

	if (getenv(mark)) {
		unsetenv(mark);
		return;
	}
	if (try_scope(why))
		become_scope();
	run_progress_init(&show, quiet);
	run_progress_say(&show, true, "run: no scope of its own: %s; it goes on without", why);
}

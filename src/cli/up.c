/* up: the launcher: starts a broker if none answers, waits until one does, and opens the dashboard.
 * Run again, it only opens. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/detach.h"
#include "cli/http_client.h"
#include "cli/open.h"

enum { WAIT_MS = 30 * 1000, DOT_MS = 500, OTHER_MS = 3000 };

struct up_options {
	bool no_open;
	int64_t wait_ms;
};

static const struct option_spec option_specs[] = {
	{.name = "no-open",
	 .kind = OPTION_FLAG,
	 .help = "only start it; open no page",
	 .offset = offsetof(struct up_options, no_open)},
	{.letter = 'w',
	 .name = "wait",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .help = "wait at most so long for it (30s)",
	 .offset = offsetof(struct up_options, wait_ms)},
};

/* 0 if a broker answers, else a negative enum err, with its text. */
static int look_for_broker(char *error, size_t error_size)
{
	json_t *health = NULL;
	int rc = http_client_try("GET", "/health", NULL, &health, error, error_size);
	json_decref(health);
	return rc;
}

/* Waits until the broker is ready (1), has exited (0) or the time is up (-1), printing dots on a
 * terminal. */
static int await_ready(const struct detach *detach, int64_t wait_ms)
{
	int64_t end_ms = clock_now_ms() + wait_ms;
	bool dots = isatty(STDERR_FILENO);
	size_t shown = 0;
	int ready = -1;

	for (int64_t left; ready < 0 && (left = end_ms - clock_now_ms()) > 0;) {
		struct pollfd p = {.fd = detach->ready_fd, .events = POLLIN};
		char byte;
		if (poll(&p, 1, left < DOT_MS ? (int)left : DOT_MS) > 0)
			ready = read(detach->ready_fd, &byte, 1) == 1;
		else if (dots)
			fputs(shown++ ? "." : "starting the broker .", stderr);
	}

	if (shown)
		fputs("\r\033[K", stderr);
	return ready;
}

/* It exited before it was ready. If another one was quicker, that one will do. */
static int did_not_start(const struct command *command, const struct detach *detach)
{
	char words[512], error[HTTP_CLIENT_ERROR_BYTES];
	int status = 0;
	while (waitpid(detach->pid, &status, 0) < 0 && errno == EINTR)
		;

	int code = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	int64_t end_ms = clock_now_ms() + (code == EX_UNAVAILABLE ? OTHER_MS : 0);
	do {
		if (look_for_broker(error, sizeof(error)) == 0)
			return 0;
	} while (clock_now_ms() < end_ms && poll(NULL, 0, 100) == 0);

	detach_last_words(detach, words, sizeof(words));
	return cli_fail(command, code, "the broker did not start: %s%s(its log: %s)", words,
			*words ? " " : "", detach->log_path);
}

static int start_broker(const struct command *command, const struct up_options *options, int argc,
			char **argv)
{
	struct detach detach;
	const char *what;
	int err = detach_broker(&detach, argc, argv, &what);
	if (err)
		return cli_fail(command, EX_OSERR, "%s: %s", what, regular_file_error(err));

	int ready = await_ready(&detach, options->wait_ms);
	close(detach.ready_fd);

	if (ready == 0)
		return did_not_start(command, &detach);
	if (ready < 0)
		return cli_fail(command, EX_TEMPFAIL,
				"the broker (process %ld) is not ready yet; its log: %s",
				(long)detach.pid, detach.log_path);

	printf("the broker runs (process %ld); its log: %s\n", (long)detach.pid, detach.log_path);
	return 0;
}

static int run_up(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct up_options options = {.wait_ms = WAIT_MS};
	char error[HTTP_CLIENT_ERROR_BYTES];
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	const char *path = detach_option(argc - 1, argv + 1, "socket");
	if (path && setenv("BATON_SOCKET", path, 1) < 0)
		return cli_fail(command, EX_OSERR, "%s", strerror(errno));

	rc = look_for_broker(error, sizeof(error));
	if (rc < 0 && rc != -ERR_UNREACHABLE)
		return http_client_fail(command, rc, error);

	if (rc < 0)
		rc = start_broker(command, &options, argc - 1, argv + 1);
	else
		printf("the broker runs already%s\n",
		       argc > 1 ? ", and with its own options; those given here are not used" : "");

	if (rc > 0 || options.no_open)
		return rc;
	fflush(stdout);
	return open_page(command, NULL, false);
}

const struct command command_up = {
	.name = "up",
	.summary = "Start the broker if there is none, and open the dashboard.",
	.usage = "[--no-open] [--wait TIME] [-- OPTION-OF-SERVE...]",
	.details =
		"The broker goes on when the terminal is closed, until `baton down`. It is told "
		"what\n"
		"stands behind --, e.g. baton up -- --fake-gpu rtx3090:24G. Where no browser can "
		"be\n"
		"started, the link is printed.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_up,
};

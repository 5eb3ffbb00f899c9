/* down: stops the broker cleanly and waits until it is gone. Leases and the queue stay in its
 * journal. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "process/pidfd.h"

enum { GONE_MS = 15 * 1000 };

struct down_options {
	bool yes;
};

static const struct option_spec option_specs[] = {
	{.letter = 'y',
	 .name = "yes",
	 .kind = OPTION_FLAG,
	 .help = "do not ask, on a terminal",
	 .offset = offsetof(struct down_options, yes),
	 .destructive = true},
};

/* Asks if a holder or waiter would notice. */
static bool may_stop(const struct command *command, const json_t *status, bool yes)
{
	uint64_t held = field_u64(status, "held"), waiting = field_u64(status, "queue_depth");
	if (held + waiting == 0)
		return true;

	return admin_confirm(command, yes,
			     "%" PRIu64 " holder%s and %" PRIu64
			     " waiter%s keep what is theirs until "
			     "the next start, and nothing is granted before. Stop the broker?",
			     held, held == 1 ? "" : "s", waiting, waiting == 1 ? "" : "s");
}

static int await_end(const struct command *command, int pidfd, pid_t pid)
{
	struct pollfd gone = {.fd = pidfd, .events = POLLIN};
	if (poll(&gone, 1, GONE_MS) <= 0)
		return cli_fail(command, EX_TEMPFAIL,
				"the broker (process %ld) was told to stop, and has not yet",
				(long)pid);
	puts("the broker is stopped; leases and places are kept for the next start");
	return 0;
}

static int stop_broker(const struct command *command, int pidfd, pid_t pid)
{
	int rc = pidfd_signal(pidfd, SIGTERM);
	if (rc != 0 && rc != -ESRCH)
		return cli_fail(command, EX_NOPERM, "cannot stop process %ld: %s", (long)pid,
				strerror(-rc));
	return await_end(command, pidfd, pid);
}

static int run_down(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct down_options options = {0};
	cleanup_close int pidfd = -1;
	char error[HTTP_CLIENT_ERROR_BYTES];
	pid_t pid;
	json_t *status;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = http_client_broker(&pid, &pidfd, error, sizeof(error));
	if (rc == -ERR_UNREACHABLE) {
		char *hint = strstr(error, "; start one");
		if (hint)
			*hint = '\0';
		printf("nothing to stop: %s\n", error);
		return 0;
	}

	if (rc < 0)
		return http_client_fail(command, rc, error);

	/* It answers after its process was pinned, so the pid is still its own. */
	rc = http_client_try("GET", "/v1/gpu/status?limit=0", NULL, &status, error, sizeof(error));
	if (rc == -ERR_UNREACHABLE) /* it listened a moment ago: somebody else is stopping it */
		return await_end(command, pidfd, pid);
	if (rc < 0)
		return http_client_fail(command, rc, error);

	bool may = may_stop(command, status, options.yes);
	json_decref(status);
	return may ? stop_broker(command, pidfd, pid) : EX_NOPERM;
}

const struct command command_down = {
	.name = "down",
	.summary = "Stop the broker and wait until it is gone.",
	.usage = "[--yes]",
	.details = "Leases and places stay in the journal; holders go on computing, and the next "
		   "start\n"
		   "takes them up again.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.destructive = true,
	.run = run_down,
};

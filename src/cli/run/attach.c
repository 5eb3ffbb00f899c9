/* attach: `baton attach`: finds the process, and lets run_hold.c do the rest. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/http_client.h"
#include "cli/run/attach_check.h"
#include "cli/run/run_hold.h"
#include "cli/run/run_options.h"
#include "cli/run/run_state.h"
#include "process/pidfd.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include <baton/baton.h>

enum { ANCESTORS_MAX = 64 };

/* Frozen or stopped, it would take us along; the first process all that it has. */
static bool is_ancestor(int64_t pid)
{
	int64_t at = getpid();

	if (pid == 1)
		return true;

	for (int i = 0; i < ANCESTORS_MAX && at > 0; i++) {
		if (at == pid)
			return true;
		at = proc_parent(at);
	}
	return false;
}

/* The start time is read before and after the pidfd is there: both are of one process. */
static int open_target(const struct command *command, const char *word,
		       struct attach_target *ret_target)
{
	char *end;
	struct attach_target target = {.pid = strtoll(word, &end, 10), .pidfd = -1, .lock_fd = -1};
	int err = 0;
	if (*end || end == word || target.pid < 1 || target.pid > INT32_MAX)
		return cli_fail(command, EX_USAGE, "'%.60s' is not the number of a process", word);

	target.start = proc_start(target.pid);
	if (target.start == 0 ||
	    pidfd_open_checked(target.pid, target.start, &target.pidfd, &err) != LIVENESS_WATCHED ||
	    pidfd_is_gone(target.pidfd))
		return cli_fail(command, EX_NOINPUT, "there is no process %s%s%s", word,
				err ? ": " : "", err ? strerror(err) : "");
	proc_name(target.pid, target.name, sizeof(target.name));
	*ret_target = target;
	return 0;
}

/* Returns 0 or the exit status. */
static int check_target(const struct command *command, struct attach_target *target)
{
	long pid = (long)target->pid;

	if (proc_status(target->pid).uid != (int64_t)getuid())
		return cli_fail(command, EX_NOPERM,
				"process %ld (%s) belongs to another user, who may attach it", pid,
				target->name);

	if (is_ancestor(target->pid))
		return cli_fail(
			command, EX_USAGE,
			"process %ld (%s) has started this one, which would be stopped with "
			"it; attach it from elsewhere",
			pid, target->name);
	return attach_check(command, target);
}

/* It is on one of them already, and only its user knows on which. */
static int check_gpu(const struct command *command, const struct run_options *options)
{
	json_t *status;
	char error[HTTP_CLIENT_ERROR_BYTES];
	if (options->gpu || http_client_try("GET", "/v1/gpu/status?limit=0", NULL, &status, error,
					    sizeof(error)) < 0)
		return 0; /* the connection will say what is wrong */

	size_t count = json_array_size(json_object_get(status, "gpus"));
	json_decref(status);
	if (count <= 1)
		return 0;
	return cli_fail(command, EX_USAGE,
			"there are %zu GPUs: say by --gpu on which one the program is", count);
}

static int attach_run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct run_options options = RUN_OPTIONS_DEFAULT;
	struct attach_target target;
	struct run run;

	signal(SIGCHLD, SIG_DFL);
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;
	if (argc != 2)
		return cli_fail(command, EX_USAGE, "which process? One number");

	rc = open_target(command, argv[1], &target);
	if (rc == 0)
		rc = check_target(command, &target);
	if (rc == 0)
		rc = check_gpu(command, &options);
	if (rc)
		return rc;

	char *name[] = {target.name, NULL};
	run_begin(&run, command, &options, name);
	run.attached =
		(struct attached){.pid = target.pid, .start = target.start, .pidfd = target.pidfd};
	return run_hold(&run);
}

const struct command command_attach = {
	.name = "attach",
	.summary = "Put a running program under a lease.",
	.usage = "[OPTION]... PID",
	.details =
		"Waits for a lease as `baton run` does; until it is there the program goes on as "
		"before,\n"
		"and what it uses is nobody's. From then on it is asked, frozen or stopped with "
		"all that\n"
		"it started, as if it had been run under the lease. Ctrl-C leaves it running, "
		"without one.\n"
		"Exit status: 0 when the program has ended; 75 no lease now, or it was stopped "
		"for\n"
		"others; 124 at the end of --hold; 64 it cannot be attached, as it is under a "
		"lease\n"
		"already; 66 no such process, 77 another user's; 69 no broker, 72 never fits.",
	.options = run_option_specs,
	.option_count = RUN_ATTACH_OPTION_COUNT,
	.arguments = ARGUMENTS_WORDS,
	.run = attach_run,
};

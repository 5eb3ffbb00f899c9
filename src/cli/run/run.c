/* run: `baton run`: a command under a lease of its own, or under the lease of the `baton run`
 * around it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run/run.h"
#include "cli/run/run_env.h"
#include "cli/run/run_hold.h"
#include "cli/run/run_inside.h"
#include "cli/run/run_options.h"
#include "cli/run/run_scope.h"
#include "cli/run/run_state.h"
#include "process/spawn.h"
#include <baton/baton.h>

/* Refuses at once what would only fail after hours in the queue. */
static int check_command(const struct run *run)
{
	int error = spawn_lookup(run->argv[0]);
	if (error == 0)
		return -1;
	return cli_fail(run->command, error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE,
			"%s: %s", run->argv[0],
			error == ENOENT ? "there is no such command" : strerror(error));
}

/* Inside a lease that covers its needs the command replaces us. Returns -1 if that is not the case.
 */
static int run_under_outer(struct run *run)
{
	const struct run_options *options = run->options;
	const struct inside_need need = {.gpu = options->gpu,
					 .gpus = options->gpus,
					 .slots = options->slots,
					 .vram_bytes = options->vram_bytes};
	uint64_t lease;
	if (!run_inside(&need, &lease))
		return -1;

	run_progress_say(&run->show, false, "inside lease %" PRIu64 ", which has room for %s",
			 lease, run->argv[0]);
	if (options->limit)
		run_progress_say(&run->show, true,
				 "run: --limit does not hold inside another lease: %s is held to "
				 "what that is",
				 run->argv[0]);
	execvp(run->argv[0], run->argv);
	return cli_fail(run->command, errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE,
			"%s: %s", run->argv[0], strerror(errno));
}

int run_command(struct run *run)
{
	run_env_init(run->options->env_ids, run->argv);
	int rc = check_command(run);
	if (rc < 0)
		rc = run_under_outer(run);
	return rc >= 0 ? rc : run_hold(run);
}

static int run_run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct run_options options = RUN_OPTIONS_DEFAULT;
	struct run run;

	signal(SIGCHLD, SIG_DFL);
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (options.scope)
		run_scope_enter(options.quiet);
	run_begin(&run, command, &options, argv + 1);
	return run_command(&run);
}

const struct command command_run = {
	.name = "run",
	.summary = "Run a command while holding a lease.",
	.usage = "[OPTION]... [--] COMMAND [ARGUMENT]...",
	.details =
		"When others need the GPU the command gets SIGTERM (or --on-yield), the grace, "
		"then\n"
		"SIGKILL; so does whatever it leaves running when it ends. Nobody else is let in "
		"before\n"
		"the last of it is gone. With --requeue it is started again later.\n"
		"It finds BATON_LEASE, BATON_FENCE, BATON_GPU, BATON_GPU_INDEX, BATON_GPU_COUNT "
		"and\n"
		"CUDA_VISIBLE_DEVICES (and those of ROCm and Level Zero) in its environment.\n"
		"A job stopped by Ctrl-Z answers no heartbeat and loses its lease after 20 s,\n"
		"once somebody waits for it.\n"
		"Exit status: that of the command, 128 + N when signal N ended it; 75 no lease "
		"now, or\n"
		"the lease was taken before it was done; 74 moved off the GPU and not to be put "
		"back;\n"
		"124 at the end of --hold; 69 no broker, 72 never fits, 126 or 127 when the "
		"command\n"
		"cannot be run.",
	.options = run_option_specs,
	.option_count = RUN_OPTION_COUNT,
	.arguments = ARGUMENTS_COMMAND,
	.run = run_run,
};

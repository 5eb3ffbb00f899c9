/* run_checkpoint_refuse: what can be known against `--on-yield checkpoint` before there is a job:
 * of the options, the GPUs, and the driver. What a program does is known when it is to leave. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/run/checkpoint_status.h"
#include "cli/run/checkpoint_thread.h"
#include "cli/run/run_checkpoint.h"
#include "cli/run/run_options.h"
#include "cli/run/run_state.h"
#include "process/cuda_facts.h"
#include "process/proc.h"

enum { PROBE_MS = 5000, ENVIRON_BYTES = 64 * 1024 };

/* The driver's library is loaded in a thread as well: it may hang. */
static const char *probe_driver(char *ret_words, size_t size)
{
	struct checkpoint_task task = {.work = CHECKPOINT_PROBE};
	struct checkpoint_thread *thread = checkpoint_thread_start(&task);
	struct pollfd done = {.fd = thread ? checkpoint_thread_fd(thread) : -1, .events = POLLIN};
	if (!thread)
		return "no thread can be started";

	(void)poll(&done, 1, PROBE_MS);
	if (!checkpoint_thread_take(thread, &task)) {
		checkpoint_thread_abandon(thread);
		return "NVIDIA's driver does not answer";
	}
	(void)snprintf(ret_words, size, "%s", task.words);
	return task.outcome == CHECKPOINT_DONE ? NULL : ret_words;
}

static bool has_mps(void)
{
	static char block[ENVIRON_BYTES];
	struct cuda_facts facts = {0};
	size_t length = proc_read(PROC_SELF, "environ", block, sizeof(block));
	cuda_facts_environ(&facts, block, length);
	return facts.is_mps_client;
}

static const char *judge_gpus(const struct run_options *options)
{
	unsigned count = 1;
	bool mig = false;
	if (options->gpus > 1 || (options->gpu && strchr(options->gpu, ',')))
		return "it comes back to the one GPU that it left, so it may have only one";
	if (!checkpoint_status_gpus(options->gpu, &count, &mig))
		return NULL; /* the connection will say what is wrong */
	if (mig)
		return "the driver cannot move a program off a MIG instance; name a whole card by "
		       "--gpu";
	return count > 1 && !options->gpu
		       ? "it comes back to the GPU that it left, and there are several: say by "
			 "--gpu which"
		       : NULL;
}

int run_checkpoint_refuse(const struct run *run)
{
	char words[CHECKPOINT_WORDS_BYTES];
	const char *why = NULL;

	if (run->attached.pid)
		why = "a program that goes on without us (Ctrl-C) would be left off the GPU; start "
		      "it by `baton run`";
	else if (run->options->vram_bytes == 0)
		why = "say by --vram how much memory it has: so much of the RAM must be free for "
		      "it, and so much of the GPU when it comes back";
	if (!why)
		why = judge_gpus(run->options);
	if (!why && has_mps())
		why = "MPS is running, and the driver cannot move its clients; end it: echo quit | "
		      "nvidia-cuda-mps-control";
	if (!why)
		why = probe_driver(words, sizeof(words));
	if (!why)
		return -1;

	return cli_fail(run->command, EX_USAGE,
			"--on-yield checkpoint is not possible: %s. Else freeze keeps the memory, "
			"and term with --requeue starts the command again",
			why);
}

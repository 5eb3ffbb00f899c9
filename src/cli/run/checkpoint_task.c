/* checkpoint_task: see checkpoint_task.h. One is at work at a time; one that was abandoned may hang
 * beside it, and calls nothing when it returns. */
#include "cli/run/checkpoint_task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/clock.h"
#include "cli/run/checkpoint_status.h"
#include "cli/units.h"
#include "process/cgroup_memory.h"
#include "process/cuda_api.h"
#include "process/cuda_facts.h"
#include "process/proc.h"

enum {
	LOOK_AGAIN_MS = 100,
	ROOM_MS = 5000, /* for its memory to be measured free */
	TRIES = 3,
	TRY_AGAIN_MS = 500,
	MEMINFO_BYTES = 4096,
	BYTES_PER_MIB = 1024 * 1024,
	NOT_SUPPORTED = 801,
};

/* A context that is made anew is not to the byte what it was. */
static const uint64_t HEADROOM_BYTES = 64ull * BYTES_PER_MIB;

static struct cuda_api driver;
static bool driver_known, driver_begun;

const struct cuda_api *checkpoint_task_driver(void)
{
	return driver_known ? &driver : NULL;
}

/* ---- calls ---- */

struct doing {
	struct checkpoint_task *task;
	const atomic_int *order;
};

static bool was_abandoned(const struct doing *doing)
{
	return atomic_load(doing->order) == ORDER_ABANDON;
}

static bool must_stop(void *ctx)
{
	const struct doing *doing = ctx;
	return atomic_load(doing->order) != ORDER_GO || clock_now_ms() >= doing->task->until_ms;
}

static enum checkpoint_state state_of(void *ctx, const struct process *process)
{
	static const enum checkpoint_state states[] = {[CUDA_RUNNING] = CHECKPOINT_RUNNING,
						       [CUDA_LOCKED] = CHECKPOINT_LOCKED,
						       [CUDA_CHECKPOINTED] = CHECKPOINT_OUT,
						       [CUDA_FAILED] = CHECKPOINT_FAILED};
	int state = -1;
	if (was_abandoned(ctx))
		return CHECKPOINT_UNKNOWN;
	if (proc_start(process->pid) != process->start)
		return CHECKPOINT_NONE;

	int code = driver.state(process->pid, &state);
	if (code == CUDA_INVALID_VALUE || code == CUDA_NOT_INITIALIZED)
		return CHECKPOINT_NONE;
	return code == CUDA_OK && state >= CUDA_RUNNING && state <= CUDA_FAILED
		       ? states[state]
		       : CHECKPOINT_UNKNOWN;
}

/* Restoring needs a driver that this process has begun with, unless the card is kept awake. */
static int begin_driver(void)
{
	int code = driver_begun ? CUDA_OK : driver.init(0);
	driver_begun = code == CUDA_OK;
	return code;
}

static int call_driver(void *ctx, enum checkpoint_step step, const struct process *process)
{
	const struct doing *doing = ctx;
	struct cuda_args args = {0};
	if (was_abandoned(doing))
		return -ECANCELED;

	switch (step) {
	case CHECKPOINT_LOCK: {
		int64_t left_ms = doing->task->until_ms - clock_now_ms();
		args.timeout_ms = left_ms > 1 ? (uint32_t)left_ms : 1;
		return driver.lock(process->pid, &args);
	}
	case CHECKPOINT_MOVE_OUT:
		return driver.checkpoint(process->pid, &args);
	case CHECKPOINT_MOVE_IN: {
		int code = begin_driver();
		return code ? code : driver.restore(process->pid, &args);
	}
	case CHECKPOINT_UNLOCK:
	default:
		return driver.unlock(process->pid, &args);
	}
}

static struct checkpoint_calls calls_of(struct doing *doing)
{
	return (struct checkpoint_calls){
		.call = call_driver, .state = state_of, .stopped = must_stop, .ctx = doing};
}

/* ---- words ---- */

__attribute__((format(printf, 2, 3))) static void say_why(struct checkpoint_task *task,
							  const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(task->words, sizeof(task->words), format, args);
	va_end(args);
}

static void say_result(struct checkpoint_task *task, const struct checkpoint_result *result,
		       const char *what_else)
{
	static const char *const steps[] = {[CHECKPOINT_LOCK] = "stopping its CUDA",
					    [CHECKPOINT_MOVE_OUT] = "moving its memory to RAM",
					    [CHECKPOINT_MOVE_IN] = "moving its memory back",
					    [CHECKPOINT_UNLOCK] = "letting its CUDA go on"};
	char name[32], words[160];
	if (!result->pid) {
		say_why(task, "it took too long%s", what_else);
		return;
	}

	proc_name(result->pid, name, sizeof(name));
	if (result->code == CUDA_NOT_READY)
		(void)snprintf(words, sizeof(words), "what it computes did not end in time");
	else if (result->code < 0)
		(void)snprintf(words, sizeof(words), "the driver has given it up");
	else
		cuda_describe(&driver, result->code, words, sizeof(words));
	say_why(task, "%s, process %ld, %s: %s%s%s", name, (long)result->pid, steps[result->step],
		words,
		result->code == NOT_SUPPORTED ? " (managed memory, memory shared with others, or a "
						"platform that cannot)"
					      : "",
		what_else);
}

/* ---- what speaks against it ---- */

/* Puts a process on the list, unless it is there. False: nothing of it can be moved, and why was
 * said. */
static bool take_process(struct doing *doing, const struct process *process, unsigned *nccl_count)
{
	struct checkpoint_task *task = doing->task;
	struct cuda_facts facts;
	for (size_t i = 0; i < task->moved_count; i++)
		if (task->moved[i].pid == process->pid && task->moved[i].start == process->start)
			return true;
	if (cuda_facts_read(process->pid, &facts) < 0 || !facts.has_library)
		return true;

	enum checkpoint_state state = state_of(doing, process);
	const char *refusal = cuda_facts_refusal(&facts);
	if (state == CHECKPOINT_NONE) { /* as what a program with CUDA has forked */
		if (task->plain_count < CHECKPOINT_PLAIN_MAX)
			task->plain[task->plain_count++] = *process;
		return true;
	}
	*nccl_count += facts.has_nccl;

	if (refusal)
		say_why(task, "process %ld: %s", (long)process->pid, refusal);
	else if (state != CHECKPOINT_RUNNING)
		say_why(task, "process %ld is not running for CUDA: somebody else has stopped it",
			(long)process->pid);
	else if (*nccl_count > 1)
		say_why(task, "several of its processes use NCCL, whose memory the driver cannot "
			      "move; use one process on one GPU");
	else if (task->moved_count == CHECKPOINT_PROCESSES_MAX)
		say_why(task, "more than %d of its processes use CUDA", CHECKPOINT_PROCESSES_MAX);
	else
		task->moved[task->moved_count++] = *process;
	return task->words[0] == '\0';
}

static bool ram_suffices(struct checkpoint_task *task)
{
	char meminfo[MEMINFO_BYTES], needed[UNITS_BYTES], there[UNITS_BYTES];
	uint64_t available;

	uint64_t used = task->moved_count ? checkpoint_status_used(task->lease) : 0;
	if (used > task->bytes)
		task->bytes = used;

	FILE *file = fopen("/proc/meminfo", "re");
	size_t length = file ? fread(meminfo, 1, sizeof(meminfo) - 1, file) : 0;
	meminfo[length] = '\0';
	if (file)
		(void)fclose(file);
	if (task->moved_count == 0)
		return true;
	uint64_t room = cgroup_memory_room_of(task->moved[0].pid);
	if (cuda_facts_ram(meminfo, room, task->bytes, &available))
		return true;

	say_why(task,
		"there is too little RAM for its memory: it has %s, 1 GiB is left to others, and "
		"%s are free%s",
		units_mb(needed, (double)task->bytes / BYTES_PER_MIB),
		units_mb(there, (double)available / BYTES_PER_MIB),
		available == room ? " in its cgroup" : "");
	return false;
}

/* ---- the works ---- */

static void probe_driver(struct checkpoint_task *task)
{
	char why[CUDA_WHY_BYTES];
	task->outcome = CHECKPOINT_DONE;
	if (driver_known)
		return;
	if (cuda_load(getenv("BATON_LIBCUDA"), &driver, why) == 0) {
		driver_known = true;
		return;
	}
	task->outcome = CHECKPOINT_UNDONE;
	say_why(task, "%s", why);
}

static void leave_gpu(struct doing *doing)
{
	struct checkpoint_task *task = doing->task;
	struct checkpoint_calls calls = calls_of(doing);
	struct checkpoint_result result = {.outcome = CHECKPOINT_UNDONE};
	size_t from = task->moved_count;
	unsigned nccl_count = 0;
	bool good = true;

	task->plain_count = 0;
	for (size_t i = 0; good && i < task->tree.count; i++)
		good = take_process(doing, &task->tree.v[i], &nccl_count);
	if (good && (from > 0 || ram_suffices(task))) {
		result = checkpoint_move_out(&calls, task->moved, task->moved_count, from);
	} else {
		task->moved_count = from;
		if (from > 0)
			result.outcome = checkpoint_move_in(&calls, task->moved, from).outcome ==
							 CHECKPOINT_DONE
						 ? CHECKPOINT_UNDONE
						 : CHECKPOINT_LOST;
	}

	task->outcome = result.outcome;
	task->was_stopped = atomic_load(doing->order) != ORDER_GO && !result.pid;
	if (result.outcome != CHECKPOINT_DONE && !task->words[0])
		say_result(task, &result,
			   result.outcome == CHECKPOINT_LOST ? "; nor could it be undone" : "");
}

static void come_back(struct doing *doing)
{
	struct checkpoint_task *task = doing->task;
	struct checkpoint_calls calls = calls_of(doing);
	struct checkpoint_result result = {.outcome = CHECKPOINT_LOST};
	const struct timespec pause = {.tv_nsec = TRY_AGAIN_MS * 1000 * 1000};

	for (int i = 0; i < TRIES && !was_abandoned(doing); i++) {
		result = checkpoint_move_in(&calls, task->moved, task->moved_count);
		if (result.outcome == CHECKPOINT_DONE || result.code < 0)
			break;
		(void)nanosleep(&pause, NULL);
	}
	task->outcome = result.outcome;
	if (result.outcome != CHECKPOINT_DONE)
		say_result(task, &result, "");
}

/* What the lease grants is not yet what the card has: whoever used it may still be leaving. */
static void await_room(struct doing *doing)
{
	struct checkpoint_task *task = doing->task;
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000 * 1000};
	char needed[UNITS_BYTES], there[UNITS_BYTES];
	int64_t until_ms = clock_now_ms() + ROOM_MS;
	uint64_t free_bytes, needed_bytes = task->bytes + HEADROOM_BYTES;

	task->outcome = CHECKPOINT_DONE;
	while (task->moved_count > 0 && checkpoint_status_free(task->gpu, &free_bytes) &&
	       free_bytes < needed_bytes) {
		if (atomic_load(doing->order) == ORDER_GO && clock_now_ms() < until_ms) {
			(void)nanosleep(&pause, NULL);
			continue;
		}
		task->outcome = CHECKPOINT_UNDONE;
		task->was_stopped = atomic_load(doing->order) != ORDER_GO;
		say_why(task, "it needs %s on %s, where %s are measured free",
			units_mb(needed, (double)needed_bytes / BYTES_PER_MIB), task->gpu,
			units_mb(there, (double)free_bytes / BYTES_PER_MIB));
		return;
	}
}

void checkpoint_task_do(struct checkpoint_task *task, const atomic_int *order)
{
	struct doing doing = {.task = task, .order = order};
	int64_t begun_ms = clock_now_ms();

	switch (task->work) {
	case CHECKPOINT_PROBE:
		probe_driver(task);
		break;
	case CHECKPOINT_LEAVE:
		leave_gpu(&doing);
		break;
	case CHECKPOINT_ROOM:
		await_room(&doing);
		break;
	case CHECKPOINT_BACK:
	default:
		come_back(&doing);
		break;
	}
	task->took_ms = clock_now_ms() - begun_ms;
}

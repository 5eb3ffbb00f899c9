/* checkpoint: see checkpoint.h. What to undo is decided by the state that a process is in, not by
 * what was tried: a call that failed may have done its part. */
#include "process/checkpoint.h"

static void note_failure(struct checkpoint_result *result, enum checkpoint_step step,
			 const struct process *process, int code)
{
	if (result->pid)
		return;
	result->step = step;
	result->pid = process->pid;
	result->code = code;
}

/* One step for all that are in `state`, last ones first. False: one of them failed. */
static bool step_back(const struct checkpoint_calls *calls, const struct process *list,
		      size_t count, enum checkpoint_state state, enum checkpoint_step step,
		      struct checkpoint_result *result)
{
	bool good = true;

	for (size_t i = count; i-- > 0;) {
		enum checkpoint_state is = calls->state(calls->ctx, &list[i]);
		int code = is == state ? calls->call(calls->ctx, step, &list[i]) : 0;
		if (is == CHECKPOINT_FAILED || is == CHECKPOINT_UNKNOWN)
			code = -1;
		if (code && calls->state(calls->ctx, &list[i]) == CHECKPOINT_NONE)
			code = 0; /* it has ended meanwhile */
		if (code)
			note_failure(result, step, &list[i], code);
		good &= code == 0;
	}
	return good;
}

struct checkpoint_result checkpoint_move_in(const struct checkpoint_calls *calls,
					    const struct process *list, size_t count)
{
	struct checkpoint_result result = {.outcome = CHECKPOINT_LOST};

	if (step_back(calls, list, count, CHECKPOINT_OUT, CHECKPOINT_MOVE_IN, &result) &&
	    step_back(calls, list, count, CHECKPOINT_LOCKED, CHECKPOINT_UNLOCK, &result))
		result.outcome = CHECKPOINT_DONE;
	return result;
}

/* One step for all, first ones first. False: one failed, or it was stopped. */
static bool step_on(const struct checkpoint_calls *calls, const struct process *list, size_t count,
		    enum checkpoint_step step, struct checkpoint_result *result)
{
	for (size_t i = 0; i < count; i++) {
		if (calls->stopped(calls->ctx))
			return false;
		int code = calls->call(calls->ctx, step, &list[i]);
		if (code == 0 || calls->state(calls->ctx, &list[i]) == CHECKPOINT_NONE)
			continue;
		note_failure(result, step, &list[i], code);
		return false;
	}
	return true;
}

struct checkpoint_result checkpoint_move_out(const struct checkpoint_calls *calls,
					     const struct process *list, size_t count, size_t from)
{
	struct checkpoint_result result = {.outcome = CHECKPOINT_DONE};

	if (step_on(calls, list + from, count - from, CHECKPOINT_LOCK, &result) &&
	    step_on(calls, list + from, count - from, CHECKPOINT_MOVE_OUT, &result) &&
	    !calls->stopped(calls->ctx))
		return result;

	result.outcome = checkpoint_move_in(calls, list, count).outcome == CHECKPOINT_DONE
				 ? CHECKPOINT_UNDONE
				 : CHECKPOINT_LOST;
	return result;
}

/* run_end_words: see run_end_words.h. Says no more than what is known: who sent a signal is told
 * only where the kernel said so. */
#include "cli/run/run_end_words.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "process/unit_of.h"

static void add_part(struct text *words, const char *part)
{
	if (words->length > 0)
		text_str(words, "; ");
	text_str(words, part);
}

static void add_unit(struct text *words, const struct run_end *end)
{
	static const char *const why[] = {
		[UNIT_SESSION] = ", at a logout or shutdown",
		[UNIT_USER] = " of the user, by command, at a logout or shutdown",
		[UNIT_SYSTEM] = "",
	};
	char part[RUN_UNIT_BYTES + 80];

	if (end->ended_by == UNIT_NONE)
		return;
	snprintf(part, sizeof(part), "systemd stopped %s%s", end->unit, why[end->ended_by]);
	add_part(words, part);
}

static void add_status(struct text *words, const struct run_end *end)
{
	const char *name = WIFSIGNALED(end->status) ? sigabbrev_np(WTERMSIG(end->status)) : NULL;
	char part[64];

	if (end->unknown || end->stopped)
		return;
	if (WIFSIGNALED(end->status) && name)
		snprintf(part, sizeof(part), "killed by SIG%s", name);
	else if (WIFSIGNALED(end->status))
		snprintf(part, sizeof(part), "killed by signal %d", WTERMSIG(end->status));
	else if (WEXITSTATUS(end->status) != 0 || end->oom_kills > 0)
		snprintf(part, sizeof(part), "exit status %d", WEXITSTATUS(end->status));
	else
		return;
	add_part(words, part);
}

void run_end_words(const struct run_end *end, char *ret_words, size_t size)
{
	cleanup_text struct text words = {0};
	char part[96];

	if (end->oom_kills > 0) {
		snprintf(part, sizeof(part),
			 "the kernel killed %" PRId64 " process%s because memory ran out",
			 end->oom_kills, end->oom_kills == 1 ? "" : "es");
		add_part(&words, part);
	}
	add_unit(&words, end);
	if (end->held_out)
		add_part(&words, "stopped at the end of --hold");
	else
		add_status(&words, end);

	snprintf(ret_words, size, "%s", words.length > 0 ? words.bytes : "");
}

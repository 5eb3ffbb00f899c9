/* run_mark: see run_mark.h. Only on purpose can a process hide from both. */
#include "process/run_mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "process/proc.h"

enum { ENVIRON_BYTES_MAX = 256 * 1024, LIMITS_BYTES = 4096, LIMIT_DIGITS = 15 };

/* The variable's value; NULL: it has none. */
static const char *find_marks(int64_t pid)
{
	static const char name[] = "BATON_RUN=";
	static char block[ENVIRON_BYTES_MAX + 1];
	size_t length = proc_read(pid, "environ", block, sizeof(block));

	for (const char *at = block; at < block + length; at += strlen(at) + 1)
		if (strncmp(at, name, strlen(name)) == 0)
			return at + strlen(name);
	return NULL;
}

bool run_mark_read(int64_t pid, char ret_mark[LIMIT_MARK_BYTES + 1])
{
	const char *marks = find_marks(pid);
	const char *last = marks ? strrchr(marks, ',') : NULL;
	last = last ? last + 1 : marks;
	if (!last || strspn(last, "0123456789abcdef") != LIMIT_MARK_BYTES || last[LIMIT_MARK_BYTES])
		return false;

	memcpy(ret_mark, last, LIMIT_MARK_BYTES + 1);
	return true;
}

/* ---- as a limit ---- */

/* Far beyond what anybody would set. */
uint64_t run_mark_limit(const char *mark)
{
	char digits[LIMIT_DIGITS + 1];
	if (strspn(mark, "0123456789abcdef") < LIMIT_DIGITS)
		return 0;
	(void)snprintf(digits, sizeof(digits), "%s", mark);
	return UINT64_C(1) << 62 | strtoull(digits, NULL, 16);
}

void run_mark_leave(uint64_t limit)
{
	struct rlimit now, marked = {.rlim_cur = (rlim_t)limit, .rlim_max = (rlim_t)limit};
	if (limit && getrlimit(RLIMIT_LOCKS, &now) == 0 && now.rlim_max == RLIM_INFINITY)
		(void)setrlimit(RLIMIT_LOCKS, &marked);
}

/* It can be lowered only. */
void run_mark_drop(void)
{
	struct rlimit now;
	if (getrlimit(RLIMIT_LOCKS, &now) < 0 || now.rlim_max == RLIM_INFINITY || now.rlim_max == 0)
		return;
	now.rlim_max--;
	if (now.rlim_cur > now.rlim_max)
		now.rlim_cur = now.rlim_max;
	(void)setrlimit(RLIMIT_LOCKS, &now);
}

/* Anybody may read it. That of the dead can be read as well, until they are collected. */
static bool has_limit(int64_t pid, uint64_t wanted)
{
	char text[LIMITS_BYTES];
	struct proc_stat stat;
	uint64_t limit = 0;
	(void)proc_read(pid, "limits", text, sizeof(text));

	const char *line = strstr(text, "\nMax file locks ");
	return wanted && line && sscanf(line, " Max file locks %*s %" SCNu64, &limit) == 1 &&
	       limit == wanted && proc_stat(pid, &stat) && !proc_is_dead(&stat);
}

bool run_mark_has(int64_t pid, const char *mark)
{
	const char *marks = find_marks(pid);
	return (marks && strstr(marks, mark)) || has_limit(pid, run_mark_limit(mark));
}

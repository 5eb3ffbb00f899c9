/* run_mark: see run_mark.h. A process can hide it: by an environment of its own. */
#include "process/run_mark.h"

#include <string.h>

#include "process/proc.h"

enum { ENVIRON_BYTES_MAX = 256 * 1024 };

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

bool run_mark_has(int64_t pid, const char *mark)
{
	const char *marks = find_marks(pid);
	return marks && strstr(marks, mark);
}

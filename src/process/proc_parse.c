/* proc_parse: see proc_parse.h and proc_pid_stat(5). */
#include "process/proc_parse.h"

#include <stdlib.h>
#include <string.h>

enum { FIELD_PARENT = 4, FIELD_THREADS = 20, FIELD_START = 22 };

/* The decimal number at *at, which is advanced past it. False: none, or over `max`. */
static bool parse_number(const char **at, uint64_t max, uint64_t *ret_number)
{
	const char *digit = *at;
	uint64_t number = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++) {
		uint64_t value = (uint64_t)(*digit - '0');
		if (number > (max - value) / 10)
			return false;
		number = number * 10 + value;
	}

	if (digit == *at)
		return false;
	*at = digit;
	*ret_number = number;
	return true;
}

/* A whole field: the kernel writes a space after each field that is read here, so a number without
 * one may be truncated. */
static bool parse_field(const char **at, uint64_t max, uint64_t *ret_number)
{
	if (!parse_number(at, max, ret_number) || **at != ' ')
		return false;
	*at += 1;
	return true;
}

static bool skip_fields(const char **at, int count)
{
	for (; count > 0; count--) {
		const char *space = strchr(*at, ' ');
		if (!space)
			return false;
		*at = space + 1;
	}
	return true;
}

bool proc_parse_stat(const char *text, struct proc_stat *ret_stat)
{
	/* The name in field 2 may hold anything, parentheses too: count from the last one. */
	const char *at = strrchr(text, ')');
	uint64_t parent, threads, start;

	if (!at || at[1] != ' ' || at[2] == '\0' || at[3] != ' ')
		return false;

	char state = at[2];
	at += 4;
	if (!parse_field(&at, INT32_MAX, &parent) ||
	    !skip_fields(&at, FIELD_THREADS - FIELD_PARENT - 1) ||
	    !parse_field(&at, INT32_MAX, &threads) ||
	    !skip_fields(&at, FIELD_START - FIELD_THREADS - 1) ||
	    !parse_field(&at, UINT64_MAX, &start))
		return false;

	*ret_stat = (struct proc_stat){
		.state = state,
		.parent = (int64_t)parent,
		.threads = (int64_t)threads,
		.start = start,
	};
	return true;
}

/* The value after "KEY:" and blanks; NULL: the line has another key. */
static const char *value_of(const char *line, const char *key)
{
	size_t length = strlen(key);
	if (strncmp(line, key, length) != 0 || line[length] != ':')
		return NULL;
	line += length + 1;
	return line + strspn(line, " \t");
}

void proc_parse_status(const char *line, struct proc_status *status)
{
	const char *uid = value_of(line, "Uid");
	const char *pids = value_of(line, "NSpid");
	const char *state = value_of(line, "State");
	const char *waits = value_of(line, "voluntary_ctxt_switches");
	uint64_t number;

	/* -1 as an id means none. */
	if (uid && parse_number(&uid, UINT32_MAX - 1, &number) && *uid == '\t')
		status->uid = (int64_t)number;

	/* One pid per namespace, this one's first. */
	if (pids) {
		pids += strspn(pids, "0123456789");
		status->is_nested = pids[strspn(pids, " \t\n")] != '\0';
		status->inner_pid = 0;
		for (pids += strspn(pids, " \t"); parse_number(&pids, INT32_MAX, &number);
		     pids += strspn(pids, " \t"))
			status->inner_pid = (int64_t)number;
	}

	if (state)
		status->state = *state == '\n' ? '\0' : *state;
	if (waits && parse_number(&waits, INT64_MAX, &number))
		status->waits = (int64_t)number;
}

bool proc_parse_cgroup(const char *line, char *ret_path, size_t size)
{
	const char *path = line + 3;
	if (strncmp(line, "0::/", 4) != 0)
		return false;

	size_t length = strcspn(path, "\n");
	if (length >= size)
		return false;
	memcpy(ret_path, path, length);
	ret_path[length] = '\0';
	return true;
}

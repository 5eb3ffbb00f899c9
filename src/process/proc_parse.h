/* proc_parse: parses the texts of /proc/PID. Pure. Rejects a truncated text, or a number out of
 * range: better unknown than another process's start time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proc_stat {
	char state; /* 'R', 'S', 'Z' .. */
	int64_t parent;
	int64_t threads;
	uint64_t
		start; /* clock ticks since boot: tells it from a later process with the same pid */
};

struct proc_status {
	int64_t uid;       /* the real one; -1: unknown */
	bool is_nested;    /* has another pid in a nested PID namespace */
	int64_t inner_pid; /* nested: the one in the innermost; else 0 */
	char state;        /* as in proc_stat; '\0': unknown */
	int64_t waits;     /* how often its main thread gave up the processor; -1: unknown */
};

#define PROC_STATUS_NONE ((struct proc_status){.uid = -1, .waits = -1})

/* /proc/PID/stat. False: not such a text. */
bool proc_parse_stat(const char *text, struct proc_stat *ret_stat);
/* One line of /proc/PID/status; no-op for other lines. */
void proc_parse_status(const char *line, struct proc_status *status);
/* One line of /proc/PID/cgroup: the path within the cgroup2 hierarchy, "/" and more. False: the
 * line is about another hierarchy, or the path does not fit. */
bool proc_parse_cgroup(const char *line, char *ret_path, size_t size);

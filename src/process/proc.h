/* proc: reads about one process from /proc by its pid, PROC_SELF for this one: /proc may belong to
 * another PID namespace, where this process's pid means another one. A pid may be reused between
 * two calls: compare start times, or hold a pidfd. */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "process/proc_parse.h"

struct proc_stat;

enum { PROC_SELF = 0 };

/* The whole of /proc/PID/FILE, or as much as fits, NUL-terminated. Returns the length without
 * the NUL; 0: unreadable. */
size_t proc_read(int64_t pid, const char *file, char *ret_bytes, size_t size);
/* The same for a file of any length, to be read line by line; NULL: unreadable. The caller closes
 * it. */
FILE *proc_lines(int64_t pid, const char *file);
/* False: no such process, or not visible. */
bool proc_stat(int64_t pid, struct proc_stat *ret_stat);
uint64_t proc_start(int64_t pid); /* 0: unknown or gone */
/* 0: unknown, gone, or dead and so without resources. */
int64_t proc_parent(int64_t pid);
bool proc_is_dead(const struct proc_stat *stat);
/* PROC_STATUS_NONE: unknown or gone. */
struct proc_status proc_status(int64_t pid);
/* The command's name, at most 15 bytes and one line; "": unknown or gone. */
void proc_name(int64_t pid, char *ret_name, size_t size);
/* Where it is in the cgroup2 hierarchy. False: unknown. */
bool proc_cgroup(int64_t pid, char *ret_path, size_t size);

/* Lists all processes: the next pid of a folder that was opened with opendir("/proc"); 0: no more.
 * NULL has none. */
pid_t proc_next(DIR *proc);

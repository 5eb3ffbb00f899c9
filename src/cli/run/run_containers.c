/* run_containers: a container is taken for the job's when it began after it, and is on one of its
 * GPUs as the broker measures, or has the job's mark in its environment. */
#include "cli/run/run_containers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/run/run_state.h"
#include "process/container.h"
#include "process/proc.h"
#include "process/proc_parse.h"

enum { CONTAINERS_MAX = 32, CGROUP_TEXT_BYTES = 4096, ENVIRON_BYTES = 64 * 1024 };

struct found {
	pid_t pid;
	struct container container;
	bool said;
};

/* Its last mark: the others are those of runs around this one. */
static const char *own_mark(void)
{
	const char *marks = getenv("BATON_RUN");
	const char *comma = marks ? strrchr(marks, ',') : NULL;
	return comma ? comma + 1 : marks;
}

static bool is_marked(pid_t pid, const char *mark)
{
	static char block[ENVIRON_BYTES];
	size_t length = mark && *mark ? proc_read(pid, "environ", block, sizeof(block)) : 0;

	for (const char *at = block; at < block + length; at += strlen(at) + 1)
		if (strncmp(at, "BATON_RUN=", 10) == 0 && strstr(at, mark))
			return true;
	return false;
}

static bool read_container(pid_t pid, struct container *ret)
{
	char text[CGROUP_TEXT_BYTES];
	(void)proc_read(pid, "cgroup", text, sizeof(text));
	return container_parse(text, ret);
}

/* Processes in containers other than our own that began since then. */
static size_t find_processes(uint64_t since, struct found *found)
{
	struct container own, container;
	struct proc_stat stat;
	size_t count = 0;
	pid_t pid;
	DIR *proc = opendir("/proc");

	(void)read_container(PROC_SELF, &own);
	while (count < CONTAINERS_MAX && (pid = proc_next(proc)) > 0)
		if (proc_stat(pid, &stat) && stat.start >= since && !proc_is_dead(&stat) &&
		    read_container(pid, &container) && strcmp(container.id, own.id) != 0)
			found[count++] = (struct found){.pid = pid, .container = container};
	if (proc)
		(void)closedir(proc);
	return count;
}

static void say_container(struct run *run, struct found *found, size_t count, size_t at,
			  const char *where)
{
	const char *runtime = found[at].container.runtime, *id = found[at].container.id;
	char name[32], stop[128] = "";
	int length = strlen(id) == 64 ? 12 : (int)strlen(id);
	if (strcmp(runtime, "docker") == 0 || strcmp(runtime, "podman") == 0)
		(void)snprintf(stop, sizeof(stop), "; to end it: %s stop %.*s", runtime, length,
			       id);

	for (size_t i = 0; i < count; i++)
		found[i].said |= strcmp(found[i].container.id, id) == 0;
	proc_name(found[at].pid, name, sizeof(name));
	run_progress_say(&run->show, true,
			 "run: %s container %.*s (%s, process %ld) was started while %s ran, and "
			 "%s%s",
			 runtime, length, id, name, (long)found[at].pid, run->argv[0], where, stop);
}

/* BATON_GPU has the names of our GPUs, with commas. */
static bool is_leased(const char *gpu)
{
	char names[512], *rest = NULL;
	const char *value = getenv("BATON_GPU");

	(void)snprintf(names, sizeof(names), "%s", value ? value : "");
	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (strcmp(name, gpu) == 0)
			return true;
	return false;
}

static void say_measured(struct run *run, const json_t *gpu, struct found *found, size_t count)
{
	char where[80];
	const char *name = field_text(gpu, "name", "");
	size_t i;
	json_t *process;

	if (!is_leased(name))
		return;
	(void)snprintf(where, sizeof(where), "is still on %.48s", name);
	json_array_foreach (json_object_get(json_object_get(gpu, "measured"), "processes"), i,
			    process)
		for (size_t n = 0; n < count; n++)
			if (!found[n].said && field_u64(process, "pid") == (uint64_t)found[n].pid)
				say_container(run, found, count, n, where);
}

void run_containers_say(struct run *run, uint64_t since)
{
	struct found found[CONTAINERS_MAX];
	const char *mark = own_mark();
	size_t count = since ? find_processes(since, found) : 0, i;
	json_t *status, *gpu;

	if (count == 0)
		return;
	status = http_client_status();
	json_array_foreach (json_object_get(status, "gpus"), i, gpu)
		say_measured(run, gpu, found, count);
	json_decref(status);

	for (i = 0; i < count; i++)
		if (!found[i].said && is_marked(found[i].pid, mark))
			say_container(run, found, count, i, "still runs");
}

/* standin: a libcuda.so.1 that moves nothing but says so. Written from the documented interface of
 * CUDA's driver, not recorded from one.
 *
 * BATON_CUDA_STANDIN names a folder, which whoever plays a CUDA program shares:
 *   state-PID   "running", "locked", "checkpointed" or "failed"; none: it uses no CUDA
 *   calls       each call that changes a state is added, with the pid: "lock 4711"
 *   scenario    lines, read at each call:
 *     version driver N  of cuDriverGetVersion
 *     fail CALL CODE    the call returns that, and changes nothing
 *     break CALL CODE   the same, and the process is "failed"
 *     second CALL CODE  as fail, but the first process of the log is spared
 *     hang CALL         the call does not return as long as the line is there */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK, INVALID_VALUE, NOT_INITIALIZED = 3, ILLEGAL_STATE = 401 };

static bool begun;

static void path_of(const char *name, char *ret_path, size_t size)
{
	const char *folder = getenv("BATON_CUDA_STANDIN");
	(void)snprintf(ret_path, size, "%s/%s", folder ? folder : "/nonexistent", name);
}

/* The number of a line of the scenario; -1: there is none. */
static int look_up(const char *verb, const char *call)
{
	char path[512], line[128], found_verb[32], found_call[32];
	int number = -1, value;
	path_of("scenario", path, sizeof(path));
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		value = 0;
		if (sscanf(line, "%31s %31s %d", found_verb, found_call, &value) >= 2 &&
		    strcmp(found_verb, verb) == 0 && strcmp(found_call, call) == 0)
			number = value;
	}
	if (file)
		(void)fclose(file);
	return number;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags);
EXPORT int cuDriverGetVersion(int *ret_version);
EXPORT int cuGetErrorString(int code, const char **ret_text);

int cuInit(unsigned flags)
{
	begun = flags == 0;
	return OK;
}

int cuDriverGetVersion(int *ret_version)
{
	int version = look_up("version", "driver");
	*ret_version = version > 0 ? version : 13000;
	return OK;
}

int cuGetErrorString(int code, const char **ret_text)
{
	*ret_text = code == 2 ? "out of memory" : code == 801 ? "operation not supported" : NULL;
	return *ret_text ? OK : INVALID_VALUE;
}

#ifndef STANDIN_OLD

static const char *const states[] = {"running", "locked", "checkpointed", "failed"};

static int read_state(int pid)
{
	char path[512], name[32], word[32] = "";
	(void)snprintf(name, sizeof(name), "state-%d", pid);
	path_of(name, path, sizeof(path));
	FILE *file = fopen(path, "re");
	if (!file)
		return -1;
	(void)!fscanf(file, "%31s", word);
	(void)fclose(file);

	for (int i = 0; i < 4; i++)
		if (strcmp(word, states[i]) == 0)
			return i;
	return -1;
}

/* In one piece: the program reads it at any time. */
static void write_state(int pid, int state)
{
	char path[512], beside[520], name[32];
	(void)snprintf(name, sizeof(name), "state-%d", pid);
	path_of(name, path, sizeof(path));
	(void)snprintf(beside, sizeof(beside), "%s.new", path);
	FILE *file = fopen(beside, "we");
	if (!file)
		return;
	(void)fprintf(file, "%s\n", states[state]);
	(void)fclose(file);
	(void)rename(beside, path);
}

static bool is_first(const char *call, int pid)
{
	char path[512], line[64], said[64];
	bool first = true;
	path_of("calls", path, sizeof(path));
	(void)snprintf(said, sizeof(said), "%s %d\n", call, pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, said, strlen(call) + 1) == 0 && strcmp(line, said) != 0)
			first = false;
	if (file)
		(void)fclose(file);
	return first;
}

static void note_call(const char *call, int pid)
{
	char path[512];
	path_of("calls", path, sizeof(path));
	FILE *file = fopen(path, "ae");
	if (!file)
		return;
	(void)fprintf(file, "%s %d\n", call, pid);
	(void)fclose(file);
}

static int change(const char *call, int pid, int from, int to)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	note_call(call, pid);
	while (look_up("hang", call) >= 0)
		(void)nanosleep(&pause, NULL);

	int code = look_up("fail", call);
	if (code < 0 && !is_first(call, pid))
		code = look_up("second", call);
	if (code < 0 && (code = look_up("break", call)) >= 0)
		write_state(pid, 3);
	if (code >= 0)
		return code;

	int state = read_state(pid);
	if (state < 0)
		return INVALID_VALUE;
	if (state != from)
		return ILLEGAL_STATE;
	write_state(pid, to);
	return OK;
}

struct args {
	uint32_t timeout_ms, reserved[15];
};

EXPORT int cuCheckpointProcessGetState(int pid, int *ret_state);
EXPORT int cuCheckpointProcessLock(int pid, struct args *args);
EXPORT int cuCheckpointProcessCheckpoint(int pid, struct args *args);
EXPORT int cuCheckpointProcessRestore(int pid, struct args *args);
EXPORT int cuCheckpointProcessUnlock(int pid, struct args *args);

static bool is_zero(const struct args *args, bool with_timeout)
{
	for (int i = 0; i < 15; i++)
		if (args->reserved[i])
			return false;
	return with_timeout ? args->timeout_ms != 0 : args->timeout_ms == 0;
}

int cuCheckpointProcessGetState(int pid, int *ret_state)
{
	int state = read_state(pid);
	if (state < 0)
		return INVALID_VALUE;
	*ret_state = state;
	return OK;
}

int cuCheckpointProcessLock(int pid, struct args *args)
{
	return is_zero(args, true) ? change("lock", pid, 0, 1) : INVALID_VALUE;
}

int cuCheckpointProcessCheckpoint(int pid, struct args *args)
{
	return is_zero(args, false) ? change("checkpoint", pid, 1, 2) : INVALID_VALUE;
}

/* As the driver has it without persistence mode. */
int cuCheckpointProcessRestore(int pid, struct args *args)
{
	if (!begun)
		return NOT_INITIALIZED;
	return is_zero(args, false) ? change("restore", pid, 2, 1) : INVALID_VALUE;
}

int cuCheckpointProcessUnlock(int pid, struct args *args)
{
	return is_zero(args, false) ? change("unlock", pid, 1, 0) : INVALID_VALUE;
}

#endif

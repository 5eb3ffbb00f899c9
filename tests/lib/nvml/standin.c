/* standin: a libnvidia-ml.so.1 whose GPUs are lines of a text file, read again whenever a test has
 * replaced it. Written from the documented interface of NVML, not recorded from a driver.
 *
 * BATON_NVML_SCENARIO names the file; BATON_NVML_CALLS one to which opens and closes are added:
 *   init CODE                     what nvmlInit returns; 9: no driver, 18: version mismatch
 *   rows BYTES                    of a process row: 32, as some drivers had it
 *   gpu UUID PCI [WORD | KEY=N].. memory in MiB: total reserved used; util temp power(mW);
 *                                 unsupported: both memory calls; error2: the newer one;
 *                                 lost reset hang mig; name=TEXT, "_" for a blank
 *   mig UUID [KEY=N]..            an instance of the last card
 *   process PID MIB|na USE        of the last card or instance; USE: compute graphics mps
 *   cgroup PATH MIB               what it uses of the last card; -: not available
 * BATON_NVML_LIMITS names the file that has the limits of cgroups, a line each; without it there
 * are none, as before r615. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pthread.h>

enum {
	OK,
	INVALID = 2,
	NOT_SUPPORTED,
	NOT_FOUND = 6,
	TOO_SMALL,
	UNKNOWN_ERROR = 999,
	LOST = 15,
	RESET,
	GPUS = 64,
	NO_PERMISSION = 4,
	PROCESSES = 1024,
	CGROUPS = 16,
	USES = 3,
};

struct process {
	unsigned pid;
	unsigned long long bytes;
	int use;
};

struct cgroup_use {
	char path[256];
	unsigned long long bytes;
};

struct gpu {
	char uuid[96], pci[32], name[96];
	int parent; /* of an instance; -1: a card */
	unsigned long long total, reserved, used;
	int util, temp, power; /* -1: not supported */
	int unsupported, error2, lost, reset, hang, mig;
	int process_count, cgroup_count;
	struct process processes[PROCESSES];
	struct cgroup_use cgroups[CGROUPS];
};

static struct gpu gpus[GPUS];
static int gpu_count, init_code, row_bytes;
static struct stat seen;
static char handles[GPUS * 2][96]; /* uuids: a handle is a place here, and stays good */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void set_word(struct gpu *gpu, const char *word)
{
	const char *value = strchr(word, '=');
	unsigned long long mib = value ? strtoull(value + 1, NULL, 10) << 20 : 0;
	int number = value ? atoi(value + 1) : 0;

	gpu->unsupported |= strcmp(word, "unsupported") == 0;
	gpu->error2 |= strcmp(word, "error2") == 0;
	gpu->lost |= strcmp(word, "lost") == 0;
	gpu->reset |= strcmp(word, "reset") == 0;
	gpu->hang |= strcmp(word, "hang") == 0;
	gpu->mig |= strcmp(word, "mig") == 0;
	if (strncmp(word, "total=", 6) == 0)
		gpu->total = mib;
	if (strncmp(word, "reserved=", 9) == 0)
		gpu->reserved = mib;
	if (strncmp(word, "used=", 5) == 0)
		gpu->used = mib;
	if (strncmp(word, "util=", 5) == 0)
		gpu->util = number;
	if (strncmp(word, "temp=", 5) == 0)
		gpu->temp = number;
	if (strncmp(word, "power=", 6) == 0)
		gpu->power = number;
	if (strncmp(word, "name=", 5) == 0)
		snprintf(gpu->name, sizeof(gpu->name), "%s", value + 1);
	for (char *c = gpu->name; *c; c++)
		*c = *c == '_' ? ' ' : *c;
}

static void add_gpu(int parent, char *save)
{
	struct gpu *gpu = &gpus[gpu_count < GPUS ? gpu_count++ : GPUS - 1];
	const char *word = strtok_r(NULL, " \n", &save);

	memset(gpu, 0, sizeof(*gpu));
	gpu->parent = parent;
	gpu->util = gpu->temp = gpu->power = -1;
	snprintf(gpu->name, sizeof(gpu->name), "NVIDIA Stand-in");
	snprintf(gpu->uuid, sizeof(gpu->uuid), "%s", word ? word : "");
	if (parent < 0 && (word = strtok_r(NULL, " \n", &save)))
		snprintf(gpu->pci, sizeof(gpu->pci), "%s", word);
	while ((word = strtok_r(NULL, " \n", &save)))
		set_word(gpu, word);
}

static void add_process(char *save)
{
	struct gpu *gpu = &gpus[gpu_count - 1];
	const char *pid = strtok_r(NULL, " \n", &save), *mib = strtok_r(NULL, " \n", &save),
		   *use = strtok_r(NULL, " \n", &save);

	if (gpu_count == 0 || !use || gpu->process_count == PROCESSES)
		return;
	gpu->processes[gpu->process_count++] = (struct process){
		.pid = (unsigned)strtoul(pid, NULL, 10),
		.bytes = strcmp(mib, "na") == 0 ? UINT64_MAX : strtoull(mib, NULL, 10) << 20,
		.use = use[0] == 'g'   ? 1
		       : use[0] == 'm' ? 2
				       : 0,
	};
}

static void add_cgroup(char *save)
{
	struct gpu *gpu = &gpus[gpu_count - 1];
	const char *path = strtok_r(NULL, " \n", &save), *mib = strtok_r(NULL, " \n", &save);
	if (gpu_count == 0 || !mib || gpu->cgroup_count == CGROUPS)
		return;

	struct cgroup_use *use = &gpu->cgroups[gpu->cgroup_count++];
	snprintf(use->path, sizeof(use->path), "%s", path);
	use->bytes = strcmp(mib, "-") == 0 ? UINT64_MAX : strtoull(mib, NULL, 10) << 20;
}

static void read_line(char *line)
{
	static int card;
	char *save = NULL;
	const char *word = strtok_r(line, " \n", &save);

	if (!word || word[0] == '#')
		return;
	if (strcmp(word, "init") == 0)
		init_code = atoi(save);
	else if (strcmp(word, "rows") == 0)
		row_bytes = atoi(save);
	else if (strcmp(word, "gpu") == 0)
		add_gpu(-1, save), card = gpu_count - 1;
	else if (strcmp(word, "mig") == 0)
		add_gpu(card, save);
	else if (strcmp(word, "process") == 0)
		add_process(save);
	else if (strcmp(word, "cgroup") == 0)
		add_cgroup(save);
}

/* Under the mutex. */
static void read_scenario(void)
{
	const char *path = getenv("BATON_NVML_SCENARIO");
	char line[512];
	struct stat now;

	if (!path || stat(path, &now) != 0 ||
	    (now.st_ino == seen.st_ino && now.st_size == seen.st_size &&
	     now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
	     now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec))
		return;

	FILE *file = fopen(path, "re");
	if (!file)
		return;
	gpu_count = init_code = row_bytes = 0;
	while (fgets(line, sizeof(line), file))
		read_line(line);
	fclose(file);
	seen = now;
}

static void note_call(const char *what)
{
	const char *path = getenv("BATON_NVML_CALLS");
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	fprintf(file, "%s\n", what);
	fclose(file);
}

static void *handle_of(const char *uuid)
{
	for (int i = 0; i < GPUS * 2; i++) {
		if (!handles[i][0])
			snprintf(handles[i], sizeof(handles[i]), "%s", uuid);
		if (strcmp(handles[i], uuid) == 0)
			return &handles[i];
	}
	return NULL;
}

/* Under the mutex, which is let go while it hangs; a copy, for the file may change. */
static int find_gpu(const void *handle, struct gpu **ret)
{
	for (;;) {
		struct gpu *found = NULL;
		read_scenario();
		for (int i = 0; i < gpu_count; i++)
			if (handle && strcmp(gpus[i].uuid, handle) == 0)
				found = &gpus[i];
		*ret = found;
		if (!found)
			return LOST;
		if (!found->hang)
			return found->lost ? LOST : found->reset ? RESET : OK;
		pthread_mutex_unlock(&mutex);
		usleep(10000);
		pthread_mutex_lock(&mutex);
	}
}

#define WITH_GPU(handle)                                                                           \
	struct gpu *gpu;                                                                           \
	pthread_mutex_lock(&mutex);                                                                \
	int code = find_gpu(handle, &gpu)
#define DONE()                                                                                     \
	pthread_mutex_unlock(&mutex);                                                              \
	return code

int nvmlInit_v2(void);
int nvmlInitWithFlags(unsigned flags);
int nvmlShutdown(void);
const char *nvmlErrorString(int code);
int nvmlSystemGetDriverVersion(char *out, unsigned size);
int nvmlSystemGetCudaDriverVersion(int *version);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle);
int nvmlDeviceGetUUID(void *handle, char *out, unsigned size);
int nvmlDeviceGetName(void *handle, char *out, unsigned size);
int nvmlDeviceGetPciInfo_v3(void *handle, void *out);
int nvmlDeviceGetMemoryInfo(void *handle, void *out);
int nvmlDeviceGetMemoryInfo_v2(void *handle, void *out);
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *out);
int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *out);
int nvmlDeviceGetPowerUsage(void *handle, unsigned *out);
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *later);
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count);
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **out);

int nvmlInit_v2(void)
{
	pthread_mutex_lock(&mutex);
	read_scenario();
	int code = init_code;
	note_call("init");
	DONE();
}

int nvmlInitWithFlags(unsigned flags)
{
	(void)flags;
	return nvmlInit_v2();
}

int nvmlShutdown(void)
{
	note_call("shutdown");
	return OK;
}

const char *nvmlErrorString(int code)
{
	return code == 15   ? "GPU is lost"
	       : code == 18 ? "Driver/library version mismatch"
	       : code == 9  ? "Driver Not Loaded"
	       : code == 3  ? "Not Supported"
	       : code == 4  ? "Insufficient Permissions"
	       : code == 6  ? "Not Found"
			    : "Unknown Error";
}

int nvmlSystemGetCudaDriverVersion(int *version)
{
	*version = 12040;
	return OK;
}

int nvmlSystemGetDriverVersion(char *out, unsigned size)
{
	snprintf(out, size, "550.54.14");
	return OK;
}

/* The i-th card, or the i-th instance of a card. */
static struct gpu *child_at(int parent, unsigned index)
{
	for (int i = 0; i < gpu_count; i++)
		if (gpus[i].parent == parent && index-- == 0)
			return &gpus[i];
	return NULL;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
	pthread_mutex_lock(&mutex);
	int code = OK;
	read_scenario();
	for (*count = 0; child_at(-1, *count); ++*count)
		;
	DONE();
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
	pthread_mutex_lock(&mutex);
	read_scenario();
	struct gpu *gpu = child_at(-1, index);
	int code = !gpu ? INVALID : gpu->lost ? LOST : OK;
	if (gpu)
		*handle = handle_of(gpu->uuid);
	DONE();
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned size)
{
	/* Does not hang: the library remembers it. */
	snprintf(out, size, "%s", (const char *)handle);
	return OK;
}

int nvmlDeviceGetName(void *handle, char *out, unsigned size)
{
	WITH_GPU(handle);
	if (code == OK)
		snprintf(out, size, "%s", gpu->name);
	DONE();
}

int nvmlDeviceGetPciInfo_v3(void *handle, void *out)
{
	struct {
		char legacy[16];
		unsigned domain, bus, device, ids, subsystem;
		char bus_id[32];
	} pci = {0};
	WITH_GPU(handle);
	if (code == OK && gpu->parent >= 0)
		gpu = &gpus[gpu->parent];
	if (code == OK && sscanf(gpu->pci, "%x:%x:%x", &pci.domain, &pci.bus, &pci.device) == 3) {
		snprintf(pci.bus_id, sizeof(pci.bus_id), "%08X:%02X:%02X.0", pci.domain, pci.bus,
			 pci.device);
		memcpy(out, &pci, sizeof(pci));
	}
	DONE();
}

int nvmlDeviceGetMemoryInfo(void *handle, void *out)
{
	WITH_GPU(handle);
	if (code == OK && gpu->unsupported)
		code = NOT_SUPPORTED;
	if (code == OK) {
		unsigned long long used = gpu->used + gpu->reserved;
		unsigned long long v1[3] = {gpu->total, gpu->total - used, used};
		memcpy(out, v1, sizeof(v1));
	}
	DONE();
}

int nvmlDeviceGetUtilizationRates(void *handle, unsigned *out)
{
	WITH_GPU(handle);
	if (code == OK && gpu->util < 0)
		code = NOT_SUPPORTED;
	if (code == OK)
		out[0] = (unsigned)gpu->util, out[1] = 0;
	DONE();
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *out)
{
	WITH_GPU(handle);
	if (sensor != 0)
		code = INVALID;
	if (code == OK && gpu->temp < 0)
		code = NOT_SUPPORTED;
	if (code == OK)
		*out = (unsigned)gpu->temp;
	DONE();
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *out)
{
	WITH_GPU(handle);
	if (code == OK && gpu->power < 0)
		code = NOT_SUPPORTED;
	if (code == OK)
		*out = (unsigned)gpu->power;
	DONE();
}

int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *later)
{
	WITH_GPU(handle);
	if (code == OK && gpu->parent >= 0)
		code = NOT_SUPPORTED;
	if (code == OK)
		*now = *later = (unsigned)gpu->mig;
	DONE();
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count)
{
	WITH_GPU(handle);
	*count = 7;
	DONE();
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **out)
{
	WITH_GPU(handle);
	if (code == OK) {
		struct gpu *instance = child_at((int)(gpu - gpus), index);
		code = instance ? OK : NOT_FOUND;
		if (instance)
			*out = handle_of(instance->uuid);
	}
	DONE();
}

static int list_processes(void *handle, unsigned *count, char *out, int use, size_t bytes)
{
	unsigned found = 0;
	WITH_GPU(handle);
	if (bytes != 16 && row_bytes)
		bytes = (size_t)row_bytes;
	if (code == OK) {
		for (int i = 0; i < gpu->process_count; i++)
			found += gpu->processes[i].use == use;
		code = found > *count ? TOO_SMALL : OK;
	}
	for (int i = 0; code == OK && i < gpu->process_count; i++) {
		const unsigned none = UINT32_MAX;
		if (gpu->processes[i].use != use)
			continue;
		memcpy(out, &gpu->processes[i].pid, 4);
		memcpy(out + 8, &gpu->processes[i].bytes, 8);
		if (bytes > 16) {
			memcpy(out + 16, &none, 4);
			memcpy(out + 20, &none, 4);
		}
		if (bytes > 24)
			memset(out + 24, 0, bytes - 24);
		out += bytes;
	}
	*count = found;
	DONE();
}

#define PROCESS_LIST(name, use, bytes)                                                             \
	int name(void *handle, unsigned *count, void *out);                                        \
	int name(void *handle, unsigned *count, void *out)                                         \
	{                                                                                          \
		return list_processes(handle, count, out, use, bytes);                             \
	}

PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses, 0, 16)
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses, 1, 16)

/* What every library has and these cards do not tell. */
#define NOT_TOLD(name)                                                                             \
	int name(void *handle);                                                                    \
	int name(void *handle)                                                                     \
	{                                                                                          \
		WITH_GPU(handle);                                                                  \
		if (code == OK)                                                                    \
			code = NOT_SUPPORTED;                                                      \
		DONE();                                                                            \
	}

NOT_TOLD(nvmlDeviceGetComputeMode)
NOT_TOLD(nvmlDeviceGetDecoderUtilization)
NOT_TOLD(nvmlDeviceGetDisplayActive)
NOT_TOLD(nvmlDeviceGetDriverModel)
NOT_TOLD(nvmlDeviceGetEncoderUtilization)
NOT_TOLD(nvmlDeviceGetFanSpeed)
NOT_TOLD(nvmlDeviceGetPerformanceState)
NOT_TOLD(nvmlDeviceGetPersistenceMode)
NOT_TOLD(nvmlDeviceGetPowerManagementLimit)
NOT_TOLD(nvmlDeviceGetProcessUtilization)
NOT_TOLD(nvmlDeviceGetTotalEccErrors)

#ifndef STANDIN_OLD
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v2, 0, 24)
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, 1, 24)
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, 2, 24)
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v3, 0, 24)
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, 1, 24)
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, 2, 24)

int nvmlDeviceGetMemoryInfo_v2(void *handle, void *out)
{
	unsigned version;
	memcpy(&version, out, sizeof(version));
	WITH_GPU(handle);
	if (code == OK && version != (40u | 2u << 24))
		code = 25;
	if (code == OK && gpu->unsupported)
		code = NOT_SUPPORTED;
	if (code == OK && gpu->error2)
		code = UNKNOWN_ERROR;
	if (code == OK) {
		unsigned long long rows[4] = {gpu->total, gpu->reserved,
					      gpu->total - gpu->reserved - gpu->used, gpu->used};
		memcpy((char *)out + 8, rows, sizeof(rows));
	}
	DONE();
}

/* ---- limits of cgroups, since r615 ---- */

struct set_limits {
	const char *cgroup;
	unsigned long long soft, hard;
};
struct get_limits {
	const char *cgroup;
	unsigned long long soft, hard, used;
};

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle);
int nvmlDeviceSetMemoryLimits_v1(void *handle, const struct set_limits *limits);
int nvmlDeviceGetMemoryLimits_v1(void *handle, struct get_limits *limits);

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle)
{
	struct gpu *gpu;
	pthread_mutex_lock(&mutex);
	*handle = handle_of(uuid);
	int code = find_gpu(*handle, &gpu) == OK ? OK : NOT_FOUND;
	DONE();
}

/* The cgroup that counts, by the last line of it. False: there is none. */
static int find_limits(const char *uuid, const char *cgroup, struct get_limits *ret)
{
	const char *path = getenv("BATON_NVML_LIMITS");
	char line[512], name[96], of[256];
	unsigned long long soft, hard;
	int found = 0;
	FILE *file = path ? fopen(path, "re") : NULL;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%95s %255s %llu %llu", name, of, &soft, &hard) == 4 &&
		    strcmp(name, uuid) == 0 && strcmp(of, cgroup) == 0) {
			ret->soft = soft;
			ret->hard = hard;
			found = soft != 0 || hard != UINT64_MAX;
		}
	if (file)
		fclose(file);
	return found;
}

int nvmlDeviceSetMemoryLimits_v1(void *handle, const struct set_limits *limits)
{
	const char *path = getenv("BATON_NVML_LIMITS");
	WITH_GPU(handle);
	FILE *file = NULL;
	if (code == OK && (!path || gpu->parent >= 0))
		code = NOT_SUPPORTED;
	if (code == OK && geteuid() != 0)
		code = NO_PERMISSION;
	if (code == OK && access(limits->cgroup, F_OK) != 0)
		code = NOT_FOUND;
	if (code == OK && !(file = fopen(path, "ae")))
		code = UNKNOWN_ERROR;
	if (file) {
		fprintf(file, "%s %s %llu %llu\n", gpu->uuid, limits->cgroup, limits->soft,
			limits->hard);
		fclose(file);
	}
	DONE();
}

/* A cgroup without a limit has that of the nearest around it. */
int nvmlDeviceGetMemoryLimits_v1(void *handle, struct get_limits *limits)
{
	char around[256];
	snprintf(around, sizeof(around), "%s", limits->cgroup);
	WITH_GPU(handle);
	if (code == OK && (!getenv("BATON_NVML_LIMITS") || gpu->parent >= 0))
		code = NOT_SUPPORTED;
	for (int i = 0; code == OK && i < gpu->cgroup_count; i++)
		if (strcmp(gpu->cgroups[i].path, limits->cgroup) == 0)
			limits->used = gpu->cgroups[i].bytes;
	while (code == OK && !find_limits(gpu->uuid, around, limits)) {
		char *slash = strrchr(around, '/');
		if (!slash || slash == around)
			code = NOT_FOUND;
		else
			*slash = '\0';
	}
	DONE();
}
#endif

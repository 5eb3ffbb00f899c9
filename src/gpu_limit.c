/* baton-gpu-limit: holds what is in a cgroup to so much of an NVIDIA GPU's memory, by NVML, which
 * lets root alone do that. `baton run --limit` calls it where the kernel's own controller does not
 * do it and an administrator gave it the right to (chmod u+s).
 *
 * Whoever calls it may limit his own jobs and nobody else's: cgroups that `baton run` has made and
 * that belong to him, to no more than is left to him by those around them, and without a share that
 * is kept for them (docs/decisions/0021). It is small and uses libc and NVML only. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, EXIT_REFUSED = 77, EXIT_UNAVAILABLE = 69 };
enum { NVML_OK = 0, NVML_NOT_SUPPORTED = 3, NVML_NOT_FOUND = 6 };

static const char own_name[] = "baton-gpu-limit";
static const char mount_point[] = "/sys/fs/cgroup/";
static const char job_prefix[] = "baton-run-";

/* NVML's, since r615. UINT64_MAX as a hard limit: none. */
struct set_limits {
	const char *cgroup;
	unsigned long long soft, hard;
};
struct get_limits {
	const char *cgroup;
	unsigned long long soft, hard, used;
};

struct nvml {
	int (*init)(void);
	int (*by_uuid)(const char *uuid, void **ret_device);
	int (*set)(void *device, struct set_limits *limits);
	int (*get)(void *device, struct get_limits *limits);
	const char *(*text)(int code);
};

__attribute__((format(printf, 2, 3))) static int fail(int status, const char *format, ...)
{
	va_list args;
	(void)fprintf(stderr, "%s: ", own_name);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return status;
}

/* ---- whose cgroup ---- */

/* Nothing in it leads elsewhere: no "..", no link; cgroups are no links, and cannot be renamed. */
static bool is_plain(const char *path)
{
	char real[PATH_MAX];
	return strncmp(path, mount_point, strlen(mount_point)) == 0 && realpath(path, real) &&
	       strcmp(path, real) == 0;
}

static bool is_own_job(const char *path)
{
	struct stat st;
	struct statfs fs;
	const char *name = strrchr(path, '/');
	return is_plain(path) && strncmp(name + 1, job_prefix, strlen(job_prefix)) == 0 &&
	       stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid() &&
	       statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* ---- the driver ---- */

/* Tests have a library of their own; a privileged program takes no such word. */
static void *open_library(void)
{
	const char *own = secure_getenv("BATON_NVML");
	void *library = dlopen(own ? own : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	return library || own ? library
			      : dlopen("/usr/lib/wsl/lib/libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
}

static bool find_symbol(void *library, const char *name, void *ret_function)
{
	void *symbol = dlsym(library, name);
	memcpy(ret_function, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static int load_library(struct nvml *nvml)
{
	void *library = open_library();
	if (!library)
		return fail(EXIT_UNAVAILABLE, "there is no libnvidia-ml.so.1");
	if (!find_symbol(library, "nvmlDeviceSetMemoryLimits_v1", &nvml->set) ||
	    !find_symbol(library, "nvmlDeviceGetMemoryLimits_v1", &nvml->get))
		return fail(EXIT_UNAVAILABLE, "NVIDIA's driver is older than r615");
	if (!find_symbol(library, "nvmlInit_v2", &nvml->init) ||
	    !find_symbol(library, "nvmlDeviceGetHandleByUUID", &nvml->by_uuid) ||
	    !find_symbol(library, "nvmlErrorString", &nvml->text))
		return fail(EXIT_UNAVAILABLE, "this is no NVML");
	return 0;
}

/* The driver looks at the nearest limit alone, so one that is higher than that around it would lift
 * that. Those that know of none say so in several ways. */
static int check_around(const struct nvml *nvml, void *device, const char *path, uint64_t bytes)
{
	char around[PATH_MAX];
	(void)snprintf(around, sizeof(around), "%s", path);
	for (char *slash;
	     (slash = strrchr(around, '/')) - around > (long)strlen(mount_point) - 1;) {
		struct get_limits limits = {.cgroup = around};
		*slash = '\0';
		int code = nvml->get(device, &limits);
		if (code != NVML_OK && code != NVML_NOT_FOUND && code != NVML_NOT_SUPPORTED)
			return fail(EXIT_UNAVAILABLE, "the limit of %s: %s", around,
				    nvml->text(code));
		if (code == NVML_OK && limits.hard < bytes)
			return fail(EXIT_REFUSED, "%s may have at most %llu bytes", around,
				    limits.hard);
	}
	return 0;
}

static int set_limit(const struct nvml *nvml, const char *uuid, const char *path, uint64_t bytes)
{
	struct set_limits limits = {.cgroup = path, .hard = bytes};
	void *device = NULL;
	int code = nvml->init();
	if (code == NVML_OK)
		code = nvml->by_uuid(uuid, &device);
	if (code != NVML_OK)
		return fail(EXIT_UNAVAILABLE, "%s: %s", uuid, nvml->text(code));

	int rc = bytes == UINT64_MAX ? 0 : check_around(nvml, device, path, bytes);
	if (rc)
		return rc;
	code = nvml->set(device, &limits);
	return code == NVML_OK ? 0
			       : fail(EXIT_UNAVAILABLE, "the driver does not limit %s: %s", path,
				      nvml->text(code));
}

/* Usage: baton-gpu-limit UUID CGROUP BYTES|max */
int main(int argc, char **argv)
{
	struct nvml nvml;
	char *end = NULL;
	if (argc != 4)
		return fail(EXIT_USAGE, "usage: %s UUID CGROUP BYTES|max", own_name);

	bool lifts = strcmp(argv[3], "max") == 0;
	errno = 0;
	uint64_t bytes = lifts ? UINT64_MAX : strtoull(argv[3], &end, 10);
	if (!lifts && (errno || *argv[3] < '1' || *argv[3] > '9' || *end))
		return fail(EXIT_USAGE, "%s is no number of bytes", argv[3]);
	if (!is_own_job(argv[2]))
		return fail(EXIT_REFUSED, "%s is no cgroup of a job of yours", argv[2]);

	/* What the library may be told by it is the caller's. */
	if (getuid() != geteuid() && clearenv() != 0)
		return EXIT_UNAVAILABLE;
	int rc = load_library(&nvml);
	return rc ? rc : set_limit(&nvml, argv[1], argv[2], bytes);
}

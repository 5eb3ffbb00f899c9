/* cuda_api: finds the library and its symbols, and judges its version. Moves nothing. */
#include "process/cuda_api.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { VERSION_MIN = 12080 };

/* POSIX lets a symbol be taken as a function. False: the library has it not. */
static bool find_symbol(void *library, const char *name, void *ret_function)
{
	void *symbol = dlsym(library, name);
	memcpy(ret_function, &symbol, sizeof(symbol));
	return symbol != NULL;
}

#define FIND(field, name) find_symbol(library, name, &api->field)

static bool find_all(void *library, struct cuda_api *api)
{
	*api = (struct cuda_api){0};
	(void)FIND(text, "cuGetErrorString");
	return FIND(init, "cuInit") && FIND(version, "cuDriverGetVersion") &&
	       FIND(state, "cuCheckpointProcessGetState") &&
	       FIND(lock, "cuCheckpointProcessLock") &&
	       FIND(checkpoint, "cuCheckpointProcessCheckpoint") &&
	       FIND(restore, "cuCheckpointProcessRestore") &&
	       FIND(unlock, "cuCheckpointProcessUnlock");
}

int cuda_load(const char *path, struct cuda_api *ret_api, char ret_why[CUDA_WHY_BYTES])
{
	struct cuda_api api;
	int version = 0;
	void *library = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library) {
		(void)snprintf(ret_why, CUDA_WHY_BYTES,
			       "there is no libcuda.so.1 here; install NVIDIA's driver (Debian: "
			       "libcuda1)");
		return -ENOENT;
	}

	bool all = find_all(library, &api);
	if (api.version)
		(void)api.version(&version);
	if (!all || version < VERSION_MIN) {
		(void)snprintf(
			ret_why, CUDA_WHY_BYTES,
			"the driver is for CUDA %d.%d, and only those since 570 (CUDA 12.8) can "
			"move a program off the GPU; install a newer driver",
			version / 1000, version % 1000 / 10);
		return -ENOSYS;
	}

	*ret_api = api;
	return 0;
}

void cuda_describe(const struct cuda_api *api, int code, char *ret_words, size_t size)
{
	const char *text = NULL;
	if (api->text)
		(void)api->text(code, &text);
	if (text)
		(void)snprintf(ret_words, size, "%.100s (CUDA error %d)", text, code);
	else
		(void)snprintf(ret_words, size, "CUDA error %d", code);
}

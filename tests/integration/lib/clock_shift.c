/* clock_shift: a library to preload that moves two clocks of one program: CLOCK_REALTIME (somebody
 * sets the clock) and CLOCK_BOOTTIME (the machine was suspended). The shifts, in seconds, are two
 * int64_t in the file that CLOCK_SHIFT names; the test writes them while the program runs. Timers
 * are not moved. Built and used by tests/integration only. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shifts {
	volatile int64_t realtime_s, boottime_s;
};

static const struct shifts *shifts(void)
{
	static const struct shifts none, *mapped;
	const char *path = getenv("CLOCK_SHIFT");
	if (mapped)
		return mapped;
	mapped = &none;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return mapped;
	void *memory = mmap(NULL, sizeof(struct shifts), PROT_READ, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED)
		mapped = memory;
	close(fd);
	return mapped;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime"); /* as dlsym(3) advises */
	int rc = real(clock, ret_time);
	if (rc == 0 && clock == CLOCK_REALTIME)
		ret_time->tv_sec += shifts()->realtime_s;
	if (rc == 0 && clock == CLOCK_BOOTTIME)
		ret_time->tv_sec += shifts()->boottime_s;
	return rc;
}

/* cgroup_limit: see cgroup_limit.h. One region per write, each by a file opened anew: what is
 * written at once is one line to the kernel. dmem.min is left alone for NVIDIA's regions, as its
 * documentation asks: only its own tools keep that of the cgroups above in step. */
#include "process/cgroup_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/cgroup_divide.h"

enum { TEXT_BYTES = 8192, REGION_BYTES = 128 };

static int open_file(const char *folder, const char *name, int flags)
{
	char path[CGROUP_PATH_BYTES + 64];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC | O_NONBLOCK);
}

static bool read_regions(const char *folder, char *ret_text, size_t size)
{
	cleanup_close int fd = open_file(folder, "dmem.max", O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	ret_text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* "drm/0000:03:00.0/vram0", "nvidia/0000:01:00.0/vidmem". What else there is (stolen memory) is the
 * machine's. */
static bool is_of(const char *region, const char *pci)
{
	static const char *const kinds[][2] = {{"drm/", "/vram"}, {"nvidia/", "/vidmem"}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t start = strlen(kinds[i][0]), length = strlen(pci);
		if (strncmp(region, kinds[i][0], start) == 0 &&
		    strncasecmp(region + start, pci, length) == 0 &&
		    strncmp(region + start + length, kinds[i][1], strlen(kinds[i][1])) == 0)
			return true;
	}
	return false;
}

/* 0 or a negative errno. */
static int write_region(const char *folder, const char *file, const char *region, uint64_t bytes)
{
	char line[REGION_BYTES + 32];
	cleanup_close int fd = open_file(folder, file, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return -errno;
	if (bytes == UINT64_MAX)
		(void)snprintf(line, sizeof(line), "%s max\n", region);
	else
		(void)snprintf(line, sizeof(line), "%s %" PRIu64 "\n", region, bytes);
	ssize_t written = write(fd, line, strlen(line));
	if (written < 0)
		return -errno;
	return written == (ssize_t)strlen(line) ? 0 : -EIO;
}

/* Of each region of the GPU. How many there are, or a negative errno. */
static int write_all(const char *folder, const char *pci, uint64_t most, uint64_t least)
{
	char text[TEXT_BYTES], *rest = text, *line;
	int count = 0;
	if (!folder[0] || !pci[0] || !read_regions(folder, text, sizeof(text)))
		return 0;

	while ((line = strsep(&rest, "\n"))) {
		char region[REGION_BYTES];
		if (sscanf(line, "%127s", region) != 1 || !is_of(region, pci))
			continue;
		int rc = write_region(folder, "dmem.max", region, most);
		if (rc < 0)
			return rc;
		if (region[0] == 'd')
			(void)write_region(folder, "dmem.min", region, least);
		count++;
	}
	return count;
}

bool cgroup_limit_set(const char *folder, const char *pci, uint64_t bytes, char *ret_why,
		      size_t size)
{
	int count = write_all(folder, pci, bytes, bytes);
	if (count < 0)
		cgroup_limit_lift(folder, pci); /* of those before the one that failed */
	if (count == 0)
		(void)snprintf(ret_why, size,
			       "the kernel counts no memory of %s: its driver does not take part "
			       "(amdgpu and xe of Linux 6.14 do, NVIDIA's r615)",
			       *pci ? pci : "a GPU without an address");
	else if (count < 0)
		(void)snprintf(ret_why, size, "%s/dmem.max: %s", folder, strerror(-count));
	return count > 0;
}

void cgroup_limit_lift(const char *folder, const char *pci)
{
	(void)write_all(folder, pci, UINT64_MAX, 0);
}

/* cgroup_limit: see cgroup_limit.h. One region per write, each by a file opened anew: what is
 * written at once is one line to the kernel. dmem.min is left alone for NVIDIA's regions, as its
 * documentation asks: only its own tools keep that of the cgroups above in step. */
#include "process/cgroup_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { TEXT_BYTES = 8192, REGION_BYTES = 128 };

static const char mount_point[] = "/sys/fs/cgroup", controller[] = "dmem";

/* ---- files ---- */

static bool read_file(const char *folder, const char *name, char *ret_text, size_t size)
{
	char path[CGROUP_LIMIT_PATH_BYTES + 64];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	ret_text[length > 0 ? length : 0] = '\0';
	return length >= 0;
}

/* 0 or a negative errno. */
static int write_file(const char *folder, const char *name, const char *text)
{
	char path[CGROUP_LIMIT_PATH_BYTES + 64];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	cleanup_close int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);
	for (const char *at = text; (at = strstr(at, word)); at += length)
		if ((at == text || at[-1] == ' ') && strchr(" \n", at[length]))
			return true;
	return false;
}

static bool has_limits(const char *folder)
{
	char path[CGROUP_LIMIT_PATH_BYTES + 64];
	(void)snprintf(path, sizeof(path), "%s/dmem.max", folder);
	return access(path, W_OK) == 0;
}

/* ---- enabling ---- */

/* False: it is the mount point. */
static bool go_up(char *folder)
{
	char *slash = strrchr(folder, '/'), beyond[8];
	if (!slash || slash == folder)
		return false;
	*slash = '\0';
	if (read_file(folder, "cgroup.controllers", beyond, sizeof(beyond)))
		return true;
	*slash = '/';
	return false;
}

static void explain_absent(const char *parent, char *ret_why, size_t size)
{
	char top[CGROUP_LIMIT_PATH_BYTES], text[TEXT_BYTES];
	(void)snprintf(top, sizeof(top), "%s", parent);
	while (go_up(top))
		;

	if (!read_file(top, "cgroup.controllers", text, sizeof(text)) ||
	    !has_word(text, controller))
		(void)snprintf(ret_why, size,
			       "this kernel has no dmem controller in its cgroup v2 (Linux 6.14, "
			       "CONFIG_CGROUP_DMEM)");
	else
		(void)snprintf(ret_why, size,
			       "the dmem controller is not enabled for %s; baton doctor says how",
			       parent);
}

static bool move_to(const char *folder)
{
	return write_file(folder, "cgroup.procs", "0") == 0;
}

/* A cgroup that divides a controller may hold no processes itself, not even us. */
static int enable_from_beside(struct cgroup_limit *limit, const char *parent)
{
	int length = snprintf(limit->leaf, sizeof(limit->leaf), "%s/baton-wrapper-%ld", parent,
			      (long)getpid());
	if (length < 0 || (size_t)length >= sizeof(limit->leaf) ||
	    (mkdir(limit->leaf, 0755) < 0 && errno != EEXIST)) {
		limit->leaf[0] = '\0';
		return -EBUSY;
	}

	int rc = move_to(limit->leaf) ? write_file(parent, "cgroup.subtree_control", "+dmem")
				      : -EBUSY;
	if (rc != 0) {
		(void)move_to(parent);
		(void)rmdir(limit->leaf);
		limit->leaf[0] = '\0';
	}
	return rc;
}

static bool enable_controller(struct cgroup_limit *limit, const char *parent, char *ret_why,
			      size_t size)
{
	char text[TEXT_BYTES];
	if (!read_file(parent, "cgroup.controllers", text, sizeof(text)) ||
	    !has_word(text, controller)) {
		explain_absent(parent, ret_why, size);
		return false;
	}

	int rc = write_file(parent, "cgroup.subtree_control", "+dmem");
	if (rc == -EBUSY)
		rc = enable_from_beside(limit, parent);
	limit->enabled = rc == 0;
	if (rc == -EBUSY)
		(void)snprintf(ret_why, size,
			       "%s holds other processes as well, so it cannot be divided: "
			       "--scope gives the job one of its own",
			       parent);
	else if (rc != 0)
		(void)snprintf(ret_why, size, "%s cannot be divided: %s", parent, strerror(-rc));
	return rc == 0;
}

/* The same folder in a tree that a test made. */
static bool place_folder(struct cgroup_limit *limit, const char *folder, const char *root)
{
	size_t skipped = strlen(mount_point);
	bool moved = root && strncmp(folder, mount_point, skipped) == 0;
	int length = snprintf(limit->folder, sizeof(limit->folder), "%s%s", moved ? root : "",
			      moved ? folder + skipped : folder);
	return length > 0 && (size_t)length < sizeof(limit->folder);
}

bool cgroup_limit_begin(struct cgroup_limit *limit, const char *folder, const char *root,
			char *ret_why, size_t size)
{
	char parent[CGROUP_LIMIT_PATH_BYTES];
	*limit = (struct cgroup_limit){0};
	if (!place_folder(limit, folder, root)) {
		(void)snprintf(ret_why, size, "the path of its cgroup is too long");
		return false;
	}
	if (has_limits(limit->folder))
		return true;

	(void)snprintf(parent, sizeof(parent), "%s", limit->folder);
	char *slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	if (enable_controller(limit, parent, ret_why, size) && has_limits(limit->folder))
		return true;
	if (limit->enabled)
		(void)snprintf(ret_why, size, "%s/dmem.max may not be written", limit->folder);
	return false;
}

void cgroup_limit_end(struct cgroup_limit *limit)
{
	char parent[CGROUP_LIMIT_PATH_BYTES];
	(void)snprintf(parent, sizeof(parent), "%s", limit->folder);
	char *slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';

	if (limit->enabled)
		(void)write_file(parent, "cgroup.subtree_control", "-dmem");
	if (limit->leaf[0]) {
		(void)move_to(parent);
		(void)rmdir(limit->leaf);
	}
	*limit = (struct cgroup_limit){0};
}

/* ---- regions ---- */

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

static int write_region(const struct cgroup_limit *limit, const char *file, const char *region,
			uint64_t bytes)
{
	char line[REGION_BYTES + 32];
	if (bytes == UINT64_MAX)
		(void)snprintf(line, sizeof(line), "%s max\n", region);
	else
		(void)snprintf(line, sizeof(line), "%s %" PRIu64 "\n", region, bytes);
	return write_file(limit->folder, file, line);
}

/* Of each region of the GPU. How many there are, or a negative errno. */
static int write_all(const struct cgroup_limit *limit, const char *pci, uint64_t most,
		     uint64_t least)
{
	char text[TEXT_BYTES], *rest = text, *line;
	int count = 0;
	if (!limit->folder[0] || !pci[0] ||
	    !read_file(limit->folder, "dmem.max", text, sizeof(text)))
		return 0;

	while ((line = strsep(&rest, "\n"))) {
		char region[REGION_BYTES];
		if (sscanf(line, "%127s", region) != 1 || !is_of(region, pci))
			continue;
		int rc = write_region(limit, "dmem.max", region, most);
		if (rc < 0)
			return rc;
		if (region[0] == 'd')
			(void)write_region(limit, "dmem.min", region, least);
		count++;
	}
	return count;
}

bool cgroup_limit_set(const struct cgroup_limit *limit, const char *pci, uint64_t bytes,
		      char *ret_why, size_t size)
{
	int count = write_all(limit, pci, bytes, bytes);
	if (count == 0)
		(void)snprintf(ret_why, size,
			       "the kernel counts no memory of %s: its driver does not take part "
			       "(amdgpu and xe of Linux 6.14 do, NVIDIA's r615)",
			       *pci ? pci : "a GPU without an address");
	else if (count < 0)
		(void)snprintf(ret_why, size, "%s/dmem.max: %s", limit->folder, strerror(-count));
	return count > 0;
}

void cgroup_limit_lift(const struct cgroup_limit *limit, const char *pci)
{
	(void)write_all(limit, pci, UINT64_MAX, 0);
}

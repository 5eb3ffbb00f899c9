/* cgroup_divide: see cgroup_divide.h. */
#include "process/cgroup_divide.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { TEXT_BYTES = 1024, FILE_BYTES = CGROUP_PATH_BYTES + 64 };

static bool read_file(const char *folder, const char *name, char *ret_text, size_t size)
{
	char path[FILE_BYTES];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	ret_text[length > 0 ? length : 0] = '\0';
	return length >= 0;
}

/* 0 or a negative errno. */
static int write_file(const char *folder, const char *name, const char *text)
{
	char path[FILE_BYTES];
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

static bool offers_controller(const char *folder, const char *controller)
{
	char text[TEXT_BYTES];
	return read_file(folder, "cgroup.controllers", text, sizeof(text)) &&
	       has_word(text, controller);
}

bool cgroup_divide_place(const char *path, const char *root, char ret_path[CGROUP_PATH_BYTES])
{
	static const char mount_point[] = "/sys/fs/cgroup";
	size_t skipped = root && strncmp(path, mount_point, strlen(mount_point)) == 0
				 ? strlen(mount_point)
				 : 0;
	int length =
		snprintf(ret_path, CGROUP_PATH_BYTES, "%s%s", skipped ? root : "", path + skipped);
	return length > 0 && length < CGROUP_PATH_BYTES;
}

bool cgroup_divide_counts(const char *folder, const char *file)
{
	char path[FILE_BYTES];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, file);
	return access(path, R_OK) == 0;
}

/* False: it is the mount point. */
static bool go_up(char *folder)
{
	char *slash = strrchr(folder, '/'), some[8];
	if (!slash || slash == folder)
		return false;
	*slash = '\0';
	if (read_file(folder, "cgroup.controllers", some, sizeof(some)))
		return true;
	*slash = '/';
	return false;
}

static void explain_absent(const struct cgroup_divide *divide, const char *controller,
			   char *ret_why, size_t size)
{
	char top[CGROUP_PATH_BYTES];
	(void)snprintf(top, sizeof(top), "%s", divide->parent);
	while (go_up(top))
		;

	if (offers_controller(top, controller))
		(void)snprintf(ret_why, size,
			       "the %s controller is not enabled for %s: each cgroup above has to "
			       "pass it on (cgroup.subtree_control)",
			       controller, divide->parent);
	else
		(void)snprintf(ret_why, size,
			       "the kernel has no %s controller in its cgroup v2 here", controller);
}

static bool move_to(const char *folder)
{
	return write_file(folder, "cgroup.procs", "0") == 0;
}

static int pass_on(struct cgroup_divide *divide, const char *controller)
{
	char text[40];
	size_t length = strlen(divide->undo);
	(void)snprintf(text, sizeof(text), "+%s", controller);
	int rc = write_file(divide->parent, "cgroup.subtree_control", text);
	if (rc == 0)
		(void)snprintf(divide->undo + length, sizeof(divide->undo) - length, "%s-%s",
			       length ? " " : "", controller);
	return rc;
}

static int pass_on_from_beside(struct cgroup_divide *divide, const char *controller)
{
	int length = snprintf(divide->leaf, sizeof(divide->leaf), "%s/baton-wrapper-%ld",
			      divide->parent, (long)getpid());
	if (length < 0 || (size_t)length >= sizeof(divide->leaf) ||
	    (mkdir(divide->leaf, 0755) < 0 && errno != EEXIST)) {
		divide->leaf[0] = '\0';
		return -EBUSY;
	}

	int rc = move_to(divide->leaf) ? pass_on(divide, controller) : -EBUSY;
	if (rc != 0) {
		(void)move_to(divide->parent);
		(void)rmdir(divide->leaf);
		divide->leaf[0] = '\0';
	}
	return rc;
}

bool cgroup_divide_begin(struct cgroup_divide *divide, const char *folder, const char *controller,
			 char *ret_why, size_t size)
{
	(void)snprintf(divide->parent, sizeof(divide->parent), "%s", folder);
	char *slash = strrchr(divide->parent, '/');
	if (slash)
		*slash = '\0';
	if (!offers_controller(divide->parent, controller)) {
		explain_absent(divide, controller, ret_why, size);
		return false;
	}

	int rc = pass_on(divide, controller);
	if (rc == -EBUSY && !divide->leaf[0])
		rc = pass_on_from_beside(divide, controller);
	if (rc == -EBUSY)
		(void)snprintf(ret_why, size,
			       "%s holds other processes as well, so it cannot be divided; --scope "
			       "gives the job one of its own",
			       divide->parent);
	else if (rc != 0)
		(void)snprintf(ret_why, size, "%s cannot be divided: %s", divide->parent,
			       strerror(-rc));
	return rc == 0;
}

/* Both: while that process was in it, neither was passed on. */
void cgroup_divide_undo(const char *parent)
{
	(void)write_file(parent, "cgroup.subtree_control", "-dmem");
	(void)write_file(parent, "cgroup.subtree_control", "-memory");
}

void cgroup_divide_end(struct cgroup_divide *divide)
{
	if (divide->leaf[0]) {
		(void)write_file(divide->parent, "cgroup.subtree_control", divide->undo);
		(void)move_to(divide->parent);
		(void)rmdir(divide->leaf);
	}
	*divide = (struct cgroup_divide){0};
}

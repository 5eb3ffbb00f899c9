/* baton-gpu-exec: starts a program in the group that may open the GPUs' device files. `baton run`
 * starts its jobs by it where an administrator gave it the right to (setcap cap_setgid=ep): then
 * what runs under no lease cannot open a GPU. It keeps out programs that do not ask, not people who
 * want to get around it: whoever may execute this may open the GPUs (docs/decisions/0018).
 *
 * It is small and uses libc only, because it runs with a capability: it adds one group, gives the
 * capability up, and executes. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef GPU_GROUP
#define GPU_GROUP "baton-gpu"
#endif

enum { GROUPS_MAX = 65536, EXIT_USAGE = 64, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

static const char own_name[] = "baton-gpu-exec";

/* The groups of before, and that one. 0 or an errno. */
static int join_group(void)
{
	static gid_t groups[GROUPS_MAX + 1];
	const struct group *group = getgrnam(GPU_GROUP);
	int count = getgroups(GROUPS_MAX, groups);
	if (!group)
		return ENOENT;
	if (count < 0)
		return errno;

	for (int i = 0; i < count; i++)
		if (groups[i] == group->gr_gid)
			return 0;
	groups[count] = group->gr_gid;
	return setgroups((size_t)count + 1, groups) < 0 ? errno : 0;
}

/* Root has its capabilities for other reasons. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (getuid() != 0 && syscall(SYS_capset, &header, none) < 0)
		_exit(EXIT_NOT_EXECUTABLE);
}

/* Executing this has cleared what the parent had asked for: that the job dies with it. */
static void die_with(pid_t parent)
{
	if (parent <= 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

static void join_or_say(void)
{
	int error = join_group();
	if (error == ENOENT)
		(void)fprintf(stderr, "%s: there is no group %s, so GPUs stay as they are\n",
			      own_name, GPU_GROUP);
	else if (error)
		(void)fprintf(stderr, "%s: may not join the group %s: %s\n", own_name, GPU_GROUP,
			      strerror(error));
}

/* Usage: baton-gpu-exec [--parent PID] [NAME=VALUE]... -- COMMAND [ARGUMENT]...
 * NAME=VALUE: of the environment, what the loader takes from privileged programs. */
int main(int argc, char **argv)
{
	pid_t parent = 0;
	int at = 1;
	if (argc > 2 && strcmp(argv[1], "--parent") == 0) {
		parent = (pid_t)strtol(argv[2], NULL, 10);
		at = 3;
	}

	join_or_say();
	drop_capabilities();
	die_with(parent);

	for (; at < argc && strcmp(argv[at], "--") != 0; at++)
		if (!strchr(argv[at], '=') || putenv(argv[at]) != 0)
			return EXIT_USAGE;
	if (at + 1 >= argc)
		return EXIT_USAGE;

	execvp(argv[at + 1], argv + at + 1);
	int error = errno;
	(void)fprintf(stderr, "%s: %s: %s\n", own_name, argv[at + 1], strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

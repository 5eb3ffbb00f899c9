/* check_system: kernel, clock, cgroups, logins, limits: what the machine allows. */
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor/check.h"

enum { FILES_LEAST = 2048, WATCHES_LEAST = 1024, INSTANCES_LEAST = 16 };

/* ---- kernel ---- */

void check_kernel(const struct doctor *doctor, struct finding *finding)
{
	char release[80] = "";
	unsigned major = 0, minor = 0;
	struct timespec ts;
	if (!check_read(doctor, "/proc/sys/kernel/osrelease", release, sizeof(release)) ||
	    sscanf(release, "%u.%u", &major, &minor) != 2) {
		check_say(finding, CHECK_FAIL,
			  "/proc/sys/kernel/osrelease cannot be read; fix: mount /proc");
		return;
	}

	unsigned version = major * 1000 + minor;
	if (version < 5003)
		check_say(finding, CHECK_FAIL,
			  "Linux %s has no pidfds, so deaths cannot be watched; fix: Linux 5.3 or "
			  "newer",
			  release);
	int fd = pidfd_open(getpid(), 0);
	if (fd < 0)
		check_say(finding, CHECK_FAIL,
			  "pidfd_open does not work here: %s; fix: allow it in the sandbox "
			  "(seccomp) that this runs in",
			  strerror(errno));
	else
		close(fd);

	if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
		check_say(finding, CHECK_FAIL,
			  "there is no boot clock, so a suspend cannot be told from a stall");
	if (version < 6005)
		check_say(finding, CHECK_NOTE,
			  "Linux %s: pidfds, boot clock; holders in other containers are not "
			  "watched before 6.5",
			  release);
	check_say(finding, CHECK_OK, "Linux %s: pidfds, boot clock", release);
}

void check_clock(const struct doctor *doctor, struct finding *finding)
{
	char source[40];
	if (!check_read(doctor, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
			source, sizeof(source)) ||
	    !source[0])
		check_say(finding, CHECK_NOTE, "the kernel's clock source is not told here");
	else if (strcmp(source, "acpi_pm") == 0 || strcmp(source, "hpet") == 0 ||
		 strcmp(source, "jiffies") == 0)
		check_say(finding, CHECK_WARN,
			  "the clock source is %s: each look at the clock is a slow call; fix: "
			  "see why the kernel gave up tsc: dmesg | grep -i clocksource",
			  source);
	else
		check_say(finding, CHECK_OK, "%s", source);
}

/* ---- cgroups ---- */

const char *check_cgroup_root(const struct doctor *doctor, char *ret_controllers, size_t size)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char path[CHECK_PATH_BYTES];
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", roots[i]);
		if (check_read(doctor, path, ret_controllers, size))
			return roots[i];
	}
	return NULL;
}

/* The line "0::/path" of /proc/self/cgroup. */
bool check_own_cgroup(const struct doctor *doctor, char *ret_path, size_t size)
{
	char text[2048];
	if (!check_read(doctor, "/proc/self/cgroup", text, sizeof(text)))
		return false;

	const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return false;
	line = strstr(line, "0::") + 3;
	snprintf(ret_path, size, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

void check_cgroup(const struct doctor *doctor, struct finding *finding)
{
	static const char fix[] = "fix: start jobs in a unit with Delegate=yes, or as "
				  "baton run --scope ..";
	char controllers[256], own[256], path[CHECK_PATH_BYTES], full[CHECK_PATH_BYTES];

	const char *root = check_cgroup_root(doctor, controllers, sizeof(controllers));
	if (!root || !check_own_cgroup(doctor, own, sizeof(own))) {
		check_say(finding, CHECK_WARN,
			  "no cgroup v2 hierarchy: jobs that hide from their parent are found by "
			  "their environment only; fix: boot with "
			  "systemd.unified_cgroup_hierarchy=1");
		return;
	}

	snprintf(path, sizeof(path), "%s%s", root, strcmp(own, "/") == 0 ? "" : own);
	check_path(doctor, path, full, sizeof(full));
	bool may_make = access(full, W_OK | X_OK) == 0;
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", root, strcmp(own, "/") == 0 ? "" : own);
	check_path(doctor, path, full, sizeof(full));
	bool may_move = access(full, W_OK) == 0;

	if (!may_make || !may_move)
		check_say(
			finding, CHECK_NOTE,
			"cgroup v2, but %.100s is not delegated to this user: jobs have no cgroup "
			"of their own, and are found by their parents and environment; %s",
			own, fix);
	check_say(finding, CHECK_OK, "cgroup v2, and %.100s may be divided%s", own,
		  strstr(controllers, "dmem") ? "; GPU memory can be counted (dmem)" : "");
}

/* ---- logins ---- */

/* The last KillUserProcesses= of a file wins. */
static void read_kill_setting(const struct doctor *doctor, const char *path, bool *kill_them)
{
	static const char key[] = "KillUserProcesses=";
	char text[16 * 1024];
	if (!check_read(doctor, path, text, sizeof(text)))
		return;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, strlen(key)) == 0)
			*kill_them = strchr("yYtT1", line[strlen(key)]) != NULL ||
				     strncasecmp(line + strlen(key), "on", 2) == 0;
	}
}

static void read_kill_folder(const struct doctor *doctor, const char *folder, bool *kill_them)
{
	char full[CHECK_PATH_BYTES], path[CHECK_PATH_BYTES + 80];
	struct dirent **entries;
	check_path(doctor, folder, full, sizeof(full));
	int count = scandir(full, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%.64s", folder, entries[i]->d_name);
		if (strstr(entries[i]->d_name, ".conf"))
			read_kill_setting(doctor, path, kill_them);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

void check_logout(const struct doctor *doctor, struct finding *finding)
{
	char path[CHECK_PATH_BYTES], user[80];
	const struct passwd *entry = getpwuid(geteuid());
	bool kill_them = false;
	if (!check_exists(doctor, "/run/systemd/system")) {
		check_say(finding, CHECK_OK, "no systemd: a logout ends nothing by itself");
		return;
	}

	snprintf(user, sizeof(user), "%.64s", entry ? entry->pw_name : "root");
	snprintf(path, sizeof(path), "/var/lib/systemd/linger/%s", user);
	bool lingers = check_exists(doctor, path);
	read_kill_setting(doctor, "/etc/systemd/logind.conf", &kill_them);
	read_kill_folder(doctor, "/usr/lib/systemd/logind.conf.d", &kill_them);
	read_kill_folder(doctor, "/run/systemd/logind.conf.d", &kill_them);
	read_kill_folder(doctor, "/etc/systemd/logind.conf.d", &kill_them);

	if (kill_them && !lingers)
		check_say(finding, CHECK_WARN,
			  "KillUserProcesses is on and lingering off: a logout ends the broker and "
			  "every job, in tmux and under nohup, too; fix: loginctl enable-linger %s",
			  user);
	else if (kill_them)
		check_say(finding, CHECK_NOTE,
			  "KillUserProcesses is on: a logout ends jobs that were started in the "
			  "session, in tmux, too; fix: start them as systemd-run --user ..");
	else if (!lingers)
		check_say(
			finding, CHECK_NOTE,
			"lingering is off: the user's services, such as the broker as a unit, end "
			"with the last logout; fix: loginctl enable-linger %s",
			user);
	else
		check_say(finding, CHECK_OK, "lingering is on: services and jobs outlive a logout");
}

/* ---- limits ---- */

void check_descriptors(const struct doctor *doctor, struct finding *finding)
{
	char text[4096], soft[32] = "", hard[32] = "";
	if (!check_read(doctor, "/proc/self/limits", text, sizeof(text))) {
		check_say(finding, CHECK_UNKNOWN, "/proc/self/limits cannot be read");
		return;
	}

	const char *line = strstr(text, "Max open files");
	if (!line || sscanf(line + strlen("Max open files"), "%31s %31s", soft, hard) != 2) {
		check_say(finding, CHECK_UNKNOWN, "/proc/self/limits names no limit of open files");
		return;
	}
	if (strtoull(soft, NULL, 10) < FILES_LEAST && strcmp(soft, "unlimited") != 0 &&
	    strtoull(hard, NULL, 10) < FILES_LEAST)
		check_say(finding, CHECK_WARN,
			  "%s open files at most, here: a broker with 1024 connections needs %d; "
			  "fix: LimitNOFILE=%d in its unit, or ulimit -n",
			  soft, FILES_LEAST, FILES_LEAST);
	check_say(finding, CHECK_OK, "%s open files, %s at most", soft, hard);
}

void check_inotify(const struct doctor *doctor, struct finding *finding)
{
	char watches[32], instances[32];
	int fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0)
		check_say(finding, CHECK_WARN,
			  "no inotify instance is left (%s): a changed configuration is not "
			  "noticed; fix: sysctl fs.inotify.max_user_instances=1024",
			  strerror(errno));
	else
		close(fd);

	if (!check_read(doctor, "/proc/sys/fs/inotify/max_user_watches", watches,
			sizeof(watches)) ||
	    !check_read(doctor, "/proc/sys/fs/inotify/max_user_instances", instances,
			sizeof(instances))) {
		check_say(finding, CHECK_NOTE, "its limits are not told here");
		return;
	}
	if (strtoul(watches, NULL, 10) < WATCHES_LEAST ||
	    strtoul(instances, NULL, 10) < INSTANCES_LEAST)
		check_say(finding, CHECK_WARN,
			  "only %s watches in %s instances for each user: a changed configuration "
			  "may not be noticed; fix: sysctl fs.inotify.max_user_watches=65536 "
			  "fs.inotify.max_user_instances=128",
			  watches, instances);
	check_say(finding, CHECK_OK, "%s watches, %s instances", watches, instances);
}

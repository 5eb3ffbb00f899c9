/* Goal: whatever the files of a system hold, the checks of `baton doctor` say something whole about
 * them. Method: each input becomes the content of every file that they read, below a root of its
 * own; libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/bt-fuzz-XXXXXX";

static const char *const files[] = {
	"/proc/driver/nvidia/version",
	"/proc/self/cgroup",
	"/proc/self/limits",
	"/proc/sys/kernel/osrelease",
	"/proc/sys/fs/inotify/max_user_watches",
	"/proc/sys/fs/inotify/max_user_instances",
	"/sys/fs/cgroup/cgroup.controllers",
	"/sys/devices/system/clocksource/clocksource0/current_clocksource",
	"/sys/bus/pci/devices/0/class",
	"/sys/bus/pci/devices/0/vendor",
	"/etc/systemd/logind.conf",
	"/etc/systemd/logind.conf.d/a.conf",
	"/etc/chromium.d/webgpu",
	"/run/systemd/system/x",
	"/usr/bin/chromium",
	"/.config/chromium/Local State"};

static void make_folders(char *path)
{
	for (char *slash = path + sizeof(root); (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

static void write_files(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s%s", root, files[i]);
		make_folders(path);
		FILE *file = fopen(path, "w");
		assert(file && fwrite(data, 1, size, file) == size);
		fclose(file);
	}
}

static void remove_root(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s%s", root, files[i]);
		(void)remove(path);
		for (char *slash; (slash = strrchr(path, '/')) >= path + sizeof(root);) {
			*slash = '\0';
			(void)remove(path);
		}
	}
	(void)remove(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(const struct doctor *, struct finding *) = {
		check_gpus,   check_driver, check_kernel,      check_clock,
		check_cgroup, check_logout, check_descriptors, check_browsers};
	static bool begun;
	if (!begun) {
		char *made = mkdtemp(root);
		assert(made);
		setenv("HOME", root, 1);
		atexit(remove_root);
		begun = true;
	}

	write_files(data, size);
	struct doctor doctor = {.root = root};
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct finding finding = {.state = CHECK_OK};
		checks[i](&doctor, &finding);
		assert(finding.text[0]);
		assert(memchr(finding.text, 0, sizeof(finding.text)));
		assert(memchr(finding.fix, 0, sizeof(finding.fix)));
	}
	return 0;
}

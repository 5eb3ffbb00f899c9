/* check_gpu: cards, drivers, device files. Nothing is opened but text files: a sleeping card stays
 * asleep. */
#include <dirent.h>
#include <fnmatch.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor/check.h"
#include "cli/doctor/device_nodes.h"

enum { VERSION_BYTES = 64 };

static const char *const library_folders[] = {"/usr/lib/x86_64-linux-gnu",
					      "/usr/lib/aarch64-linux-gnu",
					      "/usr/lib64",
					      "/usr/lib",
					      "/usr/lib/wsl/lib",
					      "/usr/local/nvidia/lib64",
					      "/run/opengl-driver/lib"};

struct cards {
	unsigned nvidia, amd, intel, other;
	unsigned nvidia_undriven; /* with nouveau, or without any driver */
};

/* The name that a link leads to: of the driver in sysfs. "" where there is none. */
static void link_name(const struct doctor *doctor, const char *path, char *ret_name, size_t size)
{
	char full[CHECK_PATH_BYTES], target[CHECK_PATH_BYTES];
	check_path(doctor, path, full, sizeof(full));
	ssize_t length = readlink(full, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	const char *slash = strrchr(target, '/');
	snprintf(ret_name, size, "%.40s", slash ? slash + 1 : target);
}

static void count_card(const struct doctor *doctor, const char *device, struct cards *cards)
{
	char path[CHECK_PATH_BYTES], vendor[16] = "", driver[48];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.64s/vendor", device);
	(void)check_read(doctor, path, vendor, sizeof(vendor));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.64s/driver", device);
	link_name(doctor, path, driver, sizeof(driver));

	if (strcmp(vendor, "0x10de") == 0) {
		cards->nvidia++;
		cards->nvidia_undriven += strcmp(driver, "nvidia") != 0;
	} else if (strcmp(vendor, "0x1002") == 0) {
		cards->amd++;
	} else if (strcmp(vendor, "0x8086") == 0) {
		cards->intel++;
	} else {
		cards->other++;
	}
}

/* PCI devices of the display class; those without a driver, too. */
static struct cards find_cards(const struct doctor *doctor)
{
	struct cards cards = {0};
	char folder[CHECK_PATH_BYTES], path[CHECK_PATH_BYTES], class[16];
	const struct dirent *entry;
	check_path(doctor, "/sys/bus/pci/devices", folder, sizeof(folder));
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.64s/class", entry->d_name);
		if (check_read(doctor, path, class, sizeof(class)) &&
		    strncmp(class, "0x03", 4) == 0)
			count_card(doctor, entry->d_name, &cards);
	}
	if (dir)
		closedir(dir);
	return cards;
}

void check_gpus(const struct doctor *doctor, struct finding *finding)
{
	struct cards cards = find_cards(doctor);
	bool platform = check_exists(doctor, "/dev/nvidiactl") || check_exists(doctor, "/dev/dxg");

	if (cards.nvidia + cards.amd + cards.intel == 0 && !platform)
		check_say(finding, CHECK_WARN,
			  "no GPU is seen on the PCI bus; fix: declare one (gpus: in the "
			  "configuration, or baton serve --fake-gpu NAME:24G)");
	check_say(finding, CHECK_OK, "%u NVIDIA, %u AMD, %u Intel%s", cards.nvidia, cards.amd,
		  cards.intel, cards.other ? ", and another display device" : "");
}

/* ---- the driver ---- */

/* "550.54.14" of libnvidia-ml.so.1 -> libnvidia-ml.so.550.54.14. False: there is no library. */
static bool library_version(const struct doctor *doctor, char *ret_version, size_t size)
{
	static const char file[] = "libnvidia-ml.so.1";
	char path[CHECK_PATH_BYTES], name[CHECK_PATH_BYTES];

	for (size_t i = 0; i < sizeof(library_folders) / sizeof(*library_folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", library_folders[i], file);
		if (!check_exists(doctor, path))
			continue;
		link_name(doctor, path, name, sizeof(name));
		bool told = strncmp(name, "libnvidia-ml.so.", 16) == 0 && name[16] != '1';
		snprintf(ret_version, size, "%.40s", told ? name + 16 : "");
		return true;
	}
	return false;
}

/* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu ..": the first word of digits and
 * dots. */
static bool module_version(const struct doctor *doctor, char *ret_version, size_t size)
{
	char text[512];
	if (check_read(doctor, "/sys/module/nvidia/version", ret_version, size))
		return true;
	if (!check_read(doctor, "/proc/driver/nvidia/version", text, sizeof(text)))
		return false;

	for (const char *word = text; *word; word += strcspn(word, " ") + (word[0] != '\0')) {
		size_t length = strspn(word, "0123456789.");
		if (length >= 5 && memchr(word, '.', length) &&
		    (word[length] == ' ' || word[length] == '\0')) {
			snprintf(ret_version, size, "%.*s", (int)length, word);
			return true;
		}
		if (!strchr(word, ' '))
			break;
	}
	snprintf(ret_version, size, "%s", "");
	return true;
}

void check_driver(const struct doctor *doctor, struct finding *finding)
{
	char module[VERSION_BYTES] = "", library[VERSION_BYTES] = "";
	struct cards cards = find_cards(doctor);
	bool loaded = module_version(doctor, module, sizeof(module));
	bool there = library_version(doctor, library, sizeof(library));

	if (cards.nvidia_undriven && !loaded)
		check_say(finding, CHECK_WARN,
			  "an NVIDIA card has no NVIDIA driver, so its memory cannot be "
			  "measured; fix: install the driver, or load it: modprobe nvidia");
	if (loaded && !there)
		check_say(finding, CHECK_FAIL,
			  "the NVIDIA driver %s is loaded, but libnvidia-ml.so.1 is in none of the "
			  "usual folders; fix: install it (Debian: libnvidia-ml1)",
			  module);
	if (loaded && there && module[0] && library[0] && strcmp(module, library) != 0)
		check_say(finding, CHECK_FAIL,
			  "the NVIDIA driver is %s, its library %s: nothing can be measured until "
			  "they agree; fix: reboot, or unload and load the driver",
			  module, library);

	if (loaded)
		check_say(finding, CHECK_OK, "NVIDIA %s",
			  module[0] ? module : "of unknown version");
	else if (cards.amd + cards.intel)
		check_say(finding, CHECK_OK, "the kernel's own (amdgpu, xe, i915)");
	else
		check_say(finding, CHECK_NOTE, "none is loaded");
}

/* ---- device files ---- */

static void name_group(gid_t gid, char *ret_name, size_t size)
{
	const struct group *group = getgrgid(gid);
	if (group)
		snprintf(ret_name, size, "%.32s", group->gr_name);
	else
		snprintf(ret_name, size, "%lu", (unsigned long)gid);
}

struct tried {
	struct finding *finding;
	unsigned count;
};

static void try_device(void *ctx, const char *path, const char *full)
{
	struct tried *tried = ctx;
	struct stat st;
	char group[40];
	if (stat(full, &st) < 0)
		return;

	tried->count++;
	if (access(full, R_OK | W_OK) == 0)
		return;
	name_group(st.st_gid, group, sizeof(group));
	if ((st.st_mode & 060) == 060)
		check_say(tried->finding, CHECK_WARN,
			  "this user may not open %.200s, so its programs cannot use that GPU (the "
			  "broker itself needs no access); fix: usermod -aG %s $USER, and log in "
			  "again",
			  path, group);
	else
		check_say(tried->finding, CHECK_WARN,
			  "this user may not open %.200s (mode %03o, group %s); fix: see the udev "
			  "rules of the driver",
			  path, (unsigned)(st.st_mode & 0777), group);
}

void check_devices(const struct doctor *doctor, struct finding *finding)
{
	struct tried tried = {.finding = finding};
	device_nodes_each(doctor, try_device, &tried);

	if (tried.count == 0)
		check_say(finding, CHECK_NOTE, "no device files of GPUs");
	check_say(finding, CHECK_OK, "%u device files of GPUs, all open to this user", tried.count);
}

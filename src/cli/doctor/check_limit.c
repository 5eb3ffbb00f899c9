/* check_limit: whether `baton run --limit` would hold: the kernel's dmem controller, the drivers
 * that count with it, and whether it is enabled for this user's cgroup; else NVML. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/check.h"
#include "process/gpu_limiter.h"

enum { NVIDIA_LIMITS_SINCE = 615 };

/* Regions of VRAM: DRM's drivers and NVIDIA's name them unlike. */
static unsigned count_regions(const char *text)
{
	unsigned count = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		char region[128];
		line += *line == '\n';
		if (sscanf(line, "%127s", region) == 1)
			count += strstr(region, "/vram") || strstr(region, "/vidmem");
	}
	return count;
}

static bool is_enabled(const struct doctor *doctor, const char *root, const char *own)
{
	char path[CHECK_PATH_BYTES], text[256];
	(void)snprintf(path, sizeof(path), "%s%s/cgroup.controllers", root,
		       strcmp(own, "/") == 0 ? "" : own);
	return check_read(doctor, path, text, sizeof(text)) && strstr(text, "dmem");
}

/* NVIDIA's driver from r615 on counts by itself, and whoever is root limits by NVML. */
static bool has_nvml_limits(const struct doctor *doctor)
{
	char version[64];
	return check_read(doctor, "/sys/module/nvidia/version", version, sizeof(version)) &&
	       strtol(version, NULL, 10) >= NVIDIA_LIMITS_SINCE;
}

/* Without the kernel's controller. */
static void judge_nvml(const struct doctor *doctor, const char *own, const char *root,
		       struct finding *finding)
{
	char helper[CHECK_PATH_BYTES], path[CHECK_PATH_BYTES];
	(void)snprintf(path, sizeof(path), "%s%s", root, strcmp(own, "/") == 0 ? "" : own);

	if (!has_nvml_limits(doctor))
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: the kernel's cgroup v2 has no dmem "
			  "controller; fix: Linux 6.14 or newer with CONFIG_CGROUP_DMEM, or "
			  "NVIDIA's driver r615");
	else if (!gpu_limiter_find(helper, sizeof(helper)))
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: without the kernel's dmem controller it "
			  "takes root; fix: as root, chown root and chmod u+s baton-gpu-limit, "
			  "beside baton");
	else if (!check_may_write(doctor, path))
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: %.100s is not delegated to this user; "
			  "fix: baton run --scope --limit ..",
			  own);
	else
		check_say(finding, CHECK_OK,
			  "baton run --limit holds on NVIDIA's cards, by NVML (%.300s)", helper);
}

void check_limit(const struct doctor *doctor, struct finding *finding)
{
	char text[4096], own[256], path[CHECK_PATH_BYTES];
	const char *root = check_cgroup_root(doctor, text, sizeof(text));
	if (!root || !check_own_cgroup(doctor, own, sizeof(own))) {
		check_say(finding, CHECK_NOTE, "baton run --limit cannot hold: no cgroup v2");
		return;
	}
	if (!strstr(text, "dmem")) {
		judge_nvml(doctor, own, root, finding);
		return;
	}

	(void)snprintf(path, sizeof(path), "%s/dmem.capacity", root);
	unsigned regions = check_read(doctor, path, text, sizeof(text)) ? count_regions(text) : 0;
	if (regions == 0)
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: no driver counts VRAM by cgroup here; "
			  "fix: amdgpu or xe of Linux 6.14, or NVIDIA's driver r615");
	if (!is_enabled(doctor, root, own))
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: dmem is not enabled for %.100s; fix: as "
			  "root, in %s and in each folder from there down to the one above that: "
			  "echo +dmem > cgroup.subtree_control",
			  own, root);
	(void)snprintf(path, sizeof(path), "%s%s", root, strcmp(own, "/") == 0 ? "" : own);
	if (!check_may_write(doctor, path))
		check_say(finding, CHECK_NOTE,
			  "baton run --limit cannot hold: %.100s is not delegated to this user; "
			  "fix: baton run --scope --limit ..",
			  own);
	check_say(finding, CHECK_OK, "baton run --limit holds: %u region%s of VRAM (dmem)", regions,
		  regions == 1 ? "" : "s");
}

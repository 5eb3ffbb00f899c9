/* check_others: browsers and their WebGPU, and who else uses the GPUs without asking. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/regular_file.h"
#include "cli/doctor/check.h"

enum { CONNECT_MS = 200, NAMES_BYTES = 256 };

/* ---- browsers ---- */

struct browser {
	const char *command, *name;
	bool chromium;
	const char *profile; /* below the home folder */
};

static const struct browser browsers[] = {
	{"chromium", "Chromium", true, ".config/chromium"},
	{"chromium-browser", "Chromium", true, ".config/chromium"},
	{"google-chrome", "Chrome", true, ".config/google-chrome"},
	{"google-chrome-stable", "Chrome", true, ".config/google-chrome"},
	{"brave-browser", "Brave", true, ".config/BraveSoftware/Brave-Browser"},
	{"microsoft-edge", "Edge", true, ".config/microsoft-edge"},
	{"vivaldi", "Vivaldi", true, ".config/vivaldi"},
	{"firefox", "Firefox", false, NULL},
	{"firefox-esr", "Firefox ESR", false, NULL},
};

/* Commands are looked for where a desktop does. */
static bool has_command(const struct doctor *doctor, const char *command)
{
	static const char *const folders[] = {"/usr/bin", "/usr/local/bin", "/snap/bin",
					      "/var/lib/flatpak/exports/bin"};
	char path[CHECK_PATH_BYTES];
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], command);
		if (check_exists(doctor, path))
			return true;
	}
	return false;
}

/* Whether chrome://flags of a profile has WebGPU on: Local State is JSON. 1, 0, or -1: unknown. */
static int profile_flag(const char *profile)
{
	char path[CHECK_PATH_BYTES];
	const char *home = getenv("HOME");
	size_t i;
	json_t *flag;
	int found = 0;
	snprintf(path, sizeof(path), "%.200s/%s/Local State", home ? home : "", profile);
	cleanup_close int fd = regular_file_open(path, O_RDONLY, 0);
	json_t *state = fd >= 0 ? json_loadfd(fd, 0, NULL) : NULL;
	if (!state)
		return -1;

	const json_t *labs =
		json_object_get(json_object_get(state, "browser"), "enabled_labs_experiments");
	json_array_foreach (labs, i, flag) {
		const char *name = json_string_value(flag);
		if (name && strncmp(name, "enable-unsafe-webgpu", 20) == 0)
			found = strcmp(name + 20, "@2") != 0;
	}
	json_decref(state);
	return found;
}

/* Debian's chromium reads these for everybody. */
static bool system_flag(const struct doctor *doctor)
{
	static const char *const files[] = {"/etc/chromium.d/default-flags",
					    "/etc/chromium.d/webgpu"};
	char text[8 * 1024];
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (check_read(doctor, files[i], text, sizeof(text)) &&
		    strstr(text, "enable-unsafe-webgpu"))
			return true;
	return false;
}

void check_browsers(const struct doctor *doctor, struct finding *finding)
{
	char names[NAMES_BYTES] = "";
	bool system_on = system_flag(doctor), off = false, on = false, firefox = false;

	for (size_t i = 0; i < sizeof(browsers) / sizeof(*browsers); i++) {
		const struct browser *browser = &browsers[i];
		size_t length = strlen(names);
		if (!has_command(doctor, browser->command) || strstr(names, browser->name))
			continue;
		snprintf(names + length, sizeof(names) - length, "%s%s", length ? ", " : "",
			 browser->name);

		int flag = browser->chromium ? profile_flag(browser->profile) : -1;
		firefox |= !browser->chromium;
		on |= browser->chromium && (flag == 1 || system_on);
		off |= browser->chromium && flag == 0 && !system_on;
	}

	if (!names[0])
		check_say(
			finding, CHECK_NOTE,
			"none is found, so the pages can be opened from another machine only; fix: "
			"install one with WebGPU, such as Chromium");
	if (on)
		check_say(finding, CHECK_OK, "%s; WebGPU is forced on by a flag", names);
	if (off)
		check_say(finding, CHECK_NOTE,
			  "%s; no flag forces WebGPU on, so the browser decides by driver and "
			  "version; fix: if chrome://gpu says that WebGPU is off, turn on "
			  "chrome://flags/#enable-unsafe-webgpu",
			  names);
	if (firefox && !on)
		check_say(finding, CHECK_NOTE,
			  "%s; Firefox may need dom.webgpu.enabled in about:config", names);
	check_say(finding, CHECK_OK, "%s; see chrome://gpu for WebGPU", names);
}

/* ---- others on the GPUs ---- */

struct service {
	const char *name;
	unsigned port;
};

static const struct service services[] = {
	{"Ollama", 11434},   {"llama-server", 8080}, {"vLLM", 8000},          {"ComfyUI", 8188},
	{"LM Studio", 1234}, {"SGLang", 30000},      {"a Gradio page", 7860}, {"GPUStack", 10150},
};

static bool port_answers(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;

	int error = 0;
	socklen_t length = sizeof(error);
	bool open = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	if (!open && errno == EINPROGRESS) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		open = poll(&p, 1, CONNECT_MS) > 0 &&
		       getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
	}
	close(fd);
	return open;
}

static void add_answering(const char *name, unsigned port, char *names, size_t size)
{
	size_t length = strlen(names);
	if (port_answers(port))
		snprintf(names + length, size - length, "%s%s (port %u)", length ? ", " : "", name,
			 port);
}

/* BATON_DOCTOR_PORTS has a test's ports instead of the usual ones: "NAME:PORT NAME:PORT". */
static void find_servers(char *names, size_t size)
{
	const char *given = getenv("BATON_DOCTOR_PORTS");
	char name[32];
	unsigned port;
	int used;

	for (; given && sscanf(given, " %31[^: ]:%u%n", name, &port, &used) == 2; given += used)
		add_answering(name, port, names, size);
	if (getenv("BATON_DOCTOR_PORTS"))
		return;
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
		add_answering(services[i].name, services[i].port, names, size);
}

void check_others(const struct doctor *doctor, struct finding *finding)
{
	static const struct {
		const char *path, *name;
	} brokers[] = {{"/var/run/nvshare/scheduler.sock", "nvshare"},
		       {"/tmp/nvidia-mps/control", "NVIDIA MPS"},
		       {"/run/slurmd.pid", "Slurm"},
		       {"/var/run/slurm/slurmd.pid", "Slurm"}};
	char names[NAMES_BYTES] = "";

	for (size_t i = 0; i < sizeof(brokers) / sizeof(*brokers); i++)
		if (check_exists(doctor, brokers[i].path))
			check_say(finding, CHECK_WARN,
				  "%s also hands out GPUs here, and neither knows of the other's "
				  "grants; fix: let one of them have each GPU",
				  brokers[i].name);

	find_servers(names, sizeof(names));
	if (names[0])
		check_say(finding, CHECK_NOTE,
			  "%s seems to run here, and uses a GPU without a lease unless it was "
			  "started by baton run; fix: baton run -- its command",
			  names);
	check_say(finding, CHECK_OK, "no other broker, and no model server on a usual port");
}

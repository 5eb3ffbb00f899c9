/* check_broker: the broker as its clients see it: socket, version, token, state folder,
 * configuration. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "base/where.h"
#include "cli/doctor/check.h"
#include "cli/field.h"
#include "cli/http_client.h"

enum { SPACE_MB_FAIL = 64, SPACE_MB_WARN = 512, OUTPUT_BYTES = 4096 };

/* Whether somebody else could put a socket or a token into this folder. */
static bool is_private(const struct stat *st)
{
	return st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

void check_runtime_folder(const struct doctor *doctor, struct finding *finding)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	(void)doctor;

	if (getenv("BATON_SOCKET"))
		check_say(finding, CHECK_OK, "not used: BATON_SOCKET names the socket");
	else if (!folder || !*folder)
		check_say(finding, CHECK_NOTE,
			  "XDG_RUNTIME_DIR is not set (su, cron, some containers), so other places "
			  "are tried; fix: export XDG_RUNTIME_DIR=/run/user/%lu, or give --socket",
			  (unsigned long)geteuid());
	else if (stat(folder, &st) < 0)
		check_say(finding, CHECK_WARN,
			  "XDG_RUNTIME_DIR is %.200s, which is not there: %s; fix: log in through "
			  "the system's login, or unset it",
			  folder, strerror(errno));
	else if (!is_private(&st))
		check_say(finding, CHECK_FAIL,
			  "others could put a socket into XDG_RUNTIME_DIR, %.200s, so it is not "
			  "trusted; fix: chown it to this user, and chmod 700",
			  folder);
	else
		check_say(finding, CHECK_OK, "%.200s is this user's alone", folder);
}

/* ---- the broker ---- */

static void judge_socket(struct finding *finding)
{
	struct where where;
	struct stat st;
	char folder[WHERE_PATH_BYTES];
	if (where_look(&where) < 0)
		return;

	snprintf(folder, sizeof(folder), "%s", where_pick(&where));
	char *slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = '\0';
	if (stat(folder, &st) == 0 && !is_private(&st))
		check_say(finding, CHECK_FAIL,
			  "others can reach or replace the broker's socket in %.100s; fix: chmod "
			  "700 %.100s",
			  folder, folder);
}

static void judge_health(const json_t *health, struct finding *finding)
{
	const char *version = field_text(health, "version", "?");
	const json_t *grants = json_object_get(health, "grants");

	if (strcmp(version, BATON_VERSION) != 0)
		check_say(finding, CHECK_WARN,
			  "the broker is version %.40s, this program %s; fix: restart the broker: "
			  "systemctl --user restart baton, or baton down and baton up",
			  version, BATON_VERSION);
	if (json_is_false(json_object_get(grants, "allowed")))
		check_say(finding, CHECK_WARN, "nothing is granted: %.200s; fix: baton status",
			  field_text(grants, "text", field_text(grants, "reason", "?")));
	check_say(finding, CHECK_OK, "it answers, version %.40s", version);
}

void check_broker(const struct doctor *doctor, struct finding *finding)
{
	char error[HTTP_CLIENT_ERROR_BYTES];
	json_t *health;
	(void)doctor;

	int rc = http_client_try("GET", "/health", NULL, &health, error, sizeof(error));
	if (rc == -ERR_UNREACHABLE)
		check_say(finding, CHECK_FAIL, "no broker answers; fix: baton up, or baton serve");
	else if (rc < 0)
		check_say(finding, CHECK_FAIL, "%.400s; fix: see baton logs, or its log", error);
	if (rc < 0)
		return;

	judge_socket(finding);
	judge_health(health, finding);
	json_decref(health);
}

/* ---- its folder ---- */

void check_token(const struct doctor *doctor, struct finding *finding)
{
	char path[CHECK_PATH_BYTES + 16], token[256] = "";
	struct stat st;
	snprintf(path, sizeof(path), "%s/token", doctor->state_dir);

	if (stat(path, &st) < 0 && errno == ENOENT) {
		check_say(finding, CHECK_NOTE,
			  "%.200s is not there; the broker makes it at its start", path);
		return;
	}
	if (access(path, R_OK) < 0) {
		check_say(finding, CHECK_FAIL,
			  "%.200s cannot be read: %s; fix: chown it to this user", path,
			  strerror(errno));
		return;
	}

	if (st.st_mode & 077)
		check_say(finding, CHECK_FAIL,
			  "others can read the install token, %.200s; fix: chmod 600 %.100s, and "
			  "remove it before a start to have a new one",
			  path, path);
	int fd = regular_file_open(path, O_RDONLY, 0);
	if (fd < 0) {
		check_say(finding, CHECK_FAIL, "%.200s: %s; fix: remove it and restart the broker",
			  path, regular_file_error(errno));
		return;
	}

	ssize_t length = read(fd, token, sizeof(token) - 1);
	close(fd);
	while (length > 0 && isspace((unsigned char)token[length - 1]))
		length--;
	if (length < 16 || (size_t)length != strcspn(token, " \t\r\n"))
		check_say(finding, CHECK_FAIL,
			  "%.200s holds no token; fix: remove it and restart the broker", path);
	check_say(finding, CHECK_OK, "%.200s is there, and this user's alone", path);
}

static bool is_network(const struct statfs *fs)
{
	static const long kinds[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xff534d42 /* cifs */,
				     0xfe534d42 /* smb2 */, 0x01021997 /* 9p */};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if ((unsigned long)fs->f_type == (unsigned long)kinds[i])
			return true;
	return false;
}

static void judge_space(const char *folder, struct finding *finding)
{
	struct statfs fs;
	if (statfs(folder, &fs) < 0) {
		check_say(finding, CHECK_WARN, "the space of %.200s is unknown: %s", folder,
			  strerror(errno));
		return;
	}

	uint64_t free_mb = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >> 20;
	if (free_mb < SPACE_MB_FAIL || (fs.f_files > 0 && fs.f_ffree < 16))
		check_say(finding, CHECK_FAIL,
			  "%" PRIu64 " MiB and %" PRIu64
			  " files are free for %.200s: soon nothing can be granted; fix: "
			  "free space there",
			  free_mb, (uint64_t)fs.f_ffree, folder);
	else if (free_mb < SPACE_MB_WARN)
		check_say(finding, CHECK_WARN,
			  "only %" PRIu64 " MiB are free for %.200s; fix: free "
			  "space there",
			  free_mb, folder);
	if (is_network(&fs))
		check_say(finding, CHECK_WARN,
			  "%.200s is on a network's file system, where a journal may be lost; fix: "
			  "give a local folder: baton serve --state DIR",
			  folder);
	check_say(finding, CHECK_OK, "%.200s can be written, %" PRIu64 " MiB free", folder,
		  free_mb);
}

void check_state_folder(const struct doctor *doctor, struct finding *finding)
{
	char folder[CHECK_PATH_BYTES];
	struct stat st;
	snprintf(folder, sizeof(folder), "%s", doctor->state_dir);

	/* It is made at the first start: then its parent counts. */
	while (stat(folder, &st) < 0 && errno == ENOENT) {
		char *slash = strrchr(folder, '/');
		if (!slash || slash == folder)
			break;
		*slash = '\0';
	}

	bool there = strcmp(folder, doctor->state_dir) == 0;
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		check_say(finding, CHECK_FAIL, "%.200s is no folder; fix: move it away", folder);
	else if (access(folder, W_OK | X_OK) < 0)
		check_say(finding, CHECK_FAIL,
			  "%.200s cannot be written: %s; fix: chown it to this user", folder,
			  strerror(errno));
	else if (there && !is_private(&st))
		check_say(finding, CHECK_FAIL,
			  "others can write to %.200s; fix: chown it to this user, and chmod 700",
			  folder);
	else
		judge_space(folder, finding);
}

/* ---- its configuration ---- */

/* The last line that this program's `serve --check` prints, and its exit status. */
static int ask_serve(char *const *argv, char *ret_line, size_t size)
{
	char output[OUTPUT_BYTES];
	int fds[2], status = -1;
	size_t length = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;

	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)dup2(fds[1], STDERR_FILENO);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(fds[1]);
	for (ssize_t n = 1; n > 0 && length + 1 < sizeof(output);) {
		n = read(fds[0], output + length, sizeof(output) - 1 - length);
		length += n > 0 ? (size_t)n : 0;
	}
	close(fds[0]);
	if (pid > 0)
		(void)waitpid(pid, &status, 0);

	while (length > 0 && output[length - 1] == '\n')
		length--;
	output[length] = '\0';
	const char *newline = strrchr(output, '\n');
	snprintf(ret_line, size, "%.250s", newline ? newline + 1 : output);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void check_configuration(const struct doctor *doctor, struct finding *finding)
{
	char line[256];
	char *argv[] = {(char *)"baton",    (char *)"serve",        (char *)"--check",
			(char *)"--config", (char *)doctor->config, NULL};
	if (!doctor->config)
		argv[3] = NULL;

	int status = ask_serve(argv, line, sizeof(line));
	if (status == 0)
		check_say(finding, CHECK_OK, "the broker would take it");
	else
		check_say(finding, CHECK_FAIL,
			  "%s; fix: mend it; baton serve --check tries it without a start",
			  line[0] ? line : "baton serve --check does not run");
}

/* detach: starts a broker in a session of its own, without our terminal, logging to a file in the
 * state folder. Waits for nothing. */
#include "cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/regular_file.h"
#include "process/run_mark.h"

enum { OWN_WORDS = 6, LAST_WORDS_BYTES = 4096 };

const char *detach_option(int argc, char *const *argv, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, length) != 0)
			continue;
		if (word[2 + length] == '=')
			value = word + 3 + length;
		else if (word[2 + length] == '\0' && i + 1 < argc)
			value = argv[++i];
	}
	return value;
}

/* By the broker's own rules. False: there is no such folder, or its name is too long. */
static bool state_folder(char *ret_path, size_t size, int argc, char *const *argv)
{
	const char *given = detach_option(argc, argv, "state"), *base = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	int n = -1;

	if (given)
		n = snprintf(ret_path, size, "%s", given);
	else if (base && base[0] == '/')
		n = snprintf(ret_path, size, "%s/baton", base);
	else if (home && home[0] == '/')
		n = snprintf(ret_path, size, "%s/.local/state/baton", home);
	return n > 0 && (size_t)n < size;
}

/* Makes the folder and its parents, accessible only to us. */
static int make_folder(const char *path)
{
	char part[4096];
	snprintf(part, sizeof(part), "%s", path);

	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return errno;
		*at = '/';
	}
	return mkdir(part, 0700) < 0 && errno != EEXIST ? errno : 0;
}

static int open_log(struct detach *detach, int argc, char *const *argv, int *ret_fd,
		    const char **ret_what)
{
	char folder[4000];
	struct stat st;
	if (!state_folder(folder, sizeof(folder), argc, argv))
		return ENOENT;
	int err = make_folder(folder);
	if (err)
		return err;

	snprintf(detach->log_path, sizeof(detach->log_path), "%s/serve.log", folder);
	int fd = regular_file_open(detach->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
				   0600);
	if (fd < 0) {
		*ret_what = detach->log_path;
		return errno;
	}

	detach->log_offset = fstat(fd, &st) == 0 ? (long)st.st_size : 0;
	*ret_fd = fd;
	return 0;
}

/* Runs in the new process. Descriptor 3 signals readiness. */
static _Noreturn void become_broker(char *const *argv, int log_fd, int ready_fd)
{
	static const int reset[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGCHLD, SIGPIPE};
	sigset_t none;
	int nothing = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof(reset) / sizeof(*reset); i++)
		signal(reset[i], SIG_DFL);
	setsid();
	run_mark_drop();

	dup2(nothing, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	if (ready_fd == STDERR_FILENO + 1)
		fcntl(ready_fd, F_SETFD, 0);
	else
		dup2(ready_fd, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0u, 0);

	execv("/proc/self/exe", argv);
	dprintf(STDERR_FILENO, "baton up: cannot start the broker: %s\n", strerror(errno));
	_exit(127);
}

/* The broker's command line; the caller frees the array. */
static char **broker_words(int argc, char *const *argv)
{
	char **words = calloc((size_t)argc + OWN_WORDS + 1, sizeof(*words));
	char *given = getenv("BATON_SOCKET");
	size_t count = 0;
	if (!words)
		abort();

	words[count++] = (char *)"baton";
	words[count++] = (char *)"serve";
	words[count++] = (char *)"--ready-fd=3";

	if (given && *given && !detach_option(argc, argv, "socket")) {
		words[count++] = (char *)"--socket";
		words[count++] = given;
	}

	for (int i = 0; i < argc; i++)
		words[count++] = argv[i];
	return words;
}

int detach_broker(struct detach *detach, int argc, char *const *argv, const char **ret_what)
{
	int log_fd, ready[2];

	*detach = (struct detach){.ready_fd = -1};
	*ret_what = "no folder for its log";
	int err = open_log(detach, argc, argv, &log_fd, ret_what);
	if (err)
		return err;

	*ret_what = "no process";
	if (pipe2(ready, O_CLOEXEC) < 0) {
		err = errno;
		close(log_fd);
		return err;
	}

	char **words = broker_words(argc, argv);
	setenv("BATON_LOG_FILE", detach->log_path, 1);
	unsetenv("BATON_RUN"); /* the broker is not part of a command that holds a lease */
	fflush(NULL);

	detach->pid = fork();
	if (detach->pid == 0)
		become_broker(words, log_fd, ready[1]);

	err = detach->pid < 0 ? errno : 0;
	free(words);
	close(log_fd);
	close(ready[1]);
	if (err)
		close(ready[0]);
	else
		detach->ready_fd = ready[0];
	return err;
}

void detach_last_words(const struct detach *detach, char *ret_line, size_t size)
{
	char bytes[LAST_WORDS_BYTES + 1];
	size_t length = 0;
	FILE *log = regular_file_stream(detach->log_path);
	if (log) {
		if (fseek(log, -LAST_WORDS_BYTES, SEEK_END) < 0 || ftell(log) < detach->log_offset)
			fseek(log, detach->log_offset, SEEK_SET);
		length = fread(bytes, 1, LAST_WORDS_BYTES, log);
		fclose(log);
	}

	bytes[length] = '\0';
	ret_line[0] = '\0';

	for (char *save, *line = strtok_r(bytes, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		static const char own[] = "baton serve: ", hint[] = "Try: ";
		if (strncmp(line, hint, strlen(hint)) != 0)
			snprintf(ret_line, size, "%s",
				 strncmp(line, own, strlen(own)) == 0 ? line + strlen(own) : line);
	}
}

/* desktop_notice: the process that notifies, and what is sent to it: one message a notice, title
 * and text with a NUL between. It ends with the sender. */
#include "cli/desktop_notice.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clean_text.h"

enum { TITLE_BYTES = 128, TEXT_BYTES = 512, MESSAGE_BYTES = TITLE_BYTES + TEXT_BYTES, LIMIT_S = 3 };

/* ---- the process that notifies ---- */

/* Desktops read the text as markup. */
static void escape_markup(char *out, size_t size, const char *text)
{
	static const char *const escaped[] = {['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;"};
	size_t used = 0;
	out[0] = '\0';

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		const char *escape = c <= '>' ? escaped[c] : NULL;
		size_t length = escape ? strlen(escape) : 1;
		if (used + length >= size)
			return;
		memcpy(out + used, escape ? escape : text, length);
		used += length;
		out[used] = '\0';
	}
}

static pid_t start_notify_send(const char *title, const char *text)
{
	char markup[2 * TEXT_BYTES];
	escape_markup(markup, sizeof(markup), text);
	pid_t pid = fork();
	if (pid != 0)
		return pid;

	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)dup2(nowhere, fd);
	execlp("notify-send", "notify-send", "--app-name=baton", "--", title, markup, (char *)NULL);
	_exit(127);
}

/* False: there is no such program, no desktop that takes it, or it hangs. */
static bool ask_desktop(const char *title, const char *text)
{
	int status = -1;
	pid_t pid = start_notify_send(title, text);
	if (pid < 0)
		return false;

	int pidfd = pidfd_open(pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	if (pidfd < 0 || poll(&p, 1, LIMIT_S * 1000) <= 0)
		(void)kill(pid, SIGKILL);
	if (pidfd >= 0)
		close(pidfd);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The bell, and OSC 9, which many terminals show as a notice and others ignore. */
static void ring_terminal(const char *title, const char *text)
{
	char sequence[MESSAGE_BYTES + 32];
	const char *term = getenv("TERM");
	bool plain = !term || strcmp(term, "dumb") == 0 || strcmp(term, "linux") == 0;
	if (!isatty(STDERR_FILENO))
		return;

	snprintf(sequence, sizeof(sequence), plain ? "\a" : "\033]9;%s: %s\a\a", title, text);
	alarm(LIMIT_S); /* a terminal that was stopped (Ctrl-S) must not keep us */
	ssize_t written = write(STDERR_FILENO, sequence, strlen(sequence));
	(void)written;
	alarm(0);
}

static void serve_notices(int fd)
{
	char message[MESSAGE_BYTES + 1];
	ssize_t length;

	while ((length = recv(fd, message, MESSAGE_BYTES, 0)) > 0) {
		message[length] = '\0';
		const char *text = message + strlen(message) + 1;
		if (text > message + length)
			continue;
		if (!ask_desktop(message, text))
			ring_terminal(message, text);
	}
	_exit(0);
}

/* Nothing stays open but the socket and a terminal, and no signal of the caller's comes here. */
static void leave_caller(int fd)
{
	int nowhere = open("/dev/null", O_RDWR);
	(void)dup2(nowhere, STDIN_FILENO);
	(void)dup2(nowhere, STDOUT_FILENO);
	if (!isatty(STDERR_FILENO))
		(void)dup2(nowhere, STDERR_FILENO);

	(void)dup2(fd, STDERR_FILENO + 1);
	closefrom(STDERR_FILENO + 2);
	(void)setsid();
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
}

/* ---- the sender ---- */

void desktop_notice_begin(struct desktop_notice *notice)
{
	int fds[2];
	notice->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return;

	/* Twice, so that it is nobody's child, and no part of a job. */
	pid_t pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			leave_caller(fds[1]);
			serve_notices(STDERR_FILENO + 1);
		}
		_exit(0);
	}

	close(fds[1]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	notice->fd = fds[0];
}

void desktop_notice_send(const struct desktop_notice *notice, const char *title, const char *text)
{
	char message[MESSAGE_BYTES];
	if (notice->fd < 0)
		return;

	clean_text(message, TITLE_BYTES, title, true);
	size_t length = strlen(message) + 1;
	clean_text(message + length, TEXT_BYTES, text, true);
	length += strlen(message + length);
	(void)send(notice->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void desktop_notice_end(struct desktop_notice *notice)
{
	if (notice->fd >= 0)
		close(notice->fd);
	notice->fd = -1;
}

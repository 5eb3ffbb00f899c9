/* terminal: see terminal.h and "Job Control" in POSIX. It moves the foreground; who stops and
 * continues is decided in run_signals.c. SIGTTOU must be blocked, or changing a terminal from the
 * background would stop us. */
#include "cli/run/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_pipe(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

bool terminal_is_ours(const struct terminal *terminal)
{
	return terminal->fd >= 0 && tcgetpgrp(terminal->fd) == getpgrp();
}

bool terminal_is_dead(const struct terminal *terminal)
{
	return terminal->fd >= 0 && tcgetpgrp(terminal->fd) < 0;
}

/* A shell with job control gives each job a group, whose first process leads it. In a group that
 * another leads we are part of a script; with a pipe, of a pipeline. */
static bool is_among_others(void)
{
	return getpid() != getpgrp() || is_pipe(STDIN_FILENO) || is_pipe(STDOUT_FILENO);
}

void terminal_init(struct terminal *terminal)
{
	*terminal = (struct terminal){.fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
	if (terminal->fd < 0)
		return;

	if (tcgetattr(terminal->fd, &terminal->ours) < 0) {
		terminal_finish(terminal);
		return;
	}
	terminal->shared = terminal_is_ours(terminal) && is_among_others();
}

void terminal_finish(struct terminal *terminal)
{
	if (terminal->fd >= 0)
		close(terminal->fd);
	terminal->fd = -1;
}

void terminal_give(struct terminal *terminal, pid_t group)
{
	if (terminal->shared || !terminal_is_ours(terminal))
		return;
	if (terminal->theirs_known)
		tcsetattr(terminal->fd, TCSADRAIN, &terminal->theirs);
	if (tcsetpgrp(terminal->fd, group) == 0)
		terminal->given = group;
}

static bool is_given(const struct terminal *terminal)
{
	return terminal->given > 0 && terminal->fd >= 0 &&
	       tcgetpgrp(terminal->fd) == terminal->given;
}

void terminal_take(struct terminal *terminal)
{
	if (!is_given(terminal))
		return;
	terminal->theirs_known = tcgetattr(terminal->fd, &terminal->theirs) == 0;
	tcsetpgrp(terminal->fd, getpgrp());
	tcsetattr(terminal->fd, TCSADRAIN, &terminal->ours);
	terminal->given = 0;
}

/* Another group in the foreground lives: a shell has put us in the background. */
static bool is_abandoned(const struct terminal *terminal)
{
	pid_t group = terminal->fd < 0 ? -1 : tcgetpgrp(terminal->fd);
	return group > 0 && group != getpgrp() && kill(-group, 0) < 0 && errno == ESRCH;
}

void terminal_restore(struct terminal *terminal, bool broken)
{
	if (is_given(terminal) || is_abandoned(terminal))
		tcsetpgrp(terminal->fd, getpgrp());
	if (broken && terminal_is_ours(terminal))
		tcsetattr(terminal->fd, TCSADRAIN, &terminal->ours);
	terminal->given = 0;
	terminal->theirs_known = false;
}

bool terminal_orphaned(void)
{
	return getsid(getppid()) != getsid(0);
}

/* hangup: see hangup.h. Read from a signalfd, because only there it is said who sent the signal.
 * Called by serve.c. */
#include "server/hangup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"
#include "net/loop.h"

/* /dev/tty opens as long as our session has a terminal. */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static bool is_ignored(void)
{
	struct sigaction action;
	return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* The kernel tells the foreground, a server tells its jobs. Anybody else who sends it to a daemon
 * whose terminal has long been closed (disown) wants a reload. */
bool hangup_ends(const struct hangup *hangup, bool by_kernel, pid_t sender, bool terminal_gone)
{
	return hangup->had_terminal && terminal_gone &&
	       (by_kernel || sender == hangup->session || sender == hangup->parent);
}

static void on_readable(void *ctx, int fd)
{
	struct hangup *hangup = ctx;
	struct signalfd_siginfo info;
	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
		hangup->fn(hangup->ctx, hangup_ends(hangup, info.ssi_code == SI_KERNEL,
						    (pid_t)info.ssi_pid, !has_terminal()));
}

static void end_closing(struct hangup *hangup)
{
	loop_unwatch(hangup->closing_watch);
	hangup->closing_watch = NULL;
	if (hangup->closing_fd > 0)
		(void)close(hangup->closing_fd);
	if (hangup->terminal_fd > 0)
		(void)close(hangup->terminal_fd);
	hangup->closing_fd = hangup->terminal_fd = -1;
}

static void on_closed(void *ctx, int fd)
{
	struct hangup *hangup = ctx;
	(void)fd;
	end_closing(hangup);
	hangup->fn(hangup->ctx, true);
}

/* The kernel signals the leader of the session only, and make, as one, waits for us instead of
 * passing it on. A job that a server put into a process group of its own hears it from the server.
 */
static void watch_closing(struct hangup *hangup, struct loop *loop)
{
	struct epoll_event hung_up = {.events = 0}; /* EPOLLHUP is always told, input never */
	hangup->terminal_fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	hangup->closing_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hangup->terminal_fd < 0 || hangup->closing_fd < 0 ||
	    epoll_ctl(hangup->closing_fd, EPOLL_CTL_ADD, hangup->terminal_fd, &hung_up) != 0 ||
	    loop_watch(loop, hangup->closing_fd, on_closed, hangup, &hangup->closing_watch) != 0)
		end_closing(hangup);
}

int hangup_begin(struct hangup *hangup, struct loop *loop, void (*fn)(void *ctx, bool ends),
		 void *ctx)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	*hangup = (struct hangup){
		.had_terminal = has_terminal() && !is_ignored(),
		.session = getsid(0),
		.parent = getppid(),
		.fn = fn,
		.ctx = ctx,
	};
	/* Blocked before it is no longer ignored, so that none can end us in between. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -ERR_IO;
	(void)signal(SIGHUP, SIG_DFL);
	hangup->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (hangup->fd < 0)
		return -ERR_IO;
	int rc = loop_watch(loop, hangup->fd, on_readable, hangup, &hangup->watch);
	if (rc)
		hangup_end(hangup);
	else if (hangup->had_terminal && getpgrp() == hangup->session)
		watch_closing(hangup, loop);
	return rc;
}

void hangup_end(struct hangup *hangup)
{
	loop_unwatch(hangup->watch);
	hangup->watch = NULL;
	if (hangup->fd > 0)
		(void)close(hangup->fd);
	hangup->fd = -1;
	end_closing(hangup);
}

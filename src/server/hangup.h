/* hangup: what SIGHUP means. With a terminal of its own that was closed it is the end, as for any
 * program in the foreground; everywhere else it asks for a reload. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct loop;
struct loop_watch;

struct hangup {
	bool had_terminal; /* at the start; false under nohup, too */
	pid_t session, parent;
	int fd; /* signalfd */
	struct loop_watch *watch;
	int terminal_fd, closing_fd; /* an epoll set that is readable once the terminal is gone */
	struct loop_watch *closing_watch;
	void (*fn)(void *ctx, bool ends);
	void *ctx;
};

/* `fn` on each SIGHUP, and when the terminal is closed and nobody will signal us; `ends`: our
 * terminal is gone. 0 or a negative enum err. */
int hangup_begin(struct hangup *hangup, struct loop *loop, void (*fn)(void *ctx, bool ends),
		 void *ctx);
void hangup_end(struct hangup *hangup);
/* The decision: `by_kernel` and `sender` are the signal's, `terminal_gone` holds now. */
bool hangup_ends(const struct hangup *hangup, bool by_kernel, pid_t sender, bool terminal_gone);

/* keeper: an executable of its own, since the broker has threads. It knows nothing of leases. */
#include "server/inference/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/process_tree.h"
#include "process/spawn.h"

enum { CONTROL_FD = STDERR_FILENO + 1, ROUND_MS = 50 };

struct keeper {
	pid_t pid; /* of the command */
	int pidfd, status;
	bool ended;               /* the command itself */
	bool control_open, asked; /* asked: SIGTERM was sent */
	int64_t kill_at_ms;       /* once asked */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns how many there are. */
static size_t signal_all(int signo)
{
	struct process_tree tree;
	size_t count;

	process_tree_read(&tree, getpid(), 0);
	count = tree.count;
	if (signo)
		process_tree_signal(&tree, signo);
	process_tree_finish(&tree);
	return count;
}

static void ask_to_end(struct keeper *keeper, int64_t grace_ms)
{
	int64_t kill_at_ms = now_ms() + grace_ms;

	if (!keeper->asked || kill_at_ms < keeper->kill_at_ms)
		keeper->kill_at_ms = kill_at_ms;
	keeper->asked = true;
	signal_all(SIGTERM);
	signal_all(SIGCONT); /* what is stopped would not see it */
}

static void reap_all(struct keeper *keeper)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != keeper->pid)
			continue;
		keeper->ended = true;
		keeper->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		if (!keeper->asked)
			ask_to_end(keeper, KEEPER_LAST_GRACE_MS); /* what it left behind */
	}
}

static void read_control(struct keeper *keeper)
{
	char bytes[16];
	ssize_t n = read(CONTROL_FD, bytes, sizeof(bytes));

	if (n < 0)
		return;
	if (n == 0)
		keeper->control_open = false;
	ask_to_end(keeper, n == 0 ? KEEPER_LAST_GRACE_MS : KEEPER_GRACE_MS);
}

/* False: nothing of it is left. */
static bool keep_on(struct keeper *keeper)
{
	if (!keeper->ended)
		return true;
	return signal_all(0) > 0;
}

static void on_child(int signo)
{
	(void)signo; /* it ends the poll */
}

static int refuse_start(const char *program, int error)
{
	fprintf(stderr, "%s: %s\n", program, strerror(error));
	return error == ENOENT ? 127 : 126;
}

static int start_command(struct keeper *keeper, char *const *argv)
{
	sigset_t none;
	const struct spawn spawn = {
		.argv = argv, .mask = &none, .cgroup_fd = -1, .own_group = true};
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	signal(SIGCHLD, on_child);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGCONT); /* to hear that the broker is gone, if stopped itself */
	if (nothing < 0 || dup3(STDIN_FILENO, CONTROL_FD, O_CLOEXEC) < 0 ||
	    dup2(nothing, STDIN_FILENO) < 0)
		return errno;
	return spawn_command(&spawn, &keeper->pid, &keeper->pidfd);
}

int keeper_main(char *const *argv)
{
	struct keeper keeper = {.pidfd = -1, .control_open = true};
	int error = argv[1] ? start_command(&keeper, argv + 1) : ENOENT;

	if (error)
		return refuse_start(argv[1] ? argv[1] : KEEPER_NAME, error);

	while (keep_on(&keeper)) {
		struct pollfd polls[] = {
			{.fd = keeper.control_open ? CONTROL_FD : -1, .events = POLLIN},
			{.fd = keeper.ended ? -1 : keeper.pidfd, .events = POLLIN},
		};

		if (poll(polls, 2, keeper.asked ? ROUND_MS : -1) > 0 && polls[0].revents)
			read_control(&keeper);
		reap_all(&keeper);
		if (keeper.asked && now_ms() >= keeper.kill_at_ms)
			signal_all(SIGKILL);
	}
	return keeper.status;
}

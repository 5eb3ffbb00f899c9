/* child: processes under `baton run`. The command leads a process group of its own unless others
 * share the terminal's keys with it (terminal.h). What it leaves behind comes to us (subreaper). It
 * knows nothing of leases. */
#include "cli/run/child.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/run/terminal.h"
#include "process/pidfd.h"
#include "process/proc.h"
#include "process/process_tree.h"
#include "process/spawn.h"

enum { KILL_TRIES = 20, LIST_BYTES = 256 };

static struct process_tree *new_tree(void)
{
	struct process_tree *tree = calloc(1, sizeof(*tree));
	if (!tree)
		abort();
	return tree;
}

static struct process_tree *free_tree(struct process_tree *tree)
{
	if (tree)
		process_tree_finish(tree);
	free(tree);
	return NULL;
}

void child_init(struct child *child)
{
	struct sigaction pipe;
	char list[LIST_BYTES];
	*child = (struct child){.pidfd = -1};
	child->pipe_ignored = sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_IGN;
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	if (child_list(list, sizeof(list)) == 0)
		return;
	child->before = new_tree();
	process_tree_read(child->before, getpid(), 0);
}

void child_finish(struct child *child)
{
	if (child->pidfd >= 0)
		close(child->pidfd);
	child->pidfd = -1;
	child->known = free_tree(child->known);
	child->before = free_tree(child->before);
}

void child_forget(struct child *child)
{
	if (child->pidfd >= 0)
		close(child->pidfd);
	child->pid = 0;
	child->pidfd = -1;
	child->status = child->stopped = 0;
	child->ended = child->status_unknown = false;
}

int child_spawn(struct child *child, char *const *argv, const sigset_t *mask, int cgroup_fd,
		struct terminal *terminal)
{
	const struct spawn spawn = {
		.argv = argv,
		.mask = mask,
		.cgroup_fd = cgroup_fd,
		.own_group = !terminal->shared,
		.takes_tty = !terminal->shared && terminal_is_ours(terminal),
		.tty_fd = terminal->fd,
		.ignores_sigpipe = child->pipe_ignored, /* we ignore it ourselves */
		.ignores_sighup = terminal->fd >= 0,
		.mark = child->mark,
	};

	int error = spawn_command(&spawn, &child->pid, &child->pidfd);
	child->ended = error != 0;
	child->own_group = spawn.own_group;
	if (error == 0 && spawn.takes_tty)
		terminal->given = child->pid;
	return error;
}

void child_signal(const struct child *child, int signo)
{
	bool to_group = signo == SIGTSTP || signo == SIGCONT || signo == SIGWINCH;
	if (child->pid == 0 || child->ended)
		return;
	if (to_group && child->own_group)
		kill(-child->pid, signo);
	else
		(void)pidfd_signal(child->pidfd, signo);
}

bool child_shares_group(const struct child *child)
{
	return getpgid(child->pid) == getpgrp();
}

static void note_change(struct child *child, pid_t pid, int status)
{
	bool over = WIFEXITED(status) || WIFSIGNALED(status);
	if (pid == child->keeper_pid && over)
		child->keeper_pid = 0;
	if (pid != child->pid)
		return;

	child->stopped = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
	if (over) {
		child->status = status;
		child->ended = true;
	}
}

void child_reap(struct child *child)
{
	int status;
	pid_t changed;
	while ((changed = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0)
		note_change(child, changed, status);

	struct pollfd exit = {.fd = child->pidfd, .events = POLLIN};
	if (child->pid == 0 || child->ended || poll(&exit, 1, 0) <= 0)
		return;
	/* It has ended but somebody else has reaped it: only its status is lost. */
	pid_t pid = waitpid(child->pid, &child->status, WNOHANG);
	child->ended = true;
	child->status_unknown = pid != child->pid && !child->known;
}

static void remember_all(struct process_tree *known, const struct process_tree *seen)
{
	known->v = reallocarray(NULL, seen->count + 1, sizeof(*known->v));
	if (!known->v)
		abort();
	if (seen->count > 0)
		memcpy(known->v, seen->v, seen->count * sizeof(*known->v));
	known->count = seen->count;
}

void child_attach(struct child *child, pid_t pid, uint64_t start, int pidfd)
{
	child_forget(child);
	child->pid = pid;
	child->pidfd = pidfd;
	child->known = new_tree();
	remember_all(child->known,
		     &(struct process_tree){.v = &(struct process){.pid = pid, .start = start},
					    .count = 1});
}

/* What it leaves behind does not come to us, so all of it that was seen is remembered. */
static void read_attached(const struct child *child, struct process_tree *ret_tree)
{
	process_tree_read_known(ret_tree, child->known);
	process_tree_finish(child->known);
	remember_all(child->known, ret_tree);
}

void child_tree(const struct child *child, struct process_tree *ret_tree)
{
	if (child->known) {
		read_attached(child, ret_tree);
		return;
	}

	process_tree_read(ret_tree, getpid(), child->keeper_pid);
	if (child->before)
		process_tree_leave_out(ret_tree, child->before);
}

size_t child_list(char *ret_text, size_t size)
{
	char file[64];
	(void)snprintf(file, sizeof(file), "task/%ld/children", (long)getpid());
	size_t length = proc_read(PROC_SELF, file, ret_text, size);

	/* The first digits of a pid are the pid of somebody else. */
	while (length > 0 && ret_text[length - 1] != ' ')
		length--;
	ret_text[length] = '\0';
	return length;
}

static bool is_of_others(const struct child *child, pid_t pid)
{
	if (pid == child->keeper_pid)
		return true;
	for (size_t i = 0; child->before && i < child->before->count; i++)
		if (child->before->v[i].pid == pid)
			return child->before->v[i].start == proc_start(pid);
	return false;
}

static bool names_others_alone(const struct child *child, const char *list)
{
	char *end;
	for (long pid; (pid = strtol(list, &end, 10)) > 0; list = end)
		if (!is_of_others(child, (pid_t)pid))
			return false;
	return true;
}

bool child_is_alone(const struct child *child, bool *ret_alone)
{
	char text[LIST_BYTES];
	size_t length = child->known ? 0 : child_list(text, sizeof(text));
	if (length == 0)
		return false;

	*ret_alone = names_others_alone(child, text);
	return !*ret_alone || length < sizeof(text) - CHILDREN_BYTES_LEFT;
}

/* A pid is not used again before it is reaped, which only we do. */
static void kill_listed(const struct child *child, const char *list)
{
	char *end;
	for (long pid; (pid = strtol(list, &end, 10)) > 0; list = end)
		if (!is_of_others(child, (pid_t)pid))
			(void)kill((pid_t)pid, SIGKILL);
}

void child_kill_orphans(const struct child *child)
{
	static char own_children[CHILDREN_BYTES];
	for (int i = 0; i < KILL_TRIES && !child->known; i++) {
		if (child_list(own_children, sizeof(own_children)) == 0 ||
		    names_others_alone(child, own_children))
			return;
		kill_listed(child, own_children);
	}
}

size_t child_signal_all(const struct child *child, int signo)
{
	struct process_tree tree;
	bool alone;
	if (child_is_alone(child, &alone) && alone)
		return 0; /* most often, and /proc need not be read as a whole */
	child_tree(child, &tree);
	if (signo)
		process_tree_signal(&tree, signo);

	size_t count = tree.count;
	process_tree_finish(&tree);
	return count;
}

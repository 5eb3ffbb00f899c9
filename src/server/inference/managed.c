/* managed: see managed.h. Output is read at a bounded pace and logged at a lower one: a program
 * that floods it slows itself down, and fills no log. */
#include "server/inference/managed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/process_port.h"
#include "net/loop.h"
#include "server/inference/keeper.h"

enum {
	LINE_BYTES = 400,
	WINDOW_MS = 1000,
	WINDOW_LINES = 20,
	WINDOW_BYTES = 4 * 1024 * 1024, /* read; what the log does not take is dropped */
	READ_BYTES = 16 * 1024,
	LAST_MS = 5 * 1000, /* for all to end, when the broker does */
	NAME_BYTES = 64,
	SWEEP_MS = 20,
	STOP_MS = KEEPER_GRACE_MS + 1500, /* for a keeper to end all that it keeps, once asked */
};

struct managed_process {
	struct list link;
	struct managed *owner;
	uint64_t process;
	char server[NAME_BYTES];
	pid_t pid;  /* of the keeper; 0: it has ended, and what it left behind is killed */
	int status; /* .. then */
	int pidfd, control_fd, output_fd;
	struct loop_watch *end_watch, *output_watch;
	char line[LINE_BYTES + 1];
	size_t length;
	struct mono_ms kill_at; /* asked to end; MONO_NEVER: not */
	bool cut;               /* the rest of the line is passed over */
	struct mono_ms window;  /* when the next one begins */
	unsigned lines, left_out;
	size_t bytes;
};

/* What a service manager said to the broker is not for its children. */
static bool is_ours_alone(const char *variable)
{
	static const char *const names[] = {"NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_",
					    "JOURNAL_STREAM=", "INVOCATION_ID="};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool is_said(const char *const *env, const char *variable)
{
	size_t length = strcspn(variable, "=") + 1;

	for (; *env; env++)
		if (!strncmp(*env, variable, length))
			return true;
	return false;
}

/* Borrows all texts; the caller frees the list. */
static char **make_env(const char *const *env, char *devices)
{
	size_t count = 0, used = 0;
	char **made;

	for (char **at = environ; *at; at++)
		count++;
	for (const char *const *at = env; *at; at++)
		count++;
	made = calloc(count + 2, sizeof(*made));
	if (!made)
		abort();

	for (char **at = environ; *at; at++)
		if (!is_ours_alone(*at) && !is_said(env, *at) &&
		    !(devices && !strncmp(*at, "CUDA_VISIBLE_DEVICES=", 21)))
			made[used++] = *at;
	for (const char *const *at = env; *at; at++)
		made[used++] = (char *)*at;
	if (devices && !is_said(env, devices))
		made[used++] = devices;
	return made;
}

static int spawn_keeper(const struct process_ask *ask, const char *device, int control_fd,
			int output_fd, pid_t *ret_pid)
{
	char devices[128], *argv[256] = {(char *)KEEPER_NAME}, **env;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	for (size_t i = 0; ask->argv[i] && i < 254; i++)
		argv[i + 1] = (char *)ask->argv[i];
	snprintf(devices, sizeof(devices), "CUDA_VISIBLE_DEVICES=%s", device ? device : "");
	env = make_env(ask->env, device ? devices : NULL);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, control_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, output_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, output_fd, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETSID);

	rc = posix_spawn(ret_pid, "/proc/self/exe", &files, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	free(env);
	return -rc;
}

static void log_line(struct managed_process *process)
{
	process->line[process->length] = '\0';
	if (process->length > 0 && process->lines < WINDOW_LINES)
		log_event(process->owner->log, LOG_INFO, "output",
			  log_str("server", process->server), log_str("line", process->line));
	else if (process->length > 0)
		process->left_out++;
	process->lines += process->length > 0;
	process->length = 0;
}

static void take_output(struct managed_process *process, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		bool ends = bytes[i] == '\n' || bytes[i] == '\r';

		if (ends || process->length == LINE_BYTES) {
			if (!process->cut)
				log_line(process);
			process->length = 0;
			process->cut = !ends;
		}
		if (!ends && !process->cut)
			process->line[process->length++] = bytes[i];
	}
}

static void begin_window(struct managed_process *process, struct mono_ms now)
{
	if (process->left_out > 0)
		log_event(process->owner->log, LOG_INFO, "output left out",
			  log_str("server", process->server), log_int("lines", process->left_out));
	process->window = mono_after(now, WINDOW_MS);
	process->lines = process->left_out = 0;
	process->bytes = 0;
}

static void close_output(struct managed_process *process)
{
	loop_unwatch(process->output_watch);
	process->output_watch = NULL;
	if (process->output_fd >= 0)
		close(process->output_fd);
	process->output_fd = -1;
}

/* False: there is no more for now, or ever. */
static bool read_output(struct managed_process *process)
{
	char bytes[READ_BYTES];
	ssize_t n = read(process->output_fd, bytes, sizeof(bytes));

	if (n < 0)
		return false;
	if (n == 0) {
		close_output(process);
		return false;
	}
	process->bytes += (size_t)n;
	take_output(process, bytes, (size_t)n);
	return true;
}

static void on_output(void *ctx, int fd)
{
	struct managed_process *process = ctx;
	struct mono_ms now = loop_now();
	(void)fd;

	if (mono_due(process->window, now))
		begin_window(process, now);
	read_output(process);
	if (process->bytes < WINDOW_BYTES)
		return;
	loop_unwatch(process->output_watch); /* managed_step goes on */
	process->output_watch = NULL;
}

static void free_process(struct managed_process *process)
{
	close_output(process);
	loop_unwatch(process->end_watch);
	if (process->control_fd >= 0)
		close(process->control_fd);
	if (process->pidfd >= 0)
		close(process->pidfd);
	list_remove(&process->link);
	free(process);
}

static void tell_end(struct managed_process *process)
{
	struct managed *managed = process->owner;
	uint64_t number = process->process;
	int status = process->status;

	while (process->output_fd >= 0 && process->bytes < WINDOW_BYTES && read_output(process))
		;
	if (!process->cut)
		log_line(process);
	begin_window(process, loop_now());
	log_event(managed->log, LOG_INFO, "model server ended", log_str("server", process->server),
		  log_int("status", status));
	free_process(process);
	managed->on_end(managed->ctx, number, status);
}

static bool is_keeper(const void *ctx, pid_t pid)
{
	const struct managed *managed = ctx;

	list_each (it, next, &managed->all) {
		if (container_of(it, struct managed_process, link)->pid == pid)
			return true;
	}
	return false;
}

/* The end of a keeper is the end of all that it kept, unless it was killed itself. */
static void on_end(void *ctx, int fd)
{
	struct managed_process *process = ctx;
	int status = 0;
	(void)fd;

	if (waitpid(process->pid, &status, 0) < 0)
		status = 0;
	process->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	process->pid = 0;
	loop_unwatch(process->end_watch);
	process->end_watch = NULL;
	if (orphans_kill(&process->owner->orphans) == 0)
		tell_end(process);
	else
		log_event(process->owner->log, LOG_WARN,
			  "the process beside a model server was killed; what it kept is killed",
			  log_str("server", process->server), log_int("status", process->status));
}

void managed_init(struct managed *managed, struct loop *loop, struct log *log,
		  void (*on_ended)(void *ctx, uint64_t process, int status), void *ctx)
{
	*managed = (struct managed){.loop = loop, .log = log, .on_end = on_ended, .ctx = ctx};
	list_init(&managed->all);
	managed->orphans = (struct orphans){.is_keeper = is_keeper, .ctx = managed};
}

static int watch_process(struct managed_process *process)
{
	struct loop *loop = process->owner->loop;

	process->pidfd = pidfd_open(process->pid, 0);
	if (process->pidfd < 0 ||
	    loop_watch(loop, process->pidfd, on_end, process, &process->end_watch) != 0 ||
	    loop_watch(loop, process->output_fd, on_output, process, &process->output_watch) != 0)
		return -ENOMEM;
	return 0;
}

int managed_start(struct managed *managed, const struct process_ask *ask, const char *device)
{
	struct managed_process *process = calloc(1, sizeof(*process));
	int control[2] = {-1, -1}, output[2] = {-1, -1}, rc = 0;

	if (!process)
		return -ENOMEM;
	orphans_begin(&managed->orphans);
	*process = (struct managed_process){
		.owner = managed,
		.process = ask->process,
		.pidfd = -1,
		.window = loop_now(),
		.kill_at = MONO_NEVER,
	};
	snprintf(process->server, sizeof(process->server), "%s", ask->server);
	list_init(&process->link);
	if (pipe2(control, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
		rc = -errno;
	process->control_fd = control[1];
	process->output_fd = output[0];

	if (rc == 0 && fcntl(output[0], F_SETFL, O_NONBLOCK) != 0)
		rc = -errno;
	if (rc == 0)
		rc = spawn_keeper(ask, device, control[0], output[1], &process->pid);
	if (control[0] >= 0)
		close(control[0]);
	if (output[1] >= 0)
		close(output[1]);
	if (rc == 0)
		rc = watch_process(process); /* else its keeper sees the pipe close */
	if (rc != 0) {
		free_process(process);
		return rc;
	}

	list_append(&managed->all, &process->link);
	log_event(managed->log, LOG_INFO, "model server started", log_str("server", ask->server),
		  log_str("command", ask->argv[0]), log_int("pid", process->pid));
	return 0;
}

/* A keeper that is stopped itself would hear of nothing. */
static void ask_to_end(struct managed_process *process)
{
	if (write(process->control_fd, "s", 1) < 0)
		log_event(process->owner->log, LOG_WARN, "model server cannot be asked to end",
			  log_str("server", process->server), log_str("error", strerror(errno)));
	(void)pidfd_send_signal(process->pidfd, SIGCONT, NULL, 0);
	if (process->kill_at.v == MONO_NEVER.v)
		process->kill_at = mono_after(loop_now(), STOP_MS);
}

void managed_stop(struct managed *managed, uint64_t process)
{
	list_each (it, next, &managed->all) {
		struct managed_process *one = container_of(it, struct managed_process, link);
		if (one->process == process && one->pid)
			ask_to_end(one);
	}
}

/* Its keeper does nothing: it is killed, and what it kept with it. */
static void kill_overdue(struct managed_process *process, struct mono_ms now)
{
	if (!process->pid || !mono_due(process->kill_at, now))
		return;
	(void)pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
	process->kill_at = MONO_NEVER;
}

/* True: some of it lives still. */
static bool sweep_all(struct managed *managed)
{
	bool swept = false, left = false;

	list_each (it, next, &managed->all) {
		struct managed_process *process = container_of(it, struct managed_process, link);
		if (process->pid)
			continue;
		left = left || (!swept && orphans_kill(&managed->orphans) > 0);
		swept = true;
		if (!left)
			tell_end(process);
	}
	return left;
}

struct mono_ms managed_step(struct managed *managed, struct mono_ms now)
{
	struct mono_ms next_at = sweep_all(managed) ? mono_after(now, SWEEP_MS) : MONO_NEVER;

	list_each (it, next, &managed->all) {
		struct managed_process *process = container_of(it, struct managed_process, link);
		kill_overdue(process, now);
		if (process->pid)
			next_at = mono_min(next_at, process->kill_at);
		if (process->output_watch || process->output_fd < 0)
			continue;
		if (mono_due(process->window, now)) {
			begin_window(process, now);
			(void)loop_watch(managed->loop, process->output_fd, on_output, process,
					 &process->output_watch);
		} else {
			next_at = mono_min(next_at, process->window);
		}
	}
	return next_at;
}

void managed_finish(struct managed *managed)
{
	struct mono_ms until = mono_after(loop_now(), LAST_MS);

	list_each (it, next, &managed->all) {
		struct managed_process *process = container_of(it, struct managed_process, link);
		close(process->control_fd);
		process->control_fd = -1;
	}
	list_each (it, next, &managed->all) {
		struct managed_process *process = container_of(it, struct managed_process, link);
		struct pollfd wait = {.fd = process->pidfd, .events = POLLIN};
		int64_t left_ms = mono_since(until, loop_now());

		close_output(process); /* else it may wait for us to read */
		if (process->pid && poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0) > 0)
			(void)waitpid(process->pid, NULL, WNOHANG);
		free_process(process);
	}
	if (managed->orphans.begun)
		orphans_kill(&managed->orphans); /* keepers that took too long, too */
	orphans_finish(&managed->orphans);
}

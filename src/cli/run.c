/* run: waits for a lease, runs a command under it, and sees to it that nothing of the command
 * outlives the lease. It never starts the command without one, whatever goes wrong. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "baton/baton.h"
#include "cli/api.h"
#include "cli/child.h"
#include "cli/field.h"
#include "cli/keeper.h"
#include "cli/run_show.h"
#include "cli/units.h"

enum { GRACE_MS_DEFAULT = 2000, NOT_EXECUTABLE = 126, NOT_FOUND = 127, SIGNALLED = 128 };

enum run_phase {
	RUN_WAITING,
	RUN_RUNNING,
	RUN_STOPPING, /* SIGTERM was sent, SIGKILL at kill_at_ms */
	RUN_KILLING,
	RUN_DONE,
};

struct values {
	const char *name, *lease_class, *gpu, *label;
	uint64_t vram_bytes;
	uint32_t slots, gpus;
	int64_t wait_ms, grace_ms;
	bool no_wait, evictable, quiet;
	int on_yield;
};

struct run {
	const struct command *command;
	const struct values *values;
	struct run_show show;
	struct child child;
	struct keeper keeper;
	struct baton *baton;
	struct baton_claim *claim;
	enum run_phase phase;
	char **argv;
	sigset_t mask_before;
	int signal_fd, status; /* status: unless the command says */
	bool started;
	int64_t grace_ms, kill_at_ms;
	int64_t started_ms;
	bool interrupted; /* Ctrl-C on our terminal reached us and the command alike */
};

static const char *const classes[] = {"voice", "chat", "normal", "background", NULL};

static const struct option_spec options[] = {
	{.letter = 'n',
	 .name = "name",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "how lists call it (the command's name)",
	 .offset = offsetof(struct values, name)},
	{.letter = 'c',
	 .name = "class",
	 .kind = OPTION_CHOICE,
	 .argument = "CLASS",
	 .help = "voice, chat, normal or background (by the broker's rules)",
	 .offset = offsetof(struct values, lease_class),
	 .choices = classes},
	{.name = "vram",
	 .kind = OPTION_SIZE,
	 .argument = "SIZE",
	 .help = "VRAM needed on each GPU, e.g. 8G",
	 .offset = offsetof(struct values, vram_bytes)},
	{.name = "slots",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "compute turns on each GPU (1); 0 only keeps memory",
	 .offset = offsetof(struct values, slots)},
	{.name = "gpu",
	 .kind = OPTION_TEXT,
	 .argument = "GPU",
	 .help = "this GPU: name, index or UUID (any)",
	 .offset = offsetof(struct values, gpu)},
	{.name = "gpus",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "so many GPUs at once (1)",
	 .offset = offsetof(struct values, gpus)},
	{.letter = 'w',
	 .name = "wait",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .help = "wait at most so long, e.g. 5m (for ever); then exit 75",
	 .offset = offsetof(struct values, wait_ms)},
	{.name = "no-wait",
	 .kind = OPTION_FLAG,
	 .help = "exit 75 at once when the GPU is taken",
	 .offset = offsetof(struct values, no_wait)},
	{.name = "grace",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .help = "from yield to revoke, and from SIGTERM to SIGKILL (the broker's: 2s; at most "
		 "20s)",
	 .offset = offsetof(struct values, grace_ms)},
	{.name = "on-yield",
	 .kind = OPTION_SIGNAL,
	 .argument = "SIGNAL",
	 .help = "sent to the command when asked to give way, e.g. USR1 (none)",
	 .offset = offsetof(struct values, on_yield)},
	{.name = "evictable",
	 .kind = OPTION_FLAG,
	 .help = "may be asked to unload while idle, for the sake of its VRAM",
	 .offset = offsetof(struct values, evictable)},
	{.name = "label",
	 .kind = OPTION_TEXT,
	 .argument = "TEXT",
	 .help = "model or job, shown in lists",
	 .offset = offsetof(struct values, label)},
	{.letter = 'q',
	 .name = "quiet",
	 .kind = OPTION_FLAG,
	 .help = "say nothing but errors",
	 .offset = offsetof(struct values, quiet)},
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- stopping ---- */

static void done_if_gone(struct run *run)
{
	if (run->child.ended && child_signal_all(&run->child, 0) == 0)
		run->phase = RUN_DONE;
}

/* SIGTERM to all of it now, SIGKILL after the grace. A little before the broker's own SIGKILL,
 * which would hit us and leave to the kernel what we can do in order. */
static void stop_command(struct run *run)
{
	if (run->phase != RUN_RUNNING)
		return;
	run->phase = RUN_STOPPING;
	run->kill_at_ms = now_ms() + run->grace_ms * 9 / 10;
	child_signal_all(&run->child, SIGTERM);
	child_signal_all(&run->child, SIGCONT); /* a stopped process hears SIGTERM only then */
	done_if_gone(run);
}

static void kill_command(struct run *run)
{
	run->phase = RUN_KILLING;
	run->kill_at_ms = now_ms() + 100; /* again: who forked meanwhile was not on the list */
	child_signal_all(&run->child, SIGKILL);
	child_reap(&run->child);
	done_if_gone(run);
}

/* ---- what libbaton tells ---- */

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase == RUN_WAITING)
		run_show_place(&run->show, place);
}

/* Names of the lease's GPUs, or their UUIDs; false: not all have one. */
static bool list_gpus(const struct baton_lease *lease, bool uuids, struct buf *ret_list)
{
	for (size_t i = 0; i < baton_lease_gpu_count(lease); i++) {
		const char *text =
			uuids ? baton_lease_gpu_uuid(lease, i) : baton_lease_gpu_name(lease, i);
		if (!*text)
			return false;
		if (buf_printf(ret_list, "%s%s", i ? "," : "", text) < 0)
			abort();
	}
	return buf_append(ret_list, "", 1) == 0;
}

static void set_number(const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	setenv(name, text, 1);
}

/* A CUDA_VISIBLE_DEVICES of before is overridden: it may name a GPU that is not ours. Where the
 * broker knows no UUID there is nothing better than what the caller had set. */
static void set_environment(const struct baton_lease *lease, struct buf *ret_names)
{
	struct buf uuids = {0};
	set_number("BATON_LEASE", baton_lease_id(lease));
	set_number("BATON_FENCE", baton_lease_fence(lease));
	list_gpus(lease, false, ret_names);
	setenv("BATON_GPU", buf_data(ret_names), 1);
	if (list_gpus(lease, true, &uuids))
		setenv("CUDA_VISIBLE_DEVICES", buf_data(&uuids), 1);
	buf_finish(&uuids);
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct run *run = ctx;
	struct buf names = {0};
	char waited[UNITS_BYTES];
	(void)claim;
	set_environment(lease, &names);
	run_show_say(&run->show, false, "holding %s, lease %" PRIu64 ", after %s", buf_data(&names),
		     baton_lease_id(lease),
		     units_duration(waited, (double)(now_ms() - run->started_ms) / 1000));
	buf_finish(&names);
	int error = keeper_start(&run->keeper);
	run->child.keeper_pid = run->keeper.pid;
	if (error == 0)
		error = child_spawn(&run->child, run->argv, &run->mask_before);
	if (error == 0) {
		run->started = true;
		run->phase = RUN_RUNNING;
		return;
	}
	run_show_say(&run->show, true, "run: %s: %s", run->argv[0], strerror(error));
	run->status = error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	run->phase = RUN_DONE;
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct run *run = ctx;
	char left[UNITS_BYTES];
	(void)claim;
	if (yield->grace_ms >= 0 && run->values->grace_ms < 0)
		run->grace_ms = yield->grace_ms;
	if (yield->grace_ms >= 0)
		run_show_say(&run->show, false, "asked to give the GPU back within %s: %s%s%s",
			     units_duration(left, (double)yield->grace_ms / 1000), yield->reason,
			     *yield->for_whom ? " for " : "", yield->for_whom);
	else /* found out by a resume */
		run_show_say(&run->show, false, "was asked to give the GPU back");
	if (run->values->on_yield)
		child_signal(&run->child, run->values->on_yield);
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase != RUN_RUNNING)
		return;
	run_show_say(&run->show, true, "run: the lease is over (%s); stopping %s", reason,
		     run->argv[0]);
	stop_command(run);
}

/* Who is in the way. The refusal does not say, and to know it is worth a question. */
static void name_holder(char *ret_words, size_t size)
{
	json_t *status;
	char error[512];
	if (api_try("GET", "/v1/gpu/status?limit=0", NULL, &status, error, sizeof(error)) < 0)
		return;
	const char *owner = field_text(status, "owner", NULL);
	if (owner)
		snprintf(ret_words, size, " Held by %s.", owner);
	json_decref(status);
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct run *run = ctx;
	(void)claim, (void)reason;
	if (run->phase != RUN_WAITING)
		return;
	const char *words = baton_strerror(code), *detail = baton_detail(run->baton);
	bool more = *detail && strcmp(detail, words) != 0;
	char holder[160] = "";
	if (code == BATON_E_BUSY)
		name_holder(holder, sizeof(holder));
	run_show_say(&run->show, true, "run: no lease for %s: %s%s%s%s", run->argv[0], words,
		     more ? " " : "", more ? detail : "", holder);
	run->status = baton_exit_code(code);
	run->phase = RUN_DONE;
}

static void on_link(struct baton *baton, enum baton_link link, void *ctx)
{
	struct run *run = ctx;
	(void)baton;
	if (link == BATON_LINK_DOWN)
		run_show_say(&run->show, false, "the broker is away; trying to reach it again");
	else if (link == BATON_LINK_UP)
		run_show_say(&run->show, false, "the broker is back; nothing was lost");
}

/* ---- signals ---- */

static const int passed_on[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
				SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

static int catch_signals(struct run *run)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN); /* a closed stderr is no reason to drop a lease */
	sigprocmask(SIG_BLOCK, &set, &run->mask_before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Stops us as the signal would have, had it not been caught. */
static void stop_ourselves(void)
{
	raise(SIGSTOP);
}

static void while_waiting(struct run *run, int signo)
{
	if (signo == SIGTSTP) {
		stop_ourselves();
	} else if (signo == SIGTERM || signo == SIGINT || signo == SIGHUP || signo == SIGQUIT) {
		run_show_clear(&run->show);
		baton_cancel(run->claim);
		run->status = SIGNALLED + signo;
		run->phase = RUN_DONE;
	}
}

static void while_running(struct run *run, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	/* What the terminal sends goes to the whole group, so the command has it already. */
	bool shared = info->ssi_code == SI_KERNEL && !run->child.own_group;
	run->interrupted |= shared && signo == SIGINT;
	/* After a revoke the broker sends SIGTERM, too; the command had one. */
	bool had = signo == SIGTERM && run->phase != RUN_RUNNING;
	if (!shared && !had && (pid_t)info->ssi_pid != run->child.pid)
		child_signal(&run->child, signo);
	if (signo == SIGTSTP)
		stop_ourselves();
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo info;
	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child_reap(&run->child);
		else if (run->phase == RUN_WAITING)
			while_waiting(run, (int)info.ssi_signo);
		else
			while_running(run, &info);
	}
}

/* ---- the loop ---- */

static int status_of(const struct child *child)
{
	return WIFSIGNALED(child->status) ? SIGNALLED + WTERMSIG(child->status)
					  : WEXITSTATUS(child->status);
}

static void command_ended(struct run *run)
{
	size_t left = child_signal_all(&run->child, 0);
	if (left == 0) {
		run->phase = RUN_DONE;
	} else if (run->phase == RUN_RUNNING) {
		run_show_say(&run->show, false, "%s has ended and left %zu process%s; stopping %s",
			     run->argv[0], left, left == 1 ? "" : "es", left == 1 ? "it" : "them");
		stop_command(run);
	}
}

static int poll_timeout_ms(const struct run *run)
{
	if (run->phase != RUN_STOPPING && run->phase != RUN_KILLING)
		return -1;
	int64_t left = run->kill_at_ms - now_ms();
	return left < 0 ? 0 : (int)left;
}

static void loop(struct run *run)
{
	bool noted_end = false;
	while (run->phase != RUN_DONE) {
		struct pollfd fds[] = {
			{.fd = baton_fd(run->baton), .events = POLLIN},
			{.fd = run->signal_fd, .events = POLLIN},
			{.fd = run->child.ended ? -1 : run->child.pidfd, .events = POLLIN},
		};
		if (poll(fds, 3, poll_timeout_ms(run)) < 0 && errno != EINTR)
			abort();
		take_signals(run);
		child_reap(&run->child);
		if (run->phase != RUN_DONE)
			(void)baton_dispatch(run->baton, 0); /* `ended` and `revoked` say all */
		if (run->child.ended && run->phase != RUN_DONE && !noted_end) {
			noted_end = true;
			command_ended(run);
		}
		bool stopping = run->phase == RUN_STOPPING || run->phase == RUN_KILLING;
		if (stopping)
			done_if_gone(run);
		if (stopping && run->phase != RUN_DONE && now_ms() >= run->kill_at_ms)
			kill_command(run);
	}
}

static void fill_request(const struct values *values, struct baton_request *request)
{
	const char *parent = getenv("BATON_LEASE");
	baton_request_init(request);
	request->lease_class = values->lease_class;
	request->vram_bytes = values->vram_bytes;
	request->slots = values->slots;
	request->gpus = values->gpus;
	request->gpu = values->gpu;
	request->timeout_ms = values->wait_ms;
	request->no_wait = values->no_wait;
	request->evictable = values->evictable;
	request->label = values->label;
	request->uninterruptible_ms = values->grace_ms > 0 ? values->grace_ms : 0;
	/* Inside another `baton run` that holds: waiting for ourselves would never end. */
	request->parent_lease = parent ? strtoull(parent, NULL, 10) : 0;
}

static int ask(struct run *run)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;
	baton_claim_handlers_init(&handlers);
	handlers.queued = on_queued;
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	fill_request(run->values, &request);
	request.handlers = &handlers;
	request.ctx = run;
	int r = baton_acquire(run->baton, &request, &run->claim);
	if (r < 0)
		return cli_fail(run->command, baton_exit_code(r), "cannot ask for a lease: %s",
				baton_strerror(r));
	return 0;
}

static int connect_broker(struct run *run)
{
	struct baton_options connect;
	const char *slash = strrchr(run->argv[0], '/');
	baton_options_init(&connect);
	connect.name = run->values->name ? run->values->name : slash ? slash + 1 : run->argv[0];
	connect.link_changed = on_link;
	connect.ctx = run;
	int r = baton_connect(&connect, &run->baton);
	if (r == BATON_E_NAME)
		return cli_fail(run->command, EX_USAGE,
				"'%.60s' cannot be a name; give another by --name", connect.name);
	if (r < 0)
		return cli_fail(run->command, baton_exit_code(r), "%s was not started: %s",
				run->argv[0], baton_strerror(r));
	return 0;
}

static int hold_and_run(struct run *run)
{
	run->signal_fd = catch_signals(run);
	if (run->signal_fd < 0)
		return cli_fail(run->command, EX_OSERR, "no signalfd: %s", strerror(errno));
	child_init(&run->child);
	int r = ask(run);
	if (r == 0) {
		loop(run);
		r = run->started ? status_of(&run->child) : run->status;
		if (run->started && WIFSIGNALED(run->child.status))
			child_restore_tty(&run->child);
	}
	run_show_clear(&run->show);
	keeper_dismiss(&run->keeper);
	child_finish(&run->child);
	close(run->signal_fd);
	return r;
}

/* A shell that runs a script stops at Ctrl-C only if it sees its child die of it. */
static void die_of_interrupt(const struct run *run, int status)
{
	if (!run->interrupted || status != SIGNALLED + SIGINT)
		return;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int run_run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {
		.slots = 1, .gpus = 1, .wait_ms = BATON_TIMEOUT_NEVER, .grace_ms = -1};
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	struct run run = {
		.command = command,
		.values = &values,
		.argv = argv + 1,
		.grace_ms = values.grace_ms >= 0 ? values.grace_ms : GRACE_MS_DEFAULT,
		.started_ms = now_ms(),
	};
	run_show_init(&run.show, values.quiet);
	r = connect_broker(&run);
	if (r > 0)
		return r;
	r = hold_and_run(&run);
	baton_close(run.baton);
	die_of_interrupt(&run, r);
	return r;
}

const struct command command_run = {
	.name = "run",
	.summary = "Run a command while holding a lease.",
	.usage = "[OPTION]... [--] COMMAND [ARGUMENT]...",
	.details = "The command finds BATON_LEASE, BATON_FENCE, BATON_GPU and, where the broker "
		   "knows the\n"
		   "GPU's UUID, CUDA_VISIBLE_DEVICES in its environment. When the lease is revoked "
		   "it gets\n"
		   "SIGTERM, the grace, then SIGKILL; so does whatever it leaves running when it "
		   "ends.\n"
		   "A job stopped by Ctrl-Z answers no heartbeat and loses its lease after 20 s.\n"
		   "Exit status: that of the command, 128 + N when signal N ended it, 75 no lease "
		   "now,\n"
		   "69 no broker, 126 or 127 when the command cannot be run.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_COMMAND,
	.run = run_run,
};

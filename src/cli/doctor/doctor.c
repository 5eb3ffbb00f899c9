/* doctor: the command: runs all checks at once, each in a process of its own, so that one that
 * hangs keeps nobody waiting; prints a line each. It changes nothing and needs no root. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/clean_text.h"
#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/doctor/check.h"
#include "cli/text_table.h"

enum { EXIT_BROKEN = 1 };

struct doctor_options {
	bool json, deny;
	uint32_t pid;
	const char *state, *config;
};

static const struct option_spec option_specs[] = {
	{.name = "state",
	 .kind = OPTION_TEXT,
	 .argument = "DIR",
	 .help = "the broker's state folder, if it was given one",
	 .offset = offsetof(struct doctor_options, state)},
	{.name = "config",
	 .kind = OPTION_TEXT,
	 .argument = "FILE",
	 .help = "the broker's configuration, if it was given one",
	 .offset = offsetof(struct doctor_options, config)},
	{.name = "checkpoint",
	 .kind = OPTION_COUNT,
	 .argument = "PID",
	 .help = "instead: whether --on-yield checkpoint could move that program off its GPU",
	 .offset = offsetof(struct doctor_options, pid)},
	{.name = "deny",
	 .kind = OPTION_FLAG,
	 .help = "instead: what it would take to keep GPUs from programs under no lease",
	 .offset = offsetof(struct doctor_options, deny)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object",
	 .offset = offsetof(struct doctor_options, json)},
};

static const struct check checks[] = {
	{"gpu", check_gpus},
	{"driver", check_driver},
	{"devices", check_devices},
	{"broker", check_broker},
	{"runtime", check_runtime_folder},
	{"state", check_state_folder},
	{"token", check_token},
	{"config", check_configuration},
	{"kernel", check_kernel},
	{"clock", check_clock},
	{"cgroup", check_cgroup},
	{"limit", check_limit},
	{"logout", check_logout},
	{"files", check_descriptors},
	{"inotify", check_inotify},
	{"browsers", check_browsers},
	{"holders", check_holders},
	{"others", check_others},
};
enum { CHECK_COUNT = sizeof(checks) / sizeof(*checks) };

static const struct check checkpoint_checks[] = {
	{"driver", check_checkpoint_driver},
	{"program", check_checkpoint_processes},
	{"memory", check_checkpoint_memory},
};

static const struct check deny_checks[] = {
	{"nodes", check_deny_nodes}, {"programs", check_deny_programs},
	{"group", check_deny_group}, {"nvidia", check_deny_nvidia},
	{"drm", check_deny_drm},     {"jobs", check_deny_grant},
	{"undo", check_deny_undo},
};

struct check_list {
	const struct check *checks;
	size_t count; /* at most CHECK_COUNT */
};

static const struct {
	const char *word, *shown;
	enum text_table_style style;
} states[] = {
	[CHECK_OK] = {"ok", "ok", STYLE_GOOD},
	[CHECK_NOTE] = {"note", "note", STYLE_PLAIN},
	[CHECK_WARN] = {"warn", "WARN", STYLE_WARN},
	[CHECK_FAIL] = {"fail", "FAIL", STYLE_BAD},
	[CHECK_UNKNOWN] = {"unknown", "?", STYLE_WARN},
};

struct attempt {
	pid_t pid;
	int fd;
};

/* Runs one check beside this process; its finding fits into a pipe at once. */
static struct attempt start_check(const struct doctor *doctor, const struct check *check)
{
	struct attempt attempt = {.pid = -1, .fd = -1};
	int fds[2];
	if (pipe(fds) < 0)
		return attempt;

	attempt.pid = fork();
	attempt.fd = fds[0];
	if (attempt.pid != 0) {
		close(fds[1]);
		return attempt;
	}

	struct finding finding = {.state = CHECK_OK};
	close(fds[0]);
	(void)setpgid(0, 0); /* so that what it starts ends with it */
	check->run(doctor, &finding);
	ssize_t written = write(fds[1], &finding, sizeof(finding));
	_exit(written == sizeof(finding) ? 0 : 1);
}

static void end_check(struct attempt *attempt, int64_t deadline_ms, struct finding *ret_finding)
{
	struct pollfd p = {.fd = attempt->fd, .events = POLLIN};
	int64_t left_ms = deadline_ms - clock_now_ms();
	struct finding finding;
	int ready = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);

	*ret_finding = (struct finding){.state = CHECK_UNKNOWN};
	if (ready > 0 && read(attempt->fd, &finding, sizeof(finding)) == sizeof(finding))
		*ret_finding = finding;
	else if (ready == 0)
		snprintf(ret_finding->text, sizeof(ret_finding->text),
			 "no answer within %d s: a file system, a driver or the broker hangs",
			 CHECK_LIMIT_MS / 1000);
	else
		snprintf(ret_finding->text, sizeof(ret_finding->text),
			 "the check itself did not end well; please report it");

	if (attempt->pid > 0) {
		(void)kill(-attempt->pid, SIGKILL);
		(void)kill(attempt->pid, SIGKILL);
		/* One that hangs in the kernel is not waited for. */
		(void)waitpid(attempt->pid, NULL, ready > 0 ? 0 : WNOHANG);
	}
	if (attempt->fd >= 0)
		close(attempt->fd);
}

static void run_checks(const struct doctor *doctor, const struct check_list *list,
		       struct finding *ret_findings)
{
	struct attempt attempts[CHECK_COUNT];
	int64_t deadline_ms = clock_now_ms() + CHECK_LIMIT_MS;
	fflush(stdout);

	for (size_t i = 0; i < list->count; i++)
		attempts[i] = start_check(doctor, &list->checks[i]);
	for (size_t i = 0; i < list->count; i++)
		end_check(&attempts[i], deadline_ms, &ret_findings[i]);
}

/* ---- words ---- */

static void print_json(const struct check_list *list, const struct finding *findings,
		       unsigned broken)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < list->count; i++) {
		json_t *row = json_pack("{s:s, s:s}", "name", list->checks[i].name, "state",
					states[findings[i].state].word);
		json_object_set_new(row, "text", json_string(findings[i].text));
		if (findings[i].fix[0])
			json_object_set_new(row, "fix", json_string(findings[i].fix));
		json_array_append_new(rows, row);
	}

	json_t *object = json_pack("{s:o, s:i}", "checks", rows, "broken", (int)broken);
	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(object);
}

static void print_lines(const struct check_list *list, const struct finding *findings,
			unsigned broken)
{
	struct text_table lines = {.columns = text_table_columns(stdout)};
	enum { INDENT = 15 };

	for (size_t i = 0; i < list->count; i++) {
		const struct finding *finding = &findings[i];
		char text[2 * CHECK_TEXT_BYTES];
		snprintf(text, sizeof(text), "%c%-4s%c  %-8s %s%s%s", states[finding->state].style,
			 states[finding->state].shown, STYLE_PLAIN, list->checks[i].name,
			 finding->text, finding->fix[0] ? ". To mend it: " : "", finding->fix);
		text_table_add_wrapped(&lines, text, lines.columns, INDENT);
	}
	if (broken)
		text_table_add(&lines, "%c%u broken", STYLE_BAD, broken);
	text_table_print(&lines, stdout, text_table_color(stdout));
	text_table_finish(&lines);
}

/* Where `baton serve` would keep its state. */
static bool find_state_dir(const struct doctor_options *options, char *ret_dir, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int length = 0;
	if (options->state)
		length = snprintf(ret_dir, size, "%s", options->state);
	else if (state && *state == '/')
		length = snprintf(ret_dir, size, "%s/baton", state);
	else
		length = snprintf(ret_dir, size, "%s/.local/state/baton", home ? home : "");
	return length > 0 && (size_t)length < size;
}

static struct check_list choose_list(const struct doctor_options *options)
{
	if (options->pid)
		return (struct check_list){checkpoint_checks,
					   sizeof(checkpoint_checks) / sizeof(*checkpoint_checks)};
	if (options->deny)
		return (struct check_list){deny_checks, sizeof(deny_checks) / sizeof(*deny_checks)};
	return (struct check_list){checks, CHECK_COUNT};
}

static int run_doctor(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct doctor_options options = {0};
	struct finding findings[CHECK_COUNT];
	unsigned broken = 0;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	const char *root = getenv("BATON_DOCTOR_ROOT");
	struct doctor doctor = {
		.root = root ? root : "", .config = options.config, .pid = options.pid};
	const struct check_list list = choose_list(&options);
	if (!find_state_dir(&options, doctor.state_dir, sizeof(doctor.state_dir)))
		return cli_fail(command, EX_USAGE, "the path of the state folder is too long");

	run_checks(&doctor, &list, findings);
	for (size_t i = 0; i < list.count; i++) {
		char clean[CHECK_TEXT_BYTES];
		clean_text(clean, sizeof(clean), findings[i].text, true);
		memcpy(findings[i].text, clean, sizeof(clean));
		broken += findings[i].state == CHECK_FAIL;
	}

	if (options.json)
		print_json(&list, findings, broken);
	else
		print_lines(&list, findings, broken);
	return broken ? EXIT_BROKEN : 0;
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "Look for what is broken here, and say how to mend it.",
	.usage = "[--state DIR] [--config FILE] [--checkpoint PID | --deny] [--json]",
	.details =
		"A line for each check: ok, note (good to know), WARN, FAIL, or ? (unknown). It\n"
		"only reads, needs no root, and ends within a few seconds. Status 1: something\n"
		"is broken.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_doctor,
};

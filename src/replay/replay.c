/* replay: options, files and messages of `baton replay`. Works without a daemon. The trace is read
 * by replay_trace.c, replayed by replay_baton.c or replay_predecessor.c, printed by replay_print.c
 * and drawn by replay_svg.c. */
#include "replay/replay.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "replay/replay_private.h"
#include "replay/replay_result.h"
#include "replay/replay_state.h"
#include "replay/replay_time.h"

enum { EXIT_USAGE = 64, EXIT_BAD_TRACE = 65, EXIT_NO_INPUT = 66, EXIT_CANNOT_WRITE = 73 };

static const char help_text[] =
	"usage: baton replay [OPTION]... FILE\n"
	"       baton replay [OPTION]... --state DIR\n\n"
	"Runs a recorded trace, or what a broker's state folder remembers, through the broker's\n"
	"core in virtual time and prints, by class, grants, timeouts and waits, and what else\n"
	"the rules make of it. No daemon is needed, and one that runs is not disturbed. FILE '-'\n"
	"is standard input.\n"
	"\n"
	"  --state DIR      the past of the broker whose state this is\n"
	"  --config FILE    by these rules instead of those that it ran by\n"
	"  --from, --to TIME  only what was between: 2026-11-22, 2026-11-22T08:30 (local time,\n"
	"                   with Z UTC), or so long ago: 7d, 36h, 90m\n"
	"  --policy POLICY  baton (the default), or predecessor: a wait ends after 60 seconds,\n"
	"                   and nobody notices that a holder died\n"
	"  --json           one JSON object instead of the table\n"
	"  --svg OUT        also draw the timeline into the file OUT ('-': standard output,\n"
	"                   instead of the table)\n"
	"  --help           this text\n"
	"\n"
	"Exit status: 0, 64 wrong usage, 65 bad trace, 66 no such file, 73 OUT cannot be\n"
	"written, 74 standard output is full or closed.\n";

struct options {
	bool predecessor, json, help;
	const char *svg, *file, *state, *config;
	struct replay_period period;
};

static bool take_time(struct options *o, bool from)
{
	int64_t *ret_ms = from ? &o->period.from_ms : &o->period.to_ms;

	if (replay_time_parse(optarg, (int64_t)time(NULL) * 1000, ret_ms))
		return true;
	fprintf(stderr,
		"baton: replay: --%s '%.60s' is no time; write 2026-11-22, 2026-11-22T08:30 or 7d "
		"(ago)\n",
		from ? "from" : "to", optarg);
	return false;
}

/* A trace or a state, and of a state what belongs to it. */
static bool judge_source(const struct options *o, int left)
{
	bool period = o->period.from_ms != INT64_MIN || o->period.to_ms != INT64_MAX;

	if (left != (o->state ? 0 : 1)) {
		fprintf(stderr, "baton: replay: name one trace%s; try: baton replay --help\n",
			o->state ? ", or --state" : "");
		return false;
	}
	if (!o->state && (o->config || period)) {
		fprintf(stderr, "baton: replay: %s is for --state; a trace has its own\n",
			o->config ? "--config" : "--from or --to");
		return false;
	}
	if (o->period.from_ms < o->period.to_ms)
		return true;
	fprintf(stderr, "baton: replay: --from is not before --to\n");
	return false;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"policy", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{"svg", required_argument, NULL, 's'},
		{"state", required_argument, NULL, 'S'},
		{"config", required_argument, NULL, 'c'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};

	*o = (struct options){.period = {INT64_MIN, INT64_MAX}};
	optind = 0; /* the command table may have parsed before */
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
		if (c == 'j') {
			o->json = true;
		} else if (c == 's') {
			o->svg = optarg;
		} else if (c == 'S') {
			o->state = optarg;
		} else if (c == 'c') {
			o->config = optarg;
		} else if (c == 'f' || c == 't') {
			if (!take_time(o, c == 'f'))
				return -1;
		} else if (c == 'h') {
			o->help = true;
		} else if (c == 'p' && strcmp(optarg, "predecessor") == 0) {
			o->predecessor = true;
		} else if (c == 'p' && strcmp(optarg, "baton") == 0) {
			o->predecessor = false;
		} else {
			if (c == 'p')
				fprintf(stderr,
					"baton: replay: no policy '%s'; there are baton and "
					"predecessor\n",
					optarg);
			else
				fprintf(stderr,
					"baton: replay: %s '%.60s'; try: baton replay --help\n",
					c == ':' ? "a value is missing after" : "unknown option",
					argv[optind - 1]);
			return -1;
		}
	}

	if (o->help)
		return 0;

	if (!judge_source(o, argc - optind))
		return -1;

	o->file = o->state ? o->state : argv[optind];
	if (o->json && o->svg && strcmp(o->svg, "-") == 0) {
		fprintf(stderr, "baton: replay: --json and --svg - both want standard output\n");
		return -1;
	}

	return 0;
}

static int read_state(const struct options *o, struct replay_trace *trace)
{
	char detail[1024];
	int rc = replay_state_read(o->state, o->config, &o->period, trace, detail, sizeof(detail));

	if (rc == 0)
		return 0;
	fprintf(stderr, "baton: replay: %s\n", detail);
	return rc == -ERR_CONFIG      ? EXIT_BAD_TRACE
	       : rc == -ERR_NOT_FOUND ? EXIT_NO_INPUT
				      : err_exit_code(rc);
}

static int read_trace(const struct options *o, struct replay_trace *trace)
{
	char detail[512];
	bool standard = strcmp(o->file, "-") == 0;

	FILE *file = standard ? stdin : fopen(o->file, "re");
	if (!file) {
		fprintf(stderr, "baton: replay: %s: %s\n", o->file, strerror(errno));
		return EXIT_NO_INPUT;
	}

	int rc = replay_trace_read(file, standard ? "standard input" : o->file, trace, detail,
				   sizeof(detail));
	if (!standard)
		fclose(file);
	if (rc == 0)
		return 0;

	fprintf(stderr, "baton: replay: %s\n", detail);
	return rc == -ERR_BAD_FIELD ? EXIT_BAD_TRACE : err_exit_code(rc);
}

/* A progress line on the terminal; none if done within a second. */
struct progress {
	int64_t end_ms;
	struct timespec next; /* zero: not asked yet */
	bool shown;
};

static void show_progress(void *ctx, int64_t now_ms)
{
	struct progress *p = ctx;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	bool first = p->next.tv_sec == 0;
	if (!first && now.tv_sec < p->next.tv_sec)
		return;

	p->next.tv_sec = now.tv_sec + (first ? 2 : 1);
	if (first)
		return;

	p->shown = true;
	fprintf(stderr, "\rbaton: replay: %3d %% ",
		p->end_ms ? (int)(now_ms * 100 / p->end_ms) : 100);
}

static void re_enact(const struct options *o, const struct replay_trace *trace,
		     struct replay_result *result)
{
	struct progress progress = {.end_ms = trace->end_ms};

	replay_result_init(result, trace);
	if (o->predecessor)
		replay_predecessor(trace, result);
	else
		replay_baton(trace, result, isatty(STDERR_FILENO) ? show_progress : NULL,
			     &progress);

	if (progress.shown)
		fprintf(stderr, "\r\033[K");
}

/* False if any write to the file failed. */
static bool fclose_checked(FILE *file)
{
	bool ok = !ferror(file);
	return fclose(file) == 0 && ok;
}

static int draw_timeline(const struct options *o, const struct replay_trace *trace,
			 const struct replay_result *result, const struct replay_view *view)
{
	bool standard = strcmp(o->svg, "-") == 0;
	FILE *file = standard ? stdout : fopen(o->svg, "we");
	bool ok = file != NULL;

	if (ok)
		replay_print_svg(file, trace, result, view);
	if (file && !standard)
		ok = fclose_checked(file);
	if (!ok)
		fprintf(stderr, "baton: replay: %s: %s\n", o->svg, strerror(errno));
	return ok ? 0 : EXIT_CANNOT_WRITE;
}

/* The last part of the path. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

int replay_main(int argc, char **argv)
{
	struct options o;
	struct replay_trace trace;
	struct replay_result result;

	if (parse_options(argc, argv, &o) < 0)
		return EXIT_USAGE;

	if (o.help) {
		fputs(help_text, stdout);
		return 0;
	}

	int status = o.state ? read_state(&o, &trace) : read_trace(&o, &trace);
	if (status)
		return status;

	const char *no_colour = getenv("NO_COLOR");
	struct replay_view view = {
		.policy = o.predecessor ? "predecessor" : "baton",
		.name = base_name(o.file),
		.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour),
	};
	re_enact(&o, &trace, &result);
	if (o.svg)
		status = draw_timeline(&o, &trace, &result, &view);
	if (o.json)
		replay_print_json(stdout, &trace, &result, &view);
	else if (!o.svg || strcmp(o.svg, "-") != 0)
		replay_print_table(stdout, &trace, &result, &view);

	replay_result_finish(&result);
	replay_trace_finish(&trace);
	return status;
}

/* main: the simulator's command line. Forks workers, adds up what they counted, and on a failure
 * runs the seed once more to show its last lines. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "world.h"

enum { JOBS_MAX = 64 };

struct options {
	uint64_t first, count;
	struct world_options world;
	unsigned jobs;
	bool json, hashes;
};

/* Shared by the parent and its workers. */
struct board {
	_Atomic uint64_t next;
	_Atomic bool stop;
	struct {
		uint64_t seed; /* which one it runs */
		struct report report;
	} workers[JOBS_MAX];
};

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(71);
	}
	return memory;
}

static void work(struct board *board, unsigned job, const struct options *options)
{
	struct world *w = malloc(sizeof *w);
	if (!w)
		_exit(71);
	if (options->hashes) /* whole lines, for several processes write to one pipe */
		setvbuf(stdout, NULL, _IOLBF, 0);
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (options->world.mode == TRACE_HASH && null_fd >= 0)
		dup2(null_fd, STDERR_FILENO); /* the second run of a failure speaks */
	for (;;) {
		uint64_t at = atomic_fetch_add(&board->next, 1);
		if (at >= options->count || atomic_load(&board->stop))
			break;
		uint64_t seed = options->first + at;
		board->workers[job].seed = seed;
		world_run(w, seed, &options->world);
		report_add(&board->workers[job].report, seed, &w->tally);
		if (options->hashes)
			printf("%llu %016llx\n", (unsigned long long)seed,
			       (unsigned long long)w->tally.hash);
	}
	fflush(stdout);
	free(w);
	exit(0);
}

/* Same seed, same run: this time with its lines kept where the parent can read them. */
static void show_failure(uint64_t seed, struct world_options options)
{
	struct world *w = shared(sizeof *w);
	fprintf(stderr, "sim: seed %llu fails\n", (unsigned long long)seed);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		options.mode = TRACE_KEEP;
		world_run(w, seed, &options);
		fprintf(stderr, "sim: seed %llu passes when run again\n", (unsigned long long)seed);
		_exit(0);
	}
	int status;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	trace_dump(&w->trace);
	fprintf(stderr, "sim: again with: sim --seed %llu --minutes %lld --trace\n",
		(unsigned long long)seed, (long long)options.minutes);
}

/* Waits for all workers; the number of a failed one, or -1. */
static int wait_all(struct board *board, const pid_t *pids, unsigned jobs)
{
	int failed = -1, status;
	for (unsigned left = jobs; left > 0;) {
		pid_t pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return failed;
		for (unsigned job = 0; job < jobs; job++) {
			if (pids[job] != pid)
				continue;
			left--;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				continue;
			atomic_store(&board->stop, true);
			if (failed < 0 || board->workers[job].seed < board->workers[failed].seed)
				failed = (int)job;
		}
	}
	return failed;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int run(const struct options *options)
{
	struct board *board = shared(sizeof *board);
	pid_t pids[JOBS_MAX];
	int64_t begin_ms = now_ms();
	fflush(NULL);
	for (unsigned job = 0; job < options->jobs; job++) {
		/* A traced seed runs in this process, so that a debugger sees it. */
		pids[job] = options->world.mode == TRACE_ECHO ? 0 : fork();
		if (pids[job] == 0)
			work(board, job, options);
		if (pids[job] < 0) {
			perror("fork");
			return 71;
		}
	}
	int failed = wait_all(board, pids, options->jobs);
	struct report all = {0};
	for (unsigned job = 0; job < options->jobs; job++)
		report_merge(&all, &board->workers[job].report);
	if (options->hashes || options->world.mode == TRACE_ECHO)
		fflush(stdout);
	else
		report_print(&all, now_ms() - begin_ms, options->jobs, options->json);
	if (failed < 0)
		return 0;
	if (options->world.mode == TRACE_HASH)
		show_failure(board->workers[failed].seed, options->world);
	return 1;
}

static const char usage[] =
	"usage: sim [--seeds N] [--first SEED] [--seed SEED] [--minutes M] [--jobs J]\n"
	"           [--trace] [--hashes] [--json]\n"
	"Runs the core under simulated clients, faults and crashes; one simulated hour per seed.\n"
	"  --seeds N      how many seeds (100)\n"
	"  --first SEED   the first one (1)\n"
	"  --seed SEED    only this one\n"
	"  --minutes M    simulated minutes per seed (60)\n"
	"  --jobs J       processes (one per processor)\n"
	"  --only NAMES   these judges alone, with commas between; --with and --without\n"
	"                 turn on and off beside the usual ones\n"
	"  --trick NAME   calm worlds whose adversaries all play this one\n"
	"  --trace        print each line of the story; with --seed\n"
	"  --hashes       print each seed's trace hash instead of the report\n"
	"  --twin N       every N steps an imported copy of the core goes on in its place (100); "
	"0:\n"
	"                 never\n"
	"  --json         the report as one JSON object\n";

static uint32_t judges_of(const char *names)
{
	uint32_t mask = judge_mask(names);
	if (mask != 0)
		return mask;
	fprintf(stderr, "sim: %s: not all of these are judges:", names);
	for (int i = 0; i < JUDGE_COUNT; i++)
		fprintf(stderr, " %s", judge_name(i));
	fprintf(stderr, " all\n");
	exit(64);
}

static enum trick trick_of(const char *name)
{
	for (int i = 0; i < TRICK_COUNT; i++)
		if (strcmp(trick_name(i), name) == 0)
			return (enum trick)i;
	fprintf(stderr, "sim: no adversary is called %s\n", name);
	exit(64);
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option table[] = {{"seeds", required_argument, NULL, 'n'},
					      {"first", required_argument, NULL, 'f'},
					      {"seed", required_argument, NULL, 's'},
					      {"minutes", required_argument, NULL, 'm'},
					      {"jobs", required_argument, NULL, 'j'},
					      {"trace", no_argument, NULL, 't'},
					      {"hashes", no_argument, NULL, 'x'},
					      {"trick", required_argument, NULL, 'T'},
					      {"only", required_argument, NULL, 'o'},
					      {"with", required_argument, NULL, 'w'},
					      {"without", required_argument, NULL, 'W'},
					      {"twin", required_argument, NULL, 'i'},
					      {"json", no_argument, NULL, 'J'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	for (int c; (c = getopt_long(argc, argv, "h", table, NULL)) != -1;) {
		if (c == 'n')
			options->count = strtoull(optarg, NULL, 10);
		else if (c == 'f')
			options->first = strtoull(optarg, NULL, 10);
		else if (c == 's')
			options->first = strtoull(optarg, NULL, 10), options->count = 1;
		else if (c == 'm')
			options->world.minutes = strtoll(optarg, NULL, 10);
		else if (c == 'j')
			options->jobs = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			options->world.mode = TRACE_ECHO;
		else if (c == 'x')
			options->hashes = true;
		else if (c == 'T')
			options->world.trick = trick_of(optarg);
		else if (c == 'o')
			options->world.judges = judges_of(optarg);
		else if (c == 'w')
			options->world.judges |= judges_of(optarg);
		else if (c == 'W')
			options->world.judges &= ~judges_of(optarg);
		else if (c == 'i')
			options->world.twin_every = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'J')
			options->json = true;
		else {
			fputs(usage, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 64);
		}
	}
}

int main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct options options = {
		.first = 1,
		.count = 100,
		.world = {.minutes = 60, .judges = judge_defaults(), .twin_every = 100},
		.jobs = processors > 0 ? (unsigned)processors : 1};
	parse(argc, argv, &options);
	if (options.jobs > JOBS_MAX)
		options.jobs = JOBS_MAX;
	if (options.jobs == 0 || options.world.mode == TRACE_ECHO)
		options.jobs = 1;
	if (options.jobs > options.count)
		options.jobs = (unsigned)options.count;
	if (options.count == 0 || options.world.minutes < 1) {
		fputs(usage, stderr);
		return 64;
	}
	return run(&options);
}

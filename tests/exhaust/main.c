/* exhaust: every order of events in small worlds, on the real core. Usage: exhaust [--states N]
 * [--scenes A,B..] [--jobs N] [--depth N] [--no-bounds] [--no-going-on] [--no-import] [--progress]
 * [--list] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"
#include "world.h"

enum { SCENES_MAX = 32 };

struct options {
	struct explore_options explore;
	size_t states;
	const char *scenes; /* NULL: all */
	unsigned jobs;
};

static const char usage[] =
	"usage: exhaust [--states N] [--scenes A,B..] [--jobs N] [--depth N] [--no-bounds]\n"
	"               [--no-going-on] [--no-import] [--progress] [--list]\n";

static void list_scenes(void)
{
	for (size_t i = 0; i < scene_count; i++)
		printf("%-10s %s\n", scenes[i].name, scenes[i].what);
	exit(EXIT_SUCCESS);
}

static void parse(int argc, char **argv, struct options *ret_options)
{
	static const struct option longs[] = {
		{"states", required_argument, NULL, 's'}, {"scenes", required_argument, NULL, 'c'},
		{"jobs", required_argument, NULL, 'j'},   {"depth", required_argument, NULL, 'd'},
		{"no-bounds", no_argument, NULL, 'b'},    {"no-going-on", no_argument, NULL, 'g'},
		{"no-import", no_argument, NULL, 'i'},    {"progress", no_argument, NULL, 'p'},
		{"list", no_argument, NULL, 'l'},         {0}};
	int option;

	*ret_options = (struct options){.states = 100000, .jobs = 1};
	ret_options->explore.depth_max = 240;
	ret_options->explore.goes_on = ret_options->explore.imports = true;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (option) {
		case 's':
			ret_options->states = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			ret_options->scenes = optarg;
			break;
		case 'j':
			ret_options->jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			ret_options->explore.depth_max = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			judge_bounds = false;
			break;
		case 'g':
			ret_options->explore.goes_on = false;
			break;
		case 'i':
			ret_options->explore.imports = false;
			break;
		case 'p':
			ret_options->explore.progress = true;
			break;
		case 'l':
			list_scenes();
			break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
}

static bool is_chosen(const struct options *options, const struct scene *scene)
{
	size_t length = strlen(scene->name);
	const char *at = options->scenes;

	if (!at)
		return true;
	for (; (at = strstr(at, scene->name)); at += length)
		if ((at == options->scenes || at[-1] == ',') &&
		    (at[length] == '\0' || at[length] == ','))
			return true;
	return false;
}

static size_t states_of(const struct options *options, const struct scene *scene)
{
	size_t shares = 0;

	for (size_t i = 0; i < scene_count; i++)
		shares += is_chosen(options, &scenes[i]) ? scenes[i].share : 0;
	return options->states * scene->share / shares + 1;
}

static void run_one(const struct options *options, const struct scene *scene,
		    struct explored *ret_explored)
{
	struct explore_options explore_options = options->explore;

	explore_options.states_max = states_of(options, scene);
	explore(scene, &explore_options, ret_explored);
	printf("%-10s %9llu states, %10llu transitions, %10llu steps on, depth %3u%s, "
	       "worst wait %.2f of told, %.0f s%s\n",
	       scene->name, (unsigned long long)ret_explored->states,
	       (unsigned long long)ret_explored->transitions,
	       (unsigned long long)ret_explored->steps_on, ret_explored->depth,
	       ret_explored->whole ? " (all)" : "", ret_explored->worst_of_told,
	       ret_explored->seconds, ret_explored->failed ? ", FAILED" : "");
	fflush(stdout);
}

/* Each scene in a process of its own, for a world lies at a fixed address. */
static int run_all(const struct options *options, struct explored *results)
{
	unsigned running = 0;
	int status, failed = 0;

	for (size_t i = 0; i < scene_count; i++) {
		if (!is_chosen(options, &scenes[i]))
			continue;
		if (running == options->jobs && wait(&status) > 0) {
			running--;
			failed |= status != 0;
		}
		if (fork() == 0) {
			run_one(options, &scenes[i], &results[i]);
			_exit(results[i].failed);
		}
		running++;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}

int main(int argc, char **argv)
{
	struct options options;
	struct explored *results;
	uint64_t states = 0, transitions = 0;
	int failed;

	parse(argc, argv, &options);
	results = mmap(NULL, SCENES_MAX * sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED || scene_count > SCENES_MAX)
		abort();
	failed = run_all(&options, results);
	for (size_t i = 0; i < scene_count; i++) {
		states += results[i].states;
		transitions += results[i].transitions;
	}
	printf("exhaust: %llu states, %llu transitions%s\n", (unsigned long long)states,
	       (unsigned long long)transitions, failed ? ", FAILED" : ", no fault");
	return failed || states == 0;
}

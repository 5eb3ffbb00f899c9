/* explore: breadth first. A state is kept as the choice that led to it and the state before, five
 * bytes, and its hash, sixteen; it is made anew from its nearest ancestor that is still at hand,
 * which in breadth-first order is mostly its parent. */
#include "explore.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "arena.h"
#include "base/buf.h"
#include "core/export.h"
#include "core/import.h"
#include "core/state.h"
#include "going_on.h"
#include "set.h"
#include "world.h"

enum { DEPTH_MAX = 250, IMPORT_EVERY = 16 };

struct explorer {
	const struct scene *scene;
	struct set seen;
	uint32_t *parents; /* of each state; the first is its own */
	uint8_t *choices;
	size_t count, count_max;
	struct world *w;
	struct snapshot stack[DEPTH_MAX + 2]; /* the worlds on the path to the present one */
	uint32_t on_stack[DEPTH_MAX + 2];
	uint32_t stack_depth;
	struct explored *result;
};

static sigjmp_buf aborted;

static void on_abort(int signo)
{
	(void)signo;
	siglongjmp(aborted, 1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *pages(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

static void say_choice(const struct world *w, struct choice choice)
{
	if (choice.act < ACT_OF_CLIENT)
		trace_say(w, "%s", act_name(choice.act));
	else
		trace_say(w, "%s %s", w->scene->cast[choice.client].name, act_name(choice.act));
}

static uint32_t path_to(const struct explorer *x, uint32_t node, uint32_t *ret_path)
{
	uint32_t depth = 0;

	for (uint32_t at = node; at != 0; at = x->parents[at])
		depth++;
	for (uint32_t at = node, i = depth; i > 0; at = x->parents[at])
		ret_path[i--] = at;
	ret_path[0] = 0;
	return depth;
}

/* Brings the world to a state. */
static uint32_t go_to(struct explorer *x, uint32_t node)
{
	uint32_t path[DEPTH_MAX + 2], depth = path_to(x, node, path), same = 0;

	while (same < depth && same < x->stack_depth && path[same + 1] == x->on_stack[same + 1])
		same++;
	snapshot_bring_back(&x->stack[same]);
	for (uint32_t i = same + 1; i <= depth; i++) {
		world_apply(x->w, choice_unpack(x->choices[path[i]]));
		snapshot_take(&x->stack[i]);
		x->on_stack[i] = path[i];
	}
	x->stack_depth = depth;
	return depth;
}

/* The same path again, in words. */
static void tell_path(struct explorer *x, uint32_t node, const struct choice *last,
		      const struct going_path *going)
{
	uint32_t path[DEPTH_MAX + 2];
	const volatile uint32_t depth = path_to(x, node, path);

	fprintf(stderr, "exhaust: scene %s: %s\n", x->scene->name, judge_found());
	x->result->failed = true;
	judge_forget();
	snapshot_bring_back(&x->stack[0]);
	trace_on = true;
	if (sigsetjmp(aborted, 1)) {
		fprintf(stderr, "the core stops here\n");
		return;
	}
	for (uint32_t i = 1; i <= depth; i++) {
		say_choice(x->w, choice_unpack(x->choices[path[i]]));
		world_apply(x->w, choice_unpack(x->choices[path[i]]));
	}
	if (last) {
		say_choice(x->w, *last);
		world_apply(x->w, *last);
	}
	if (going)
		going_again(x->w, going);
	if (judge_found())
		trace_say(x->w, "%s", judge_found());
	trace_on = false;
}

static bool go_on(struct explorer *x, struct going_path *path)
{
	static struct snapshot here;

	snapshot_take(&here);
	for (enum going how = 0; how < GOING_COUNT; how++) {
		if (how > 0)
			snapshot_bring_back(&here);
		going_run(x->w, how, path);
		if (judge_found())
			return false;
	}
	return true;
}

/* A core made of the bytes of this one is the same, and does the same. */
static void check_import(struct explorer *x, uint32_t depth, struct choice choice)
{
	static struct buf bytes;
	struct hash128 here, there;
	const char *why = NULL;

	snapshot_bring_back(&x->stack[depth]);
	buf_clear(&bytes, SIZE_MAX);
	arena_close();
	core_export(x->w->core, &bytes);
	arena_open();
	here = canon_hash(x->w);
	x->w->core = core_import(buf_data(&bytes), bytes.length, 1, &why);
	if (!x->w->core) {
		judge_fail("what was exported cannot be imported: %s", why);
		return;
	}
	there = canon_hash(x->w);
	if (here.a != there.a || here.b != there.b)
		judge_fail("what was imported is not what was exported");
	world_apply(x->w, choice);
	here = canon_hash(x->w);
	snapshot_bring_back(&x->stack[depth]);
	world_apply(x->w, choice);
	there = canon_hash(x->w);
	if (here.a != there.a || here.b != there.b)
		judge_fail("what was imported does something else");
}

/* All that may happen in one state. */
static bool expand(struct explorer *x, uint32_t node, const struct explore_options *options)
{
	struct choice choices[CHOICES_MAX];
	struct going_path path = {.count = 0};
	volatile uint32_t i = 0;
	volatile bool going = false;
	uint32_t depth = go_to(x, node), count = world_choices(x->w, choices);

	if (sigsetjmp(aborted, 1)) {
		judge_fail("the core stopped");
		tell_path(x, node, &choices[i], going ? &path : NULL);
		return false;
	}
	for (i = 0; i < count; i++) {
		going = false;
		if (i > 0)
			snapshot_bring_back(&x->stack[depth]);
		world_apply(x->w, choices[i]);
		x->result->transitions++;
		if (!judge_found() && x->count < x->count_max &&
		    set_add(&x->seen, canon_hash(x->w))) {
			x->parents[x->count] = node;
			x->choices[x->count++] = choice_pack(choices[i]);
			going = options->goes_on;
			if (going)
				go_on(x, &path);
		}
		if (!judge_found())
			continue;
		tell_path(x, node, &choices[i], going ? &path : NULL);
		return false;
	}
	if (options->imports && node % IMPORT_EVERY == 0 && count > 0)
		check_import(x, depth, choices[node / IMPORT_EVERY % count]);
	if (judge_found())
		tell_path(x, node, NULL, NULL);
	return !x->result->failed;
}

static void begin(struct explorer *x)
{
	arena_init();
	arena_open();
	x->w = world_create(x->scene);
	arena_set_hole(x->w->core->lost, sizeof(x->w->core->lost));
	snapshot_take(&x->stack[0]);
	set_add(&x->seen, canon_hash(x->w));
	x->count = 1;
}

static void levels(struct explorer *x, const struct explore_options *options)
{
	size_t from = 0, to = 1;

	for (uint32_t depth = 0; depth < options->depth_max; depth++) {
		for (size_t node = from; node < to; node++)
			if (x->count >= x->count_max || !expand(x, (uint32_t)node, options))
				return;
		if (x->count >= x->count_max)
			return;
		x->result->depth = depth + 1;
		x->result->whole = x->count == to;
		if (options->progress)
			fprintf(stderr, "%s: depth %u, %zu states\n", x->scene->name, depth + 1,
				x->count);
		if (x->count == to)
			return;
		from = to;
		to = x->count;
	}
}

void explore(const struct scene *scene, const struct explore_options *options,
	     struct explored *ret_explored)
{
	static struct explorer x;
	double began = seconds();

	x = (struct explorer){.scene = scene, .result = ret_explored};
	*ret_explored = (struct explored){0};
	x.count_max = options->states_max;
	x.parents = pages(x.count_max * sizeof(*x.parents));
	x.choices = pages(x.count_max);
	set_init(&x.seen, x.count_max);
	going_init(options->goes_on ? x.count_max * 4 : 1);
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	signal(SIGFPE, on_abort);
	begin(&x);
	levels(&x, options);
	ret_explored->states = x.count;
	ret_explored->steps_on = going_steps();
	ret_explored->worst_of_told = judge_worst_of_told;
	ret_explored->seconds = seconds() - began;
}

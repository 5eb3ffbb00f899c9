/* replay_print: the figures of a replay by class, as a table and as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "base/memory.h"
#include "replay/replay_figures.h"
#include "replay/replay_private.h"
#include "replay/replay_result.h"

struct figures {
	size_t requests, granted, timeouts, pending, died, other, yields;
	int64_t p50_ms, p99_ms, max_ms; /* meaningless without requests */
};

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* The smallest value that at least `percent` per cent do not exceed. */
static int64_t nearest_rank(const int64_t *sorted, size_t count, size_t percent)
{
	size_t rank = (count * percent + 99) / 100;
	return sorted[rank - 1];
}

/* Of one class, or of all with LEASE_CLASS_COUNT. */
static struct figures figures_of(const struct replay_trace *trace,
				 const struct replay_result *result, int cls)
{
	struct figures f = {0};

	int64_t *waits = check_memory(malloc(trace->count * sizeof(*waits)));
	for (size_t i = 0; i < trace->count; i++) {
		const struct replay_request *q = &trace->requests[i];
		const struct replay_verdict *v = &result->verdicts[i];
		if (cls != LEASE_CLASS_COUNT && (int)q->cls != cls)
			continue;
		waits[f.requests++] = replay_wait_ms(trace, result, i);
		f.granted += v->granted;
		f.timeouts += v->end == ENDING_TIMEOUT;
		f.pending += v->end == ENDING_NONE && !v->granted;
		f.died += v->end == ENDING_DIED;
		f.other += v->end == ENDING_REVOKED || v->end == ENDING_DENIED;
		f.yields += v->yields;
	}

	if (f.requests) {
		qsort(waits, f.requests, sizeof(*waits), by_value);
		f.p50_ms = nearest_rank(waits, f.requests, 50);
		f.p99_ms = nearest_rank(waits, f.requests, 99);
		f.max_ms = waits[f.requests - 1];
	}

	free(waits);
	return f;
}

/* "4.2 s", "12 m 03 s", "10 h 45 m": as precise as it matters. */
static const char *duration_text(int64_t ms, char buf[32])
{
	int64_t s = (ms + 500) / 1000;
	if (ms < 100 * 1000)
		snprintf(buf, 32, "%.1f s", (double)ms / 1000);
	else if (s < 3600)
		snprintf(buf, 32, "%d m %02d s", (int)(s / 60), (int)(s % 60));
	else
		snprintf(buf, 32, "%d h %02d m", (int)(s / 3600), (int)(s % 3600 / 60));
	return buf;
}

static void print_row(FILE *out, const char *name, const struct figures *f, bool colour)
{
	char p50[32], p99[32], max[32];
	bool red = colour && f->timeouts;

	fprintf(out, "%-11s %9zu %9zu %s%9zu%s %9zu %7zu  ", name, f->requests, f->granted,
		red ? "\033[31m" : "", f->timeouts, red ? "\033[0m" : "", f->pending, f->yields);
	if (f->requests)
		fprintf(out, "%11s %11s %11s\n", duration_text(f->p50_ms, p50),
			duration_text(f->p99_ms, p99), duration_text(f->max_ms, max));
	else
		fprintf(out, "%11s %11s %11s\n", "-", "-", "-");
}

static const char *share_text(double share, char buf[32])
{
	if (share < 0)
		return "-";
	snprintf(buf, 32, "%.1f %%", share * 100);
	return buf;
}

static const char *ratio_text(double ratio, char buf[32])
{
	if (ratio < 0)
		return "-";
	snprintf(buf, 32, "%.2f", ratio);
	return buf;
}

static void print_pair(FILE *out, const char *name, const char *past, const char *now)
{
	fprintf(out, "%-32s %12s %12s\n", name, past, now);
}

/* Beside what was recorded, where that is known. */
static void print_figures(FILE *out, const struct replay_trace *trace,
			  const struct replay_result *result, const struct replay_view *view)
{
	const char *bold = view->colour ? "\033[1m" : "", *plain = view->colour ? "\033[0m" : "";
	struct replay_figures now, past;
	char a[32], b[32];
	bool known = trace->is_state;

	replay_figures(trace, result, &now);
	if (known)
		replay_figures_past(trace, &past);
	else
		past = now;

	fprintf(out, "\n%s%-32s %12s %12s%s\n", bold, "", known ? "RECORDED" : "", "REPLAYED",
		plain);
	snprintf(a, sizeof(a), "%zu", past.collisions);
	snprintf(b, sizeof(b), "%zu", now.collisions);
	print_pair(out, "collisions", known ? a : "", b);
	print_pair(out, "time in collision", known ? duration_text(past.overlap_ms, a) : "",
		   duration_text(now.overlap_ms, b));
	snprintf(a, sizeof(a), "%zu", past.switches);
	snprintf(b, sizeof(b), "%zu", now.switches);
	print_pair(out, "switches between clients", known ? a : "", b);
	print_pair(out, "idle", known ? share_text(past.idle_share, a) : "",
		   share_text(now.idle_share, b));
	print_pair(out, "fairness between users (Jain)", known ? ratio_text(past.jain, a) : "",
		   ratio_text(now.jain, b));
	print_pair(out, "worst wait / promised", known ? "-" : "", ratio_text(now.worst, b));
}

/* What the record does not tell is said, not guessed. */
static void print_gaps(FILE *out, const struct replay_gaps *gaps)
{
	if (gaps->rules_unknown)
		fputs("\nThe state does not say by which rules and GPUs it ran (an older broker "
		      "wrote it): the defaults, unless --config names others.\n",
		      out);
	if (gaps->older)
		fputs("\nThe history begins later than --from.\n", out);

	if (gaps->unknown_holds)
		fprintf(out,
			"\n%zu never held a GPU; for how long they would have is unknown: %d s "
			"each.\n",
			gaps->unknown_holds, REPLAY_HOLD_MS / 1000);
	if (gaps->earlier_turns)
		fprintf(out,
			"\n%zu had several turns; of the earlier ones the record has the length, "
			"not the times.\n",
			gaps->earlier_turns);
	if (gaps->inside)
		fprintf(out, "\n%zu ran inside other leases and are left out.\n", gaps->inside);
	if (gaps->running)
		fprintf(out, "\n%zu were not over yet.\n", gaps->running);
}

void replay_print_table(FILE *out, const struct replay_trace *trace,
			const struct replay_result *result, const struct replay_view *view)
{
	char length[32];
	const char *bold = view->colour ? "\033[1m" : "", *plain = view->colour ? "\033[0m" : "";
	struct figures all = figures_of(trace, result, LEASE_CLASS_COUNT);

	fprintf(out, "%s%s%s: %zu requests in %s, under the policy %s\n\n", bold,
		trace->title[0] ? trace->title : view->name, plain, trace->count,
		duration_text(trace->end_ms, length), view->policy);
	fprintf(out, "%s%-11s %9s %9s %9s %9s %7s  %11s %11s %11s%s\n", bold, "CLASS", "REQUESTS",
		"GRANTED", "TIMEOUTS", "PENDING", "YIELDS", "WAIT P50", "P99", "MAX", plain);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct figures f = figures_of(trace, result, cls);
		if (f.requests)
			print_row(out, lease_class_name(cls), &f, view->colour);
	}

	print_row(out, "all", &all, view->colour);
	print_figures(out, trace, result, view);
	if (all.died || all.other)
		fprintf(out, "\n%zu died holding; %zu denied or revoked.\n", all.died, all.other);
	if (trace->recorded[RECORDED_GRANTED] || trace->recorded[RECORDED_TIMEOUT])
		fprintf(out, "\nAs recorded: %zu granted, %zu timeouts, %zu pending.\n",
			trace->recorded[RECORDED_GRANTED], trace->recorded[RECORDED_TIMEOUT],
			trace->recorded[RECORDED_PENDING]);
	if (trace->is_state)
		print_gaps(out, &trace->gaps);
}

static json_t *json_seconds(int64_t ms)
{
	return json_real((double)ms / 1000);
}

static json_t *figures_json(const struct figures *f)
{
	json_t *object = json_object();

	json_object_set_new(object, "requests", json_integer((json_int_t)f->requests));
	json_object_set_new(object, "granted", json_integer((json_int_t)f->granted));
	json_object_set_new(object, "timeouts", json_integer((json_int_t)f->timeouts));
	json_object_set_new(object, "pending", json_integer((json_int_t)f->pending));
	json_object_set_new(object, "died", json_integer((json_int_t)f->died));
	json_object_set_new(object, "other", json_integer((json_int_t)f->other));
	json_object_set_new(object, "yields", json_integer((json_int_t)f->yields));
	json_t *wait = f->requests ? json_object() : json_null();
	if (f->requests) {
		json_object_set_new(wait, "p50", json_seconds(f->p50_ms));
		json_object_set_new(wait, "p99", json_seconds(f->p99_ms));
		json_object_set_new(wait, "max", json_seconds(f->max_ms));
	}

	json_object_set_new(object, "wait_s", wait);
	return object;
}

static json_t *number_or_null(double value)
{
	return value < 0 ? json_null() : json_real(value);
}

static void add_figures(json_t *object, const struct replay_figures *f)
{
	json_object_set_new(object, "collisions", json_integer((json_int_t)f->collisions));
	json_object_set_new(object, "overlap_s", json_seconds(f->overlap_ms));
	json_object_set_new(object, "switches", json_integer((json_int_t)f->switches));
	json_object_set_new(object, "idle_share", number_or_null(f->idle_share));
	json_object_set_new(object, "jain", number_or_null(f->jain));
}

static json_t *past_json(const struct replay_trace *trace)
{
	const struct replay_gaps *gaps = &trace->gaps;
	json_t *past = json_object();
	struct replay_figures f;

	replay_figures_past(trace, &f);
	add_figures(past, &f);
	json_object_set_new(past, "unknown_holds", json_integer((json_int_t)gaps->unknown_holds));
	json_object_set_new(past, "earlier_turns", json_integer((json_int_t)gaps->earlier_turns));
	json_object_set_new(past, "inside", json_integer((json_int_t)gaps->inside));
	json_object_set_new(past, "running", json_integer((json_int_t)gaps->running));
	json_object_set_new(past, "rules_unknown", json_boolean(gaps->rules_unknown));
	json_object_set_new(past, "begins_later", json_boolean(gaps->older));
	return past;
}

void replay_print_json(FILE *out, const struct replay_trace *trace,
		       const struct replay_result *result, const struct replay_view *view)
{
	struct figures all = figures_of(trace, result, LEASE_CLASS_COUNT);
	json_t *root = figures_json(&all), *classes = json_object(), *recorded = json_object();

	json_object_set_new(root, "policy", json_string(view->policy));
	json_object_set_new(root, "end_s", json_seconds(trace->end_ms));
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct figures f = figures_of(trace, result, cls);
		json_object_set_new(classes, lease_class_name(cls), figures_json(&f));
	}

	json_object_set_new(root, "classes", classes);
	static const char *const names[] = {NULL, "granted", "timeouts", "pending"};
	for (int i = RECORDED_GRANTED; i <= RECORDED_PENDING; i++)
		json_object_set_new(recorded, names[i],
				    json_integer((json_int_t)trace->recorded[i]));
	json_object_set_new(root, "recorded", recorded);
	struct replay_figures f;
	replay_figures(trace, result, &f);
	add_figures(root, &f);
	json_object_set_new(root, "worst_wait_by_bound", number_or_null(f.worst));
	if (trace->is_state)
		json_object_set_new(root, "past", past_json(trace));
	json_dumpf(root, out, JSON_REAL_PRECISION(12));
	fputc('\n', out);
	json_decref(root);
}

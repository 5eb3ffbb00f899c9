/* replay_trace: reads JSON lines, checks each field, and sorts by time. Errors name the line.
 * Unknown field names are errors too, since a typo would silently change the outcome. */
#include "replay/replay_trace.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/binding.h"
#include "wire/display_name.h"

enum {
	LINE_BYTES_MAX = 64 * 1024,
	REQUESTS_MAX = 1000000,
	TIMEOUT_MS = 120 * 1000, /* DESIGN.md section 12 */
};
static const double seconds_max = 1e8; /* three years */

/* The line that is read now, for messages. */
struct reader {
	struct replay_trace *trace;
	size_t capacity;
	const char *name;
	uint32_t line;
	char *detail;
	size_t detail_size;
	bool head_seen;
	int64_t end_ms; /* said by the first line; negative: not said */
};

static int refuse_line(struct reader *r, const char *field, const char *problem)
{
	snprintf(r->detail, r->detail_size, "%s:%u: %s%s%s", r->name, r->line, field,
		 *field ? " " : "", problem);
	return -ERR_BAD_FIELD;
}

/* Seconds as milliseconds; `ret_ms` stays as it is when the field is missing. */
static int take_seconds(struct reader *r, json_t *object, const char *field, int64_t *ret_ms)
{
	json_t *value = json_object_get(object, field);
	if (!value)
		return 0;
	double seconds = json_number_value(value);
	if (!json_is_number(value) || !(seconds >= 0 && seconds <= seconds_max))
		return refuse_line(r, field, "must be a number of seconds from 0 to 100000000");
	*ret_ms = (int64_t)(seconds * 1000 + 0.5);
	return 0;
}

struct field {
	const char *name;
	int64_t *ret_ms;
};

static int take_times(struct reader *r, json_t *object, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = take_seconds(r, object, fields[i].name, fields[i].ret_ms);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_choice(struct reader *r, json_t *object, const char *field,
		       const char *(*name_of)(int), int count, int *ret_choice)
{
	json_t *value = json_object_get(object, field);
	const char *text = json_string_value(value);

	if (!value)
		return 0;

	char known[128] = "must be one of";
	for (int i = 0; i < count; i++) {
		if (text && strcmp(text, name_of(i)) == 0) {
			*ret_choice = i;
			return 0;
		}
		size_t length = strlen(known);
		snprintf(known + length, sizeof(known) - length, " %s", name_of(i));
	}

	return refuse_line(r, field, known);
}

static const char *recorded_name(int recorded)
{
	static const char *const names[] = {"", "granted", "timeout", "pending"};
	return names[recorded];
}

static int take_class(struct reader *r, json_t *object, struct replay_request *q)
{
	json_t *priority = json_object_get(object, "priority");
	int cls = LEASE_NORMAL;

	int rc = take_choice(r, object, "class", lease_class_name, LEASE_CLASS_COUNT, &cls);
	if (rc)
		return rc;

	q->cls = (enum lease_class)cls;
	q->priority = lease_class_priority(q->cls);
	if (!priority)
		return 0;
	if (json_object_get(object, "class"))
		return refuse_line(r, "priority", "stands beside class; name one of them");

	json_int_t number = json_integer_value(priority);
	if (!json_is_integer(priority) || number < 0 || number > 1000)
		return refuse_line(r, "priority", "must be a whole number from 0 to 1000");

	q->priority = (int32_t)number;
	q->cls = lease_class_from_priority(number);
	return 0;
}

static int take_id(struct reader *r, json_t *object, char **ret_id)
{
	json_t *id = json_object_get(object, "id");
	if (!json_is_string(id))
		return refuse_line(r, "id", "must be there and be a text");

	const char *problem =
		display_name_problem(json_string_value(id), json_string_length(id), LIMIT_ID_BYTES);
	if (problem)
		return refuse_line(r, "id", problem);

	*ret_id = strdup(json_string_value(id));
	return *ret_id ? 0 : -ERR_NO_MEMORY;
}

static int take_vram(struct reader *r, json_t *object, const char *field, uint64_t *ret_bytes)
{
	json_t *value = json_object_get(object, field);
	json_int_t mb = json_integer_value(value);
	if (!value)
		return 0;
	if (!json_is_integer(value) || mb < 0 || mb > 100 * 1000 * 1000)
		return refuse_line(r, field, "must be a whole number of MiB from 0 to 100000000");
	*ret_bytes = (uint64_t)mb << 20;
	return 0;
}

/* What the predecessor's bridge recorded. A request granted and never released means that the
 * holder died; when is a guess. */
static int take_record(struct reader *r, json_t *object, struct replay_request *q, int64_t *last_ms)
{
	int recorded = RECORDED_NOTHING;
	int64_t granted_ms = -1, released_ms = -1, ended_ms = -1;

	int rc = take_choice(r, object, "outcome", recorded_name, RECORDED_PENDING + 1, &recorded);
	if (rc)
		return rc;

	rc = take_times(r, object,
			(const struct field[]){{"granted_s", &granted_ms},
					       {"released_s", &released_ms},
					       {"ended_s", &ended_ms}},
			3);
	if (rc)
		return rc;

	bool backwards = (granted_ms >= 0 && granted_ms < q->at_ms) ||
			 (released_ms >= 0 && released_ms < granted_ms) ||
			 (ended_ms >= 0 && ended_ms < q->at_ms);
	if (backwards || (released_ms >= 0 && granted_ms < 0))
		return refuse_line(r, "",
				   "granted_s, released_s and ended_s do not follow from at_s");
	q->recorded = (enum replay_recorded)recorded;
	if (released_ms >= 0)
		q->hold_ms = released_ms - granted_ms;
	else if (granted_ms >= 0)
		q->dies_ms = REPLAY_HOLD_MS;

	const int64_t times[] = {granted_ms, released_ms, ended_ms};
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		*last_ms = times[i] > *last_ms ? times[i] : *last_ms;
	return 0;
}

static int check_names(struct reader *r, json_t *object)
{
	static const char *const known[] = {"at_s",       "id",      "class",     "priority",
					    "hold_s",     "dies_s",  "timeout_s", "yield_s",
					    "vram_mb",    "binding", "outcome",   "granted_s",
					    "released_s", "ended_s", "note"};
	const char *name;
	json_t *value;
	json_object_foreach (object, name, value) {
		size_t i = 0;
		while (i < sizeof(known) / sizeof(*known) && strcmp(name, known[i]) != 0)
			i++;
		if (i == sizeof(known) / sizeof(*known))
			return refuse_line(r, "",
					   "has a field of unknown name; traces/README.md lists "
					   "those there are");
	}

	return 0;
}

static int take_request(struct reader *r, json_t *object, struct replay_request *q)
{
	int64_t last_ms = 0;
	int binding = BIND_TAB;
	*q = (struct replay_request){.at_ms = -1,
				     .timeout_ms = TIMEOUT_MS,
				     .hold_ms = REPLAY_HOLD_MS,
				     .dies_ms = -1,
				     .yield_ms = REPLAY_YIELD_MS,
				     .recorded_wait_ms = -1,
				     .need = {.slots = 1, .gpu_count = 1},
				     .line = r->line};

	int rc = check_names(r, object);
	if (rc)
		return rc;
	rc = take_seconds(r, object, "at_s", &q->at_ms);
	if (rc)
		return rc;
	if (q->at_ms < 0)
		return refuse_line(r, "at_s", "is missing");

	rc = take_record(r, object, q, &last_ms);
	if (rc)
		return rc;
	rc = take_class(r, object, q);
	if (rc)
		return rc;
	rc = take_times(r, object,
			(const struct field[]){{"hold_s", &q->hold_ms},
					       {"dies_s", &q->dies_ms},
					       {"timeout_s", &q->timeout_ms},
					       {"yield_s", &q->yield_ms}},
			4);
	if (rc)
		return rc;
	rc = take_vram(r, object, "vram_mb", &q->need.vram_bytes);
	if (rc)
		return rc;
	rc = take_choice(r, object, "binding", binding_name, BIND_HTTP + 1, &binding);
	if (rc)
		return rc;

	if (q->dies_ms >= 0 && json_object_get(object, "hold_s") && q->dies_ms > q->hold_ms)
		return refuse_line(r, "dies_s", "is later than hold_s, so it would never happen");
	rc = take_id(r, object, &q->id);
	if (rc)
		return rc;

	q->binding = (enum binding)binding;
	q->preemptible = binding_of(q->binding)->ears; /* else a yield could not reach it */
	r->trace->recorded[q->recorded]++;
	last_ms = q->at_ms > last_ms ? q->at_ms : last_ms;
	if (last_ms > r->trace->end_ms)
		r->trace->end_ms = last_ms;
	return 0;
}

static int take_gpu(struct reader *r, json_t *object)
{
	struct core_config *config = &r->trace->config;
	const char *name = json_string_value(json_object_get(object, "name"));
	json_t *slots = json_object_get(object, "slots");
	uint64_t vram_bytes = 0;

	int rc = take_vram(r, object, "vram_mb", &vram_bytes);
	if (rc)
		return rc;
	if (config->gpu_count == LIMIT_GPUS)
		return refuse_line(r, "gpus", "are too many");
	if (!name || display_name_problem(name, strlen(name), LIMIT_GPU_NAME_BYTES))
		return refuse_line(r, "gpus", "need a name each");
	if (slots && (!json_is_integer(slots) || json_integer_value(slots) < 1 ||
		      json_integer_value(slots) > 1000))
		return refuse_line(r, "slots", "must be a whole number from 1 to 1000");

	struct gpu_config *gpu = &config->gpus[config->gpu_count++];
	*gpu = (struct gpu_config){
		.vram_bytes_total = vram_bytes,
		.vram_known = vram_bytes > 0,
		.slots = slots ? (uint32_t)json_integer_value(slots) : 1,
	};
	snprintf(gpu->name, sizeof(gpu->name), "%s", name);
	return 0;
}

/* The first line may give a title, the end of the trace and the GPUs; other fields are ignored. */
static int take_head(struct reader *r, json_t *object)
{
	json_t *title = json_object_get(object, "title");
	json_t *gpus = json_object_get(object, "gpus");

	if (r->head_seen || r->trace->count)
		return refuse_line(r, "about", "belongs into the first line");

	r->head_seen = true;
	if (title && (!json_is_string(title) ||
		      display_name_problem(json_string_value(title), json_string_length(title),
					   sizeof(r->trace->title) - 1)))
		return refuse_line(r, "title", "must be a short text");

	snprintf(r->trace->title, sizeof(r->trace->title), "%s",
		 title ? json_string_value(title) : "");
	int rc = take_seconds(r, object, "end_s", &r->end_ms);
	if (rc || !gpus)
		return rc;
	if (!json_is_array(gpus) || json_array_size(gpus) == 0)
		return refuse_line(r, "gpus", "must be a list of at least one");

	r->trace->config.gpu_count = 0;
	size_t i;
	json_t *gpu;
	json_array_foreach (gpus, i, gpu) {
		rc = json_is_object(gpu) ? take_gpu(r, gpu) : refuse_line(r, "gpus", "are objects");
		if (rc)
			return rc;
	}
	return 0;
}

static int take_object(struct reader *r, json_t *object)
{
	struct replay_trace *trace = r->trace;

	if (!json_is_object(object))
		return refuse_line(r, "", "is not a JSON object");
	if (json_object_get(object, "about"))
		return take_head(r, object);
	if (trace->count == REQUESTS_MAX)
		return refuse_line(r, "", "is one request too many; a million is the most");

	if (trace->count == r->capacity) {
		size_t capacity = r->capacity ? r->capacity * 2 : 256;
		void *v = realloc(trace->requests, capacity * sizeof(*trace->requests));
		if (!v)
			return -ERR_NO_MEMORY;
		trace->requests = v;
		r->capacity = capacity;
	}

	int rc = take_request(r, object, &trace->requests[trace->count]);
	trace->count += rc == 0;
	return rc;
}

static int take_line(struct reader *r, const char *line, size_t length)
{
	if (length && line[length - 1] == '\n')
		length--;
	if (strspn(line, " \t\r\n") >= length)
		return 0;
	if (length > LINE_BYTES_MAX)
		return refuse_line(r, "", "is longer than 64 KiB");

	json_error_t error;
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (!object) {
		char problem[JSON_ERROR_TEXT_LENGTH + 32];
		snprintf(problem, sizeof(problem), "column %d: %s", error.column, error.text);
		return refuse_line(r, "", problem);
	}

	int rc = take_object(r, object);
	json_decref(object);
	return rc;
}

static int by_time(const void *a, const void *b)
{
	const struct replay_request *x = a, *y = b;
	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->line < y->line ? -1 : 1;
}

static int read_lines(struct reader *r, FILE *file)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	ssize_t length;

	errno = 0;
	while ((length = getline(&line, &size, file)) >= 0) {
		r->line++;
		int rc = take_line(r, line, (size_t)length);
		if (rc)
			return rc;
	}

	if (ferror(file)) {
		snprintf(r->detail, r->detail_size, "%s: %s", r->name, strerror(errno));
		return -ERR_IO;
	}

	return 0;
}

void replay_trace_sort(struct replay_trace *trace)
{
	qsort(trace->requests, trace->count, sizeof(*trace->requests), by_time);
}

int replay_trace_read(FILE *file, const char *name, struct replay_trace *ret_trace, char *detail,
		      size_t detail_size)
{
	struct replay_trace trace;

	memset(&trace, 0, sizeof(trace));
	core_config_defaults(&trace.config);
	struct reader r = {.trace = &trace,
			   .name = name,
			   .detail = detail,
			   .detail_size = detail_size,
			   .end_ms = -1};
	snprintf(detail, detail_size, "%s: out of memory", name);
	int rc = read_lines(&r, file);
	if (!rc && !trace.count) {
		r.line = r.line ? r.line : 1;
		rc = refuse_line(&r, "", "there is no request in the trace");
	}

	if (!rc && r.end_ms >= 0) {
		r.line = 1;
		if (r.end_ms < trace.end_ms)
			rc = refuse_line(&r, "end_s", "is earlier than what the trace tells");
		trace.end_ms = r.end_ms;
	}

	if (rc) {
		replay_trace_finish(&trace);
		return rc;
	}

	replay_trace_sort(&trace);
	*ret_trace = trace;
	return 0;
}

void replay_trace_finish(struct replay_trace *trace)
{
	for (size_t i = 0; i < trace->count; i++) {
		free(trace->requests[i].id);
		free(trace->requests[i].principal);
	}
	free(trace->requests);
	free(trace->holds);
	*trace = (struct replay_trace){0};
}

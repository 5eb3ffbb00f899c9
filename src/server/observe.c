/* observe: the two rings. Renders nothing and sends nothing: readers come and look, by id. Called
 * by the log (each line) and by whoever delivers traces. */
#include "server/observe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"

enum { ROW_BYTES_MIN = 128 };

/* Rows keep their memory, so a full ring allocates nothing. */
static bool row_fits(struct observed_line *row, size_t size)
{
	if (row->capacity >= size)
		return true;
	size_t capacity = size < ROW_BYTES_MIN ? ROW_BYTES_MIN : size;
	char *grown = realloc(row->text, capacity);
	if (!grown)
		return false;
	row->text = grown;
	row->capacity = capacity;
	return true;
}

static void keep_line(void *ctx, const struct log_line *line)
{
	struct observers *o = ctx;
	struct observed_line *row = &o->lines[o->line_next % LIMIT_LOG_LINES];
	if (!row_fits(row, line->length + 1))
		return; /* the line went to standard error */
	memcpy(row->text, line->text, line->length + 1);
	row->id = o->line_next;
	row->level = line->level;
	row->at = line->at;
	o->line_next++;
	if (o->line_next - o->line_oldest > LIMIT_LOG_LINES)
		o->line_oldest = o->line_next - LIMIT_LOG_LINES;
	if (o->on_line && !o->telling) {
		o->telling = true;
		o->on_line(o->ctx, row);
		o->telling = false;
	}
}

void observe_init(struct observers *observers, enum log_level level, uint64_t epoch)
{
	*observers = (struct observers){.line_next = 1, .line_oldest = 1};
	observers->lines = calloc(LIMIT_LOG_LINES, sizeof *observers->lines);
	observers->changes = calloc(LIMIT_EVENT_RING, sizeof *observers->changes);
	if (!observers->lines || !observers->changes)
		abort();
	observers->change_first = observers->change_next = epoch * OBSERVE_EPOCH + 1;
	log_init(&observers->log, level, STDERR_FILENO, loop_wall_now);
	log_set_sink(&observers->log, keep_line, observers);
	log_gather(&observers->log, observers->gathered, sizeof observers->gathered);
}

void observe_on_line(struct observers *observers,
		     void (*on_line)(void *ctx, const struct observed_line *line), void *ctx)
{
	observers->on_line = on_line;
	observers->ctx = ctx;
}

void observe_finish(struct observers *observers)
{
	log_flush(&observers->log);
	for (size_t i = 0; observers->lines && i < LIMIT_LOG_LINES; i++)
		free(observers->lines[i].text);
	free(observers->lines);
	free(observers->changes);
	observers->lines = NULL;
	observers->changes = NULL;
}

struct mono_ms observe_flush(struct observers *observers, struct mono_ms now)
{
	struct mono_ms due = mono_after(observers->flushed, OBSERVE_FLUSH_MS);
	if (observers->log.gathered_length == 0)
		return MONO_NEVER;
	if (!mono_due(due, now))
		return due;
	log_flush(&observers->log);
	observers->flushed = now;
	return MONO_NEVER;
}

void observe_change(struct observers *observers, const struct trace_effect *trace,
		    struct wall_ms at)
{
	struct observed_change *row =
		&observers->changes[observers->change_next % LIMIT_EVENT_RING];
	row->id = observers->change_next++;
	row->at = at;
	row->trace = *trace;
}

uint64_t observe_change_oldest(const struct observers *observers)
{
	uint64_t count = observers->change_next - observers->change_first;
	return count > LIMIT_EVENT_RING ? observers->change_next - LIMIT_EVENT_RING
					: observers->change_first;
}

const struct observed_change *observe_change_at(const struct observers *observers, uint64_t id)
{
	if (id < observe_change_oldest(observers) || id >= observers->change_next)
		return NULL;
	const struct observed_change *row = &observers->changes[id % LIMIT_EVENT_RING];
	assert(row->id == id);
	return row;
}

const struct observed_line *observe_line_at(const struct observers *observers, uint64_t id)
{
	if (id < observers->line_oldest || id >= observers->line_next)
		return NULL;
	const struct observed_line *row = &observers->lines[id % LIMIT_LOG_LINES];
	return row->id == id ? row : NULL;
}

void observe_clear_lines(struct observers *observers)
{
	observers->line_oldest = observers->line_next;
}

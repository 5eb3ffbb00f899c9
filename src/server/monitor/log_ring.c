/* log_ring: see log_ring.h. Renders nothing and sends nothing: readers come and look, by id. */
#include "server/monitor/log_ring.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/loop.h"

enum { ROW_BYTES_MIN = 128 };

/* Rows keep their memory, so a full ring allocates nothing. */
static bool row_fits(struct log_ring_line *row, size_t size)
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
	struct log_ring *ring = ctx;
	struct log_ring_line *row = &ring->lines[ring->next % LIMIT_LOG_LINES];
	if (!row_fits(row, line->length + 1))
		return; /* the line went to standard error */

	memcpy(row->text, line->text, line->length + 1);
	row->id = ring->next;
	row->level = line->level;
	row->at = line->at;
	ring->next++;
	if (ring->next - ring->oldest > LIMIT_LOG_LINES)
		ring->oldest = ring->next - LIMIT_LOG_LINES;

	if (ring->on_line && !ring->telling) {
		ring->telling = true;
		ring->on_line(ring->ctx, row);
		ring->telling = false;
	}
}

void log_ring_init(struct log_ring *ring, enum log_level level)
{
	*ring = (struct log_ring){.next = 1, .oldest = 1};
	ring->lines = calloc(LIMIT_LOG_LINES, sizeof(*ring->lines));
	if (!ring->lines)
		abort();

	log_init(&ring->log, level, STDERR_FILENO, loop_wall_now);
	log_set_sink(&ring->log, keep_line, ring);
	log_gather(&ring->log, ring->gathered, sizeof(ring->gathered));
}

void log_ring_on_line(struct log_ring *ring,
		      void (*on_line)(void *ctx, const struct log_ring_line *line), void *ctx)
{
	ring->on_line = on_line;
	ring->ctx = ctx;
}

void log_ring_finish(struct log_ring *ring)
{
	log_flush(&ring->log);
	for (size_t i = 0; ring->lines && i < LIMIT_LOG_LINES; i++)
		free(ring->lines[i].text);
	free(ring->lines);
	ring->lines = NULL;
}

struct mono_ms log_ring_flush(struct log_ring *ring, struct mono_ms now)
{
	struct mono_ms due = mono_after(ring->flushed, LOG_RING_FLUSH_MS);
	if (ring->log.gathered_length == 0)
		return MONO_NEVER;
	if (!mono_due(due, now))
		return due;

	log_flush(&ring->log);
	ring->flushed = now;
	return MONO_NEVER;
}

const struct log_ring_line *log_ring_at(const struct log_ring *ring, uint64_t id)
{
	if (id < ring->oldest || id >= ring->next)
		return NULL;
	const struct log_ring_line *row = &ring->lines[id % LIMIT_LOG_LINES];
	return row->id == id ? row : NULL;
}

void log_ring_clear(struct log_ring *ring)
{
	ring->oldest = ring->next;
}

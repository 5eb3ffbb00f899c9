/* buf: see buf.h. Knows no limits; its callers do. */
#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { BUF_BYTES_MIN = 256 };

void buf_finish(struct buf *buf)
{
	free(buf->bytes);
	*buf = (struct buf){0};
}

/* What was consumed at the front is reused before memory is asked for: a connection that is read
 * and parsed in step never grows. */
static void move_to_front(struct buf *buf)
{
	if (!buf->start)
		return;
	memmove(buf->bytes, buf->bytes + buf->start, buf->length);
	buf->start = 0;
}

int buf_reserve(struct buf *buf, size_t extra, char **ret_tail)
{
	size_t need;

	if (__builtin_add_overflow(buf->length, extra, &need) || need >= SIZE_MAX / 4)
		return -ERR_NO_MEMORY;

	need += 1; /* the NUL */
	if (buf->start + need > buf->capacity && buf->start >= buf->length)
		move_to_front(buf); /* moves no more than was consumed since the last time */

	if (buf->start + need > buf->capacity) {
		size_t capacity = buf->capacity ? buf->capacity : BUF_BYTES_MIN;
		while (capacity < need)
			capacity *= 2;

		char *bytes = malloc(capacity);
		if (!bytes)
			return -ERR_NO_MEMORY;
		if (buf->length)
			memcpy(bytes, buf_data(buf), buf->length);
		free(buf->bytes);
		*buf = (struct buf){.bytes = bytes, .length = buf->length, .capacity = capacity};
	}

	if (ret_tail)
		*ret_tail = buf_data(buf) + buf->length;
	return 0;
}

void buf_extend(struct buf *buf, size_t written)
{
	buf->length += written;
	assert(buf->start + buf->length < buf->capacity);
}

int buf_append(struct buf *buf, const void *bytes, size_t length)
{
	char *tail;
	int rc = buf_reserve(buf, length, &tail);

	if (rc)
		return rc;

	if (length)
		memcpy(tail, bytes, length);
	buf->length += length;
	return 0;
}

int buf_append_text(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);

	char *tail;
	int rc = length < 0 ? -ERR_INTERNAL : buf_reserve(buf, (size_t)length, &tail);

	if (!rc) {
		(void)vsnprintf(tail, (size_t)length + 1, format, again);
		buf->length += (size_t)length;
	}

	va_end(again);
	return rc;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int rc = buf_vprintf(buf, format, args);

	va_end(args);
	return rc;
}

void buf_consume(struct buf *buf, size_t length)
{
	assert(length <= buf->length);
	buf->length -= length;
	buf->start = buf->length ? buf->start + length : 0;
}

void buf_clear(struct buf *buf, size_t keep)
{
	buf->start = buf->length = 0;
	if (buf->capacity > keep)
		buf_finish(buf);
}

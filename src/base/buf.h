/* buf: bytes in one piece that grow at the end and are consumed at the front. All zero is an empty
 * buffer; it owns its memory until buf_finish. Out of memory ends in -ERR_NO_MEMORY, with the
 * buffer as it was. What it may grow to is the caller's limit. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *bytes; /* allocation; content begins at bytes + start */
	size_t start, length, capacity;
};

/* Content. Not NUL-terminated, and valid until the next call that grows or consumes. */
static inline char *buf_data(const struct buf *buf)
{
	return buf->bytes + buf->start;
}

void buf_finish(struct buf *buf); /* frees; the buffer is empty and usable again */
/* Room for `extra` more bytes and a NUL behind them; ret_tail (may be NULL) points there. */
int buf_reserve(struct buf *buf, size_t extra, char **ret_tail);
void buf_extend(struct buf *buf, size_t written); /* after writing into what was reserved */
int buf_append(struct buf *buf, const void *bytes, size_t length);
int buf_append_text(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
void buf_consume(struct buf *buf, size_t length); /* from the front */
/* Forgets the content; memory past `keep` bytes is given back. */
void buf_clear(struct buf *buf, size_t keep);

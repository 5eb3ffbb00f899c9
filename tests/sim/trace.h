/* trace: what happened, as one 64-bit number over all effects in order, and, when asked for, as
 * lines of text of which the last ones are kept. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACE_LINES = 80, TRACE_LINE_BYTES = 240 };

enum trace_mode {
	TRACE_HASH, /* no text: the fast way */
	TRACE_KEEP, /* keep the last lines, for trace_dump */
	TRACE_ECHO, /* also print each line */
};

struct trace {
	uint64_t hash;
	enum trace_mode mode;
	int64_t t_ms; /* printed at the head of each line */
	uint64_t line_count;
	char lines[TRACE_LINES][TRACE_LINE_BYTES];
};

void trace_init(struct trace *trace, enum trace_mode mode);
void trace_number(struct trace *trace, uint64_t number);
void trace_bytes(struct trace *trace, const void *bytes, size_t length);
void trace_line(struct trace *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last lines, to stderr. */
void trace_dump(const struct trace *trace);

/* trace: hashing of effects and keeping of lines. It decides nothing. */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void trace_init(struct trace *trace, enum trace_mode mode)
{
	memset(trace, 0, sizeof *trace);
	trace->hash = UINT64_C(0xcbf29ce484222325);
	trace->mode = mode;
	if (mode == TRACE_ECHO) /* an assert must not cut the story short */
		setvbuf(stdout, NULL, _IOLBF, 0);
}

void trace_number(struct trace *trace, uint64_t number)
{
	uint64_t h = (trace->hash ^ number) * UINT64_C(0x9fb21c651e98df25);
	trace->hash = h ^ (h >> 29);
}

void trace_bytes(struct trace *trace, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	trace_number(trace, length);
	for (; length >= 8; length -= 8, p += 8) {
		uint64_t number = 0; /* little-endian on every machine */
		for (int i = 7; i >= 0; i--)
			number = number << 8 | p[i];
		trace_number(trace, number);
	}
	for (; length > 0; length--)
		trace_number(trace, *p++);
}

void trace_line(struct trace *trace, const char *format, ...)
{
	if (trace->mode == TRACE_HASH)
		return;
	char *line = trace->lines[trace->line_count++ % TRACE_LINES];
	int used = snprintf(line, TRACE_LINE_BYTES, "%6lld.%03lld ",
			    (long long)(trace->t_ms / 1000), (long long)(trace->t_ms % 1000));
	va_list args;
	va_start(args, format);
	vsnprintf(line + used, (size_t)(TRACE_LINE_BYTES - used), format, args);
	va_end(args);
	if (trace->mode == TRACE_ECHO)
		puts(line);
}

void trace_dump(const struct trace *trace)
{
	uint64_t first = trace->line_count > TRACE_LINES ? trace->line_count - TRACE_LINES : 0;
	for (uint64_t i = first; i < trace->line_count; i++)
		fprintf(stderr, "%s\n", trace->lines[i % TRACE_LINES]);
}

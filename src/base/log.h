/* log: one structured line per event: time, level, words, then key=value with escaped values, so
 * that no client can forge a line (CASES.md C39). Goes to a descriptor (standard error) and to one
 * sink (the ring behind /logs). Never give it a token or a prompt. Says nothing when the
 * descriptor would block: a stuck terminal must not stop the loop; what was lost is counted. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };

enum { LOG_LINE_BYTES = 4096 }; /* with newline; a longer line is cut. No more than PIPE_BUF. */

struct log_line {
	enum log_level level;
	struct wall_ms at;
	const char *text; /* without time, level, colour and newline; NUL-terminated; borrowed */
	size_t length;
};

struct log {
	enum log_level level; /* lines above it are not written */
	int fd;               /* borrowed; -1: none */
	bool colour;
	struct wall_ms (*now)(void);
	void (*sink)(void *ctx, const struct log_line *line);
	void *sink_ctx;
	uint64_t lost;  /* lines that the descriptor did not take since the last it took */
	char *gathered; /* log_gather; NULL: each line is written at once */
	size_t gathered_length, gathered_size;
	uint64_t gathered_lost; /* what the gathered lines say about lost ones */
	int64_t second;         /* whose date text is in `date` */
	char date[32];
};

/* One key=value; made by the functions below. */
struct log_field {
	const char *key;
	const char *text; /* NULL: the number */
	size_t length;
	int64_t number;
};

/* Colour when fd is a terminal and NO_COLOR is unset or empty. */
void log_init(struct log *log, enum log_level level, int fd, struct wall_ms (*now)(void));
void log_set_sink(struct log *log, void (*sink)(void *ctx, const struct log_line *line), void *ctx);
/* From now on lines are kept in `buffer` (borrowed; at least LOG_LINE_BYTES) until log_flush, or
 * until it is full: one write for all lines of a loop iteration. Errors are flushed at once. */
void log_gather(struct log *log, char *buffer, size_t size);
void log_flush(struct log *log);
const char *log_level_name(enum log_level level);
bool log_level_from_name(const char *name, enum log_level *ret_level);

/* `log` may be NULL. `text` is a string constant: what happened, in words. */
void log_write(struct log *log, enum log_level level, const char *text,
	       const struct log_field *fields, size_t field_count);
/* log_event(log, LOG_INFO, "granted", log_str("client", name), log_int("fence", fence)) */
#define log_event(log, level, text, ...)                                                           \
	log_write(log, level, text, (const struct log_field[]){__VA_ARGS__},                       \
		  sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

struct log_field log_str(const char *key, const char *value); /* NULL reads as "" */
struct log_field log_bytes(const char *key, const char *value, size_t length);
struct log_field log_int(const char *key, int64_t value);

/* Appends a value to `out` (NUL-terminated, cut at the end of a whole escape) as it stands in a log
 * line: bare when it is plain, else in quotes with escapes. Returns the bytes written. */
size_t log_escape(char *out, size_t out_size, const char *value, size_t length);

/* log: see log.h. Formats into a fixed buffer on the stack and writes the line with one call, or
 * all lines of a loop iteration when they are gathered. The server's ring is the sink. The edges
 * log, once per event. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name, *colour;
} levels[LOG_LEVEL_COUNT] = {
	[LOG_ERROR] = {"error", "\x1b[31m"},
	[LOG_WARN] = {"warn", "\x1b[33m"},
	[LOG_INFO] = {"info", "\x1b[36m"},
	[LOG_DEBUG] = {"debug", "\x1b[2m"},
};

void log_init(struct log *log, enum log_level level, int fd, struct wall_ms (*now)(void))
{
	const char *no_color = getenv("NO_COLOR");

	*log = (struct log){.level = level, .fd = fd, .now = now};
	log->colour = fd >= 0 && isatty(fd) && (!no_color || !*no_color);
}

void log_set_sink(struct log *log, void (*sink)(void *ctx, const struct log_line *line), void *ctx)
{
	log->sink = sink;
	log->sink_ctx = ctx;
}

const char *log_level_name(enum log_level level)
{
	return level < LOG_LEVEL_COUNT ? levels[level].name : "unknown";
}

bool log_level_from_name(const char *name, enum log_level *ret_level)
{
	for (enum log_level level = LOG_ERROR; level < LOG_LEVEL_COUNT; level++) {
		if (strcmp(name, levels[level].name) == 0) {
			*ret_level = level;
			return true;
		}
	}
	return false;
}

struct log_field log_str(const char *key, const char *value)
{
	return log_bytes(key, value ? value : "", value ? strlen(value) : 0);
}

struct log_field log_bytes(const char *key, const char *value, size_t length)
{
	return (struct log_field){.key = key, .text = value ? value : "", .length = length};
}

struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){.key = key, .number = value};
}

/* Everything outside printable ASCII is escaped byte by byte: terminals obey control bytes, and
 * bidi marks and broken UTF-8 hide what was said (C16). */
static size_t escape_byte(char out[5], unsigned char byte)
{
	if (byte == '"' || byte == '\\') {
		out[0] = '\\';
		out[1] = (char)byte;
		return 2;
	}

	if (byte >= 0x20 && byte < 0x7f) {
		out[0] = (char)byte;
		return 1;
	}

	const char *known = "\nn\rr\tt";
	for (const char *pair = known; *pair; pair += 2) {
		if (byte == (unsigned char)pair[0]) {
			out[0] = '\\';
			out[1] = pair[1];
			return 2;
		}
	}

	(void)snprintf(out, 5, "\\x%02x", byte);
	return 4;
}

static bool is_plain(const char *value, size_t length)
{
	if (length == 0)
		return false;

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)value[i];
		if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=')
			return false;
	}
	return true;
}

size_t log_escape(char *out, size_t out_size, const char *value, size_t length)
{
	size_t at = 0;

	if (out_size < 3) {
		if (out_size)
			out[0] = '\0';
		return 0;
	}

	bool plain = is_plain(value, length);
	size_t room = out_size - 1 - (plain ? 0 : 1); /* NUL, closing quote */

	if (!plain)
		out[at++] = '"';

	for (size_t i = 0; i < length; i++) {
		char escaped[5];
		size_t n = escape_byte(escaped, (unsigned char)value[i]);
		if (at + n > room)
			break;
		memcpy(out + at, escaped, n);
		at += n;
	}

	if (!plain)
		out[at++] = '"';
	out[at] = '\0';
	return at;
}

struct line {
	char bytes[LOG_LINE_BYTES];
	size_t length;
};

static void line_add(struct line *line, const char *text)
{
	size_t length = strlen(text);
	size_t room = sizeof(line->bytes) - 2 - line->length; /* newline, NUL */

	if (length > room)
		length = room;

	memcpy(line->bytes + line->length, text, length);
	line->length += length;
}

static void line_add_field(struct line *line, const struct log_field *field)
{
	line_add(line, " ");
	line_add(line, field->key);
	line_add(line, "=");

	if (!field->text) {
		char digits[24];
		(void)snprintf(digits, sizeof(digits), "%lld", (long long)field->number);
		line_add(line, digits);
		return;
	}

	size_t room = sizeof(line->bytes) - 1 - line->length;
	line->length += log_escape(line->bytes + line->length, room, field->text, field->length);
}

/* The date is formatted once a second: a busy broker writes thousands of lines in one. */
static void line_add_time(struct line *line, struct log *log, struct wall_ms at)
{
	int64_t second = at.v / 1000;
	int ms = (int)(at.v % 1000);

	if (!log->date[0] || log->second != second) {
		time_t seconds = (time_t)second;
		struct tm parts;
		if (!gmtime_r(&seconds, &parts) ||
		    !strftime(log->date, sizeof(log->date), "%Y-%m-%dT%H:%M:%S.", &parts))
			return;
		log->second = second;
	}

	const char rest[] = {(char)('0' + ms / 100),
			     (char)('0' + ms / 10 % 10),
			     (char)('0' + ms % 10),
			     'Z',
			     ' ',
			     '\0'};

	line_add(line, log->date);
	line_add(line, rest);
}

/* A full pipe or a stopped terminal is not waited for. */
static bool write_bytes(int fd, const char *bytes, size_t length)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};

	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
		return false;

	ssize_t n;
	do {
		n = write(fd, bytes, length);
	} while (n < 0 && errno == EINTR);

	return n == (ssize_t)length;
}

void log_gather(struct log *log, char *buffer, size_t size)
{
	log_flush(log);
	log->gathered = size >= LOG_LINE_BYTES ? buffer : NULL;
	log->gathered_size = size;
}

/* Whole lines, no more than a pipe takes in one piece. */
static size_t piece_length(const char *bytes, size_t length)
{
	if (length <= LOG_LINE_BYTES)
		return length;

	const char *last = memrchr(bytes, '\n', LOG_LINE_BYTES);
	return last ? (size_t)(last + 1 - bytes) : LOG_LINE_BYTES;
}

void log_flush(struct log *log)
{
	size_t at = 0;

	while (at < log->gathered_length) {
		size_t length = piece_length(log->gathered + at, log->gathered_length - at);
		if (!write_bytes(log->fd, log->gathered + at, length))
			break;
		at += length;
	}

	if (at < log->gathered_length)
		log->lost += log->gathered_lost;
	for (; at < log->gathered_length; at++)
		log->lost += log->gathered[at] == '\n';

	log->gathered_length = 0;
	log->gathered_lost = 0;
}

static void gather_line(struct log *log, const struct line *line)
{
	if (log->gathered_length + line->length > log->gathered_size)
		log_flush(log);

	memcpy(log->gathered + log->gathered_length, line->bytes, line->length);
	log->gathered_length += line->length;

	log->gathered_lost += log->lost;
	log->lost = 0;
}

void log_write(struct log *log, enum log_level level, const char *text,
	       const struct log_field *fields, size_t field_count)
{
	if (!log || level > log->level)
		return;

	struct line line;
	line.length = 0; /* not the 4 KiB before it */
	struct wall_ms at = log->now ? log->now() : (struct wall_ms){0};

	line_add_time(&line, log, at);

	if (log->colour)
		line_add(&line, levels[level].colour);
	line_add(&line, levels[level].name);
	if (log->colour)
		line_add(&line, "\x1b[0m");
	line_add(&line, " ");

	size_t text_start = line.length;
	line_add(&line, text);
	for (size_t i = 0; i < field_count; i++)
		line_add_field(&line, &fields[i]);
	line.bytes[line.length] = '\0';

	if (log->sink) {
		log->sink(log->sink_ctx, &(struct log_line){.level = level,
							    .at = at,
							    .text = line.bytes + text_start,
							    .length = line.length - text_start});
	}

	if (log->fd < 0)
		return;

	if (log->lost) {
		const struct log_field lost = log_int("log_lines_lost", (int64_t)log->lost);
		line_add_field(&line, &lost);
	}

	line.bytes[line.length++] = '\n';

	if (log->gathered) {
		gather_line(log, &line);
		if (level == LOG_ERROR)
			log_flush(log);
	} else if (write_bytes(log->fd, line.bytes, line.length)) {
		log->lost = 0;
	} else {
		log->lost++;
	}
}

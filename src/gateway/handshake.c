/* handshake: see handshake.h. */
#include "gateway/handshake.h"

#include <string.h>

#include "http/fault.h"
#include "http/field.h"
#include "http/syntax.h"

/* "HTTP/1.1 101 .."; -1: it is none. */
static int status_of(const char *line, size_t length)
{
	int status = 0;

	if (length < 12 || strncmp(line, "HTTP/1.1 ", 9) != 0 || http_has_control(line, length))
		return -1;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		status = status * 10 + line[i] - '0';
	}
	return status >= 100 && (length == 12 || line[12] == ' ') ? status : -1;
}

/* Without an empty line, which ends a head. */
static int read_line(const char *line, size_t length, int status)
{
	struct http_field field;
	struct http_fault fault;

	if (status == 0)
		return status_of(line, length);
	return http_field_split(line, length, &field, &fault) ? status : -1;
}

int handshake_read(const char *bytes, size_t length, size_t *ret_length)
{
	const char *at = bytes, *end = bytes + length, *line_end;
	int status = 0;

	while (status >= 0 && (line_end = memchr(at, '\n', (size_t)(end - at)))) {
		if (line_end == at || line_end[-1] != '\r')
			return -1;
		size_t line = (size_t)(line_end - 1 - at);
		if (line == 0 && status) {
			*ret_length = (size_t)(line_end + 1 - bytes);
			return *ret_length <= HANDSHAKE_BYTES_MAX ? status : -1;
		}
		status = read_line(at, line, status);
		at = line_end + 1;
	}
	return status < 0 || length > HANDSHAKE_BYTES_MAX ? -1 : 0;
}

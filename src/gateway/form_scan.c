/* form_scan: from delimiter to delimiter; the content of parts is only searched for the next one.
 */
#include "gateway/form_scan.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 2046 5.1.1, without the space. */
static bool is_boundary_byte(char byte)
{
	return isalnum((unsigned char)byte) || (byte && strchr("'()+_,-./:=?", byte));
}

bool form_scan_begin(struct form_scan *scan, const char *content_type)
{
	const char *from = content_type ? strcasestr(content_type, "boundary=") : NULL;
	size_t length = 0;
	bool quoted;

	memset(scan, 0, sizeof(*scan));
	if (!from || strncasecmp(content_type, "multipart/form-data", 19) != 0)
		return false;

	from += strlen("boundary=");
	quoted = *from == '"';
	from += quoted;
	while (is_boundary_byte(from[length]))
		length++;
	if (length == 0 || length > FORM_BOUNDARY_BYTES || (quoted && from[length] != '"'))
		return false;

	snprintf(scan->delimiter, sizeof(scan->delimiter), "\r\n--%.*s", (int)length, from);
	return true;
}

/* Whether a line of its head is a Content-Disposition with the name `model`. */
static bool part_is_model(const char *head, size_t length)
{
	char line[FORM_HEAD_BYTES];
	const char *end = head + length;

	while (head < end) {
		const char *stop = memmem(head, (size_t)(end - head), "\r\n", 2);
		size_t size = stop ? (size_t)(stop - head) : (size_t)(end - head);

		if (size < sizeof(line)) {
			memcpy(line, head, size);
			line[size] = '\0';
			if (!strncasecmp(line, "content-disposition:", 20) &&
			    (strstr(line, " name=\"model\"") || strstr(line, ";name=\"model\"")))
				return true;
		}
		head = stop ? stop + 2 : end;
	}
	return false;
}

/* The first delimiter may stand without a CRLF before it. */
static const char *next_delimiter(const struct form_scan *scan, const char *bytes, size_t length)
{
	size_t size = strlen(scan->delimiter);

	if (scan->at == 0 && !scan->in_part && length >= size - 2 &&
	    !memcmp(bytes, scan->delimiter + 2, size - 2))
		return bytes - 2;
	return memmem(bytes + scan->at, length - scan->at, scan->delimiter, size);
}

static enum form_result read_model(const struct form_scan *scan, const char *value, size_t left,
				   char *ret_model)
{
	const char *stop = memmem(value, left, scan->delimiter, strlen(scan->delimiter));
	size_t size = stop ? (size_t)(stop - value) : left;

	if (!stop && left < FORM_MODEL_BYTES + sizeof(scan->delimiter))
		return FORM_MORE;
	if (size == 0 || size >= FORM_MODEL_BYTES || memchr(value, '\0', size))
		return FORM_BROKEN;

	memcpy(ret_model, value, size);
	ret_model[size] = '\0';
	return FORM_FOUND;
}

/* A part whose head begins at scan->at: its model, or FORM_NONE with the next look behind it. */
static enum form_result look_at_part(struct form_scan *scan, const char *bytes, size_t length,
				     char *ret_model)
{
	const char *head = bytes + scan->at;
	size_t left = length - scan->at;
	const char *end = memmem(head, left, "\r\n\r\n", 4);

	if (!end)
		return left > FORM_HEAD_BYTES ? FORM_BROKEN : FORM_MORE;
	if ((size_t)(end - head) > FORM_HEAD_BYTES)
		return FORM_BROKEN;
	if (part_is_model(head, (size_t)(end - head)))
		return read_model(scan, end + 4, left - (size_t)(end + 4 - head), ret_model);

	scan->in_part = false;
	scan->at = (size_t)(end + 2 - bytes); /* an empty part's delimiter begins right there */
	return FORM_NONE;
}

static enum form_result look_for_part(struct form_scan *scan, const char *bytes, size_t length)
{
	size_t size = strlen(scan->delimiter);
	const char *found = next_delimiter(scan, bytes, length);
	size_t after;

	if (!found) {
		if (length > size && length - size > scan->at)
			scan->at = length - size;
		return FORM_MORE;
	}

	after = (size_t)(found - bytes + (ptrdiff_t)size);
	if (length < after + 2)
		return FORM_MORE;
	if (!memcmp(bytes + after, "--", 2))
		return FORM_NONE;

	scan->at = after; /* at the CRLF that ends the delimiter: heads are lines */
	scan->in_part = true;
	return FORM_FOUND;
}

enum form_result form_scan_look(struct form_scan *scan, const char *bytes, size_t length,
				bool complete, char *ret_model)
{
	enum form_result result;

	for (;;) {
		if (!scan->in_part) {
			result = look_for_part(scan, bytes, length);
			if (result != FORM_FOUND)
				break;
		}

		result = look_at_part(scan, bytes, length, ret_model);
		if (result != FORM_NONE)
			break;
	}
	return result == FORM_MORE && complete ? FORM_NONE : result;
}

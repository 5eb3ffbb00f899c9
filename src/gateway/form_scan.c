/* form_scan: one byte at a time, contents of no interest by memchr. */
#include "gateway/form_scan.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool break_scan(struct form_scan *scan, const char *problem)
{
	scan->state = FORM_BROKEN;
	scan->problem = problem;
	return false;
}

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* ---- parameters of a head's line: `; name=value`, `; name="value"` ---- */

struct parameter {
	const char *name, *value;
	size_t name_length, value_length;
};

/* The one that begins behind the next `;`. NULL: there is none, or it is not whole. */
static const char *next_parameter(const char *at, struct parameter *ret)
{
	at = skip_space(at);
	if (*at != ';')
		return NULL;

	ret->name = at = skip_space(at + 1);
	ret->name_length = strcspn(at, " \t=;\"");
	at = skip_space(at + ret->name_length);
	if (ret->name_length == 0 || *at != '=')
		return NULL;

	at = skip_space(at + 1);
	bool quoted = *at == '"';
	ret->value = at += quoted;
	ret->value_length = strcspn(at, quoted ? "\"" : " \t;\"");
	at += ret->value_length;
	if (quoted && *at != '"')
		return NULL;
	return at + quoted;
}

static bool parameter_is(const struct parameter *parameter, const char *name)
{
	return parameter->name_length == strlen(name) &&
	       !strncasecmp(parameter->name, name, parameter->name_length);
}

static bool value_is(const struct parameter *parameter, const char *value)
{
	return parameter->value_length == strlen(value) &&
	       !strncasecmp(parameter->value, value, parameter->value_length);
}

/* RFC 2046 5.1.1, without the space. */
static bool is_boundary(const struct parameter *parameter)
{
	for (size_t i = 0; i < parameter->value_length; i++) {
		char byte = parameter->value[i];
		if (!isalnum((unsigned char)byte) && !strchr("'()+_,-./:=?", byte))
			return false;
	}
	return parameter->value_length > 0 && parameter->value_length <= FORM_BOUNDARY_BYTES;
}

bool form_scan_begin(struct form_scan *scan, const char *content_type)
{
	static const char type[] = "multipart/form-data";
	struct parameter parameter;

	memset(scan, 0, sizeof(*scan));
	scan->matched = 1; /* the first delimiter stands at a line's beginning */
	scan->after_cr = true;
	if (!content_type || strncasecmp(content_type, type, sizeof(type) - 1) != 0)
		return false;

	const char *at = skip_space(content_type + sizeof(type) - 1);
	while (*at) {
		const char *next = next_parameter(at, &parameter);
		if (!next) /* but for a last `;` */
			return scan->delimiter_length > 0 && *at == ';' && !*skip_space(at + 1);
		at = skip_space(next);
		if (!parameter_is(&parameter, "boundary"))
			continue;
		if (scan->delimiter_length > 0 || !is_boundary(&parameter))
			return false;

		memcpy(scan->delimiter, "\n--", 3);
		memcpy(scan->delimiter + 3, parameter.value, parameter.value_length);
		scan->delimiter_length = 3 + parameter.value_length;
	}
	return scan->delimiter_length > 0;
}

/* ---- heads ---- */

static bool take_name(struct form_scan *scan, const struct parameter *name)
{
	if (!value_is(name, "model"))
		return true;
	if (memcmp(name->value, "model", name->value_length) != 0)
		return break_scan(scan,
				  "the name of the field `model` is written in small letters");
	scan->is_model = true;
	return true;
}

static bool take_disposition(struct form_scan *scan, const char *at)
{
	struct parameter parameter;
	bool named = false;

	if (scan->disposed)
		return break_scan(scan, "a part has two names");
	scan->disposed = true;
	if (strstr(at, "\\\""))
		return break_scan(scan, "a quote in a name is written %22");

	at = skip_space(at);
	at += strcspn(at, " \t;");
	while (*skip_space(at)) {
		at = next_parameter(at, &parameter);
		if (!at || parameter_is(&parameter, "name*"))
			return break_scan(scan, "the name of a part cannot be read");

		scan->is_file |= parameter_is(&parameter, "filename") ||
				 parameter_is(&parameter, "filename*");
		if (!parameter_is(&parameter, "name"))
			continue;
		if (named)
			return break_scan(scan, "a part has two names");
		named = true;
		if (!take_name(scan, &parameter))
			return false;
	}
	return true;
}

/* RFC 7578 4.7: not to be used; some say that nothing is encoded. */
static bool is_no_encoding(const char *name)
{
	return !strcasecmp(name, "binary") || !strcasecmp(name, "8bit") ||
	       !strcasecmp(name, "7bit");
}

static bool end_head(struct form_scan *scan)
{
	if (scan->is_model && scan->found)
		return break_scan(scan, "field `model` stands there twice");
	if (scan->is_model && (scan->is_file || scan->is_encoded))
		return break_scan(scan, "field `model`: expected a text, not a file");

	scan->state = FORM_CONTENT;
	scan->matched = 1; /* an empty part's delimiter begins right there */
	scan->after_cr = true;
	scan->last_cr = false;
	scan->value_length = scan->is_model ? 0 : scan->value_length;
	return true;
}

static bool end_line(struct form_scan *scan)
{
	char *line = scan->line;

	if (scan->line_length == 0 || line[scan->line_length - 1] != '\r')
		return break_scan(scan, "a line of a part's head does not end with CR LF");

	line[--scan->line_length] = '\0';
	if (scan->line_length == 0)
		return end_head(scan);
	if (strlen(line) != scan->line_length || strchr(line, '\r') ||
	    line[strcspn(line, " \t:")] != ':')
		return break_scan(scan, "a line of a part's head cannot be read");

	scan->line_length = 0;
	if (!strncasecmp(line, "content-disposition:", 20))
		return take_disposition(scan, line + 20);
	if (!strncasecmp(line, "content-transfer-encoding:", 26))
		scan->is_encoded |= !is_no_encoding(skip_space(line + 26));
	return true;
}

static bool take_line(struct form_scan *scan, char byte)
{
	if (byte == '\n')
		return end_line(scan);
	if (scan->line_length == sizeof(scan->line))
		return break_scan(scan, "a line of a part's head is longer than 2 KiB");
	scan->line[scan->line_length++] = byte;
	return true;
}

static void begin_head(struct form_scan *scan)
{
	scan->state = FORM_HEAD;
	scan->line_length = 0;
	scan->disposed = scan->is_model = scan->is_file = scan->is_encoded = false;
}

/* ---- contents ---- */

static bool end_model(struct form_scan *scan)
{
	size_t behind = scan->delimiter_length + 1, length;

	if (scan->value_length <= behind)
		return break_scan(scan, "field `model` is empty");

	length = scan->value_length - behind;
	if (length >= FORM_MODEL_BYTES)
		return break_scan(scan, "field `model`: longer than 511 bytes");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)scan->value[i] < ' ')
			return break_scan(scan, "field `model` is no line of text");

	scan->value[length] = '\0';
	scan->found = true;
	return true;
}

/* A delimiter is complete. */
static bool end_content(struct form_scan *scan)
{
	scan->matched = 0;
	if (!scan->after_cr)
		return break_scan(scan, "a delimiter is not on a line of its own");
	if (scan->is_model && !end_model(scan))
		return false;
	scan->is_model = false;
	scan->state = FORM_DELIMITED;
	return true;
}

static bool keep_value(struct form_scan *scan, char byte)
{
	if (scan->value_length == sizeof(scan->value))
		return break_scan(scan, "field `model`: longer than 511 bytes");
	scan->value[scan->value_length++] = byte;
	return true;
}

static bool take_content(struct form_scan *scan, char byte)
{
	bool after_cr = scan->last_cr;

	if (scan->is_model && !keep_value(scan, byte))
		return false;

	scan->last_cr = byte == '\r';
	if (byte == '\n') { /* begins each delimiter, and stands nowhere else in it */
		scan->matched = 1;
		scan->after_cr = after_cr;
	} else if (byte == scan->delimiter[scan->matched]) {
		scan->matched++;
	} else {
		scan->matched = 0;
	}

	if (scan->state == FORM_START && scan->matched == 0)
		return break_scan(scan, "it does not begin with its boundary");
	return scan->matched < scan->delimiter_length || end_content(scan);
}

/* Behind a delimiter. */
static bool take_behind(struct form_scan *scan, char byte)
{
	if (scan->state == FORM_DELIMITED && byte == '\r')
		scan->state = FORM_NEXT;
	else if (scan->state == FORM_DELIMITED && byte == '-')
		scan->state = FORM_LAST;
	else if (scan->state == FORM_NEXT && byte == '\n')
		begin_head(scan);
	else if (scan->state == FORM_LAST && byte == '-')
		scan->state = FORM_DONE;
	else
		return break_scan(scan, "a delimiter is not on a line of its own");
	return true;
}

static bool take_byte(struct form_scan *scan, char byte)
{
	switch (scan->state) {
	case FORM_START:
	case FORM_CONTENT:
		return take_content(scan, byte);
	case FORM_DELIMITED:
	case FORM_NEXT:
	case FORM_LAST:
		return take_behind(scan, byte);
	case FORM_HEAD:
		return take_line(scan, byte);
	case FORM_DONE:
		return byte == '\r' || byte == '\n' ||
		       break_scan(scan, "something follows its last delimiter");
	case FORM_BROKEN:
		return false;
	}
	return false;
}

/* How many of these bytes of a content cannot begin a delimiter. */
static size_t plain_bytes(const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\n', length);

	return end ? (size_t)(end - bytes) : length;
}

bool form_scan_take(struct form_scan *scan, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (scan->state == FORM_CONTENT && !scan->is_model && scan->matched == 0) {
			size_t plain = plain_bytes(bytes + i, length - i);

			i += plain;
			if (plain > 0)
				scan->last_cr = bytes[i - 1] == '\r';
			if (i == length)
				break;
		}

		if (!take_byte(scan, bytes[i]))
			return false;
	}
	return true;
}

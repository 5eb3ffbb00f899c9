/* yaml_text: see yaml_text.h. libyaml's emitter writes no comments, so it is of no use here. */
#include "yaml/yaml_text.h"
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void yaml_put(struct buf *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (buf_vprintf(out, format, args) != 0)
		abort();
	va_end(args);
}

char *yaml_copy_text(const char *bytes, size_t length)
{
	char *copy = malloc(length + 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* Words that some reader of YAML takes for something else than a string. */
static bool has_meaning(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

/* Without any character that means something at some place of YAML. */
static bool is_plain(const char *text)
{
	const char *first = text + strspn(text, "-");

	if (!*first || first - text > 2 || has_meaning(text))
		return false;
	for (const char *at = text; *at; at++)
		if (!strchr(letters, *at) && !strchr("-_./=+", *at))
			return false;
	return strchr(letters, *first) || *first == '/' || *first == '.';
}

/* Returns its length in bytes; the text was checked to be UTF-8 when it was read. */
static size_t take_character(const char *at, uint32_t *ret_code)
{
	const unsigned char *bytes = (const unsigned char *)at;
	size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);

	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80) {
			length = i;
			break;
		}
		code = code << 6 | (bytes[i] & 0x3f);
	}
	*ret_code = code;
	return length;
}

/* Control characters, and marks that turn or hide the text behind them. */
static bool is_unseen(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff0 && code <= 0xffff) || code >= 0xe0000;
}

void yaml_put_scalar(struct buf *out, const char *text)
{
	uint32_t code;

	if (is_plain(text)) {
		yaml_put(out, "%s", text);
		return;
	}

	yaml_put(out, "\"");
	for (size_t length; *text; text += length) {
		length = take_character(text, &code);
		if (code == '"' || code == '\\')
			yaml_put(out, "\\%c", (int)code);
		else if (code == '\n')
			yaml_put(out, "\\n");
		else if (code == '\t')
			yaml_put(out, "\\t");
		else if (is_unseen(code))
			yaml_put(out,
				 code < 0x100     ? "\\x%02x"
				 : code < 0x10000 ? "\\u%04x"
						  : "\\U%08x",
				 code);
		else
			yaml_put(out, "%.*s", (int)length, text);
	}
	yaml_put(out, "\"");
}

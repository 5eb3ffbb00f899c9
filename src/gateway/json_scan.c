/* json_scan: one byte at a time, strings that are of no interest by memchr. */
#include "gateway/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "json/json_reader.h"

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool break_scan(struct json_scan *scan, const char *problem)
{
	scan->state = SCAN_BROKEN;
	scan->problem = problem;
	return false;
}

static bool key_is(const struct json_scan *scan, const char *key)
{
	return scan->key_length == strlen(key) && !memcmp(scan->key, key, scan->key_length);
}

/* Go's encoding/json, and so Ollama, takes a key for a field's whose letters differ in case only.
 */
static bool is_nearly_a_field(const struct json_scan *scan)
{
	static const char *const fields[] = {"model", "stream", "n", "encoding_format",
					     "previous_response_id"};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (scan->key_length == strlen(fields[i]) &&
		    !strncasecmp(scan->key, fields[i], scan->key_length) &&
		    !key_is(scan, fields[i]))
			return true;
	return false;
}

/* False: it is too long. */
static bool keep_byte(struct json_scan_text *text, char byte)
{
	if (text->length == sizeof(text->bytes))
		return false;
	text->bytes[text->length++] = byte;
	return true;
}

static bool begin_value(struct json_scan *scan, char byte)
{
	if (is_space(byte))
		return true;
	if (is_nearly_a_field(scan))
		return break_scan(scan, "a key differs from `model`, `stream`, `n`, "
					"`encoding_format` or `previous_response_id` only in the "
					"size of its letters");

	if (key_is(scan, "model")) {
		if (scan->model.length > 0)
			return break_scan(scan, "field `model` stands there twice");
		if (byte != '"')
			return break_scan(scan, "field `model`: expected a text");
		scan->model_from = scan->at;
		keep_byte(&scan->model, byte);
	}

	if (key_is(scan, "previous_response_id")) {
		if (scan->previous_seen)
			return break_scan(scan, "field `previous_response_id` stands there twice");
		scan->previous_seen = true;
		if (byte == '"')
			keep_byte(&scan->previous, byte);
	}

	if (key_is(scan, "encoding_format")) {
		if (scan->format_to > 0)
			return break_scan(scan, "field `encoding_format` stands there twice");
		scan->format_from = scan->at;
	}

	scan->escaped = false;
	scan->word_length = 0;
	if (byte == '"') {
		scan->state = SCAN_IN_TEXT;
	} else if (byte == '{' || byte == '[') {
		scan->depth = 1;
		scan->state = SCAN_IN_NEST;
	} else {
		scan->word[scan->word_length++] = byte;
		scan->state = SCAN_IN_WORD;
	}
	return true;
}

/* Said twice, the larger one counts: it is only what an end is held against. */
static void take_choices(struct json_scan *scan)
{
	unsigned choices = 0;

	for (unsigned i = 0; i < scan->word_length; i++) {
		if (scan->word[i] < '0' || scan->word[i] > '9')
			return;
		choices = choices * 10 + (unsigned)(scan->word[i] - '0');
	}
	scan->choices = choices > scan->choices ? choices : scan->choices;
}

static bool end_word(struct json_scan *scan)
{
	if (key_is(scan, "n"))
		take_choices(scan);
	if (!key_is(scan, "stream"))
		return true;
	if (scan->stream_seen)
		return break_scan(scan, "field `stream` stands there twice");

	scan->stream_seen = true;
	scan->stream = scan->word_length == 4 && !memcmp(scan->word, "true", 4);
	return true;
}

static bool after_value(struct json_scan *scan, char byte)
{
	if (is_space(byte))
		return true;
	if (byte == ',')
		scan->state = SCAN_KEY;
	else if (byte == '}')
		scan->state = SCAN_DONE;
	else
		return break_scan(scan, "expected `,` or `}` after a value");
	return true;
}

static bool take_key(struct json_scan *scan, char byte)
{
	if (byte == '\\')
		return break_scan(scan, "a key of the request holds an escape");
	if (byte == '"') {
		scan->state = SCAN_COLON;
		return true;
	}

	/* One that is too long matches nothing. */
	if (scan->key_length < JSON_SCAN_KEY_BYTES)
		scan->key[scan->key_length] = byte;
	if (scan->key_length <= JSON_SCAN_KEY_BYTES)
		scan->key_length++;
	return true;
}

static void take_format(struct json_scan *scan, char byte, bool ends)
{
	if (ends) {
		scan->base64 = scan->word_length == 6 && !memcmp(scan->word, "base64", 6);
		scan->format_to = scan->at + 1;
	} else if (scan->word_length < sizeof(scan->word)) {
		scan->word[scan->word_length++] = byte;
	}
}

static bool take_text(struct json_scan *scan, char byte)
{
	bool ends = byte == '"' && !scan->escaped;

	scan->escaped = byte == '\\' && !scan->escaped;
	if (key_is(scan, "model")) {
		if (!keep_byte(&scan->model, byte))
			return break_scan(scan, "field `model`: longer than 511 bytes");
		if (ends)
			scan->model_to = scan->at + 1;
	}
	if (key_is(scan, "previous_response_id") && !keep_byte(&scan->previous, byte))
		return break_scan(scan, "field `previous_response_id`: longer than 511 bytes");
	if (key_is(scan, "encoding_format"))
		take_format(scan, byte, ends);

	if (ends)
		scan->state = SCAN_AFTER_VALUE;
	return true;
}

static bool take_nested(struct json_scan *scan, char byte)
{
	if (byte == '"') {
		scan->escaped = false;
		scan->state = SCAN_NEST_TEXT;
	} else if (byte == '{' || byte == '[') {
		scan->depth++;
	} else if ((byte == '}' || byte == ']') && --scan->depth == 0) {
		scan->state = SCAN_AFTER_VALUE;
	}
	return true;
}

static bool take_byte(struct json_scan *scan, char byte)
{
	switch (scan->state) {
	case SCAN_BEFORE:
		if (is_space(byte))
			return true;
		if (byte != '{')
			return break_scan(scan, "the body is not a JSON object");
		scan->state = SCAN_KEY;
		return true;
	case SCAN_KEY:
		if (is_space(byte))
			return true;
		scan->key_length = 0;
		if (byte == '"')
			scan->state = SCAN_IN_KEY;
		else if (byte == '}')
			scan->state = SCAN_DONE;
		else
			return break_scan(scan, "expected a key");
		return true;
	case SCAN_IN_KEY:
		return take_key(scan, byte);
	case SCAN_COLON:
		if (byte == ':')
			scan->state = SCAN_VALUE;
		else if (!is_space(byte))
			return break_scan(scan, "expected `:` after a key");
		return true;
	case SCAN_VALUE:
		return begin_value(scan, byte);
	case SCAN_IN_TEXT:
		return take_text(scan, byte);
	case SCAN_IN_WORD:
		if (byte == ',' || byte == '}' || is_space(byte)) {
			scan->state = SCAN_AFTER_VALUE;
			return end_word(scan) && after_value(scan, byte);
		}
		if (scan->word_length < sizeof(scan->word))
			scan->word[scan->word_length++] = byte;
		return true;
	case SCAN_IN_NEST:
		return take_nested(scan, byte);
	case SCAN_NEST_TEXT:
		if (byte == '"' && !scan->escaped)
			scan->state = SCAN_IN_NEST;
		scan->escaped = byte == '\\' && !scan->escaped;
		return true;
	case SCAN_AFTER_VALUE:
		return after_value(scan, byte);
	case SCAN_DONE:
		return is_space(byte) || break_scan(scan, "something follows the JSON object");
	case SCAN_BROKEN:
		return false;
	}
	return false;
}

/* How many of these bytes of a nested string neither end it nor escape anything. */
static size_t plain_bytes(const char *bytes, size_t length)
{
	const char *quote = memchr(bytes, '"', length);
	size_t plain = quote ? (size_t)(quote - bytes) : length;
	const char *slash = memchr(bytes, '\\', plain);

	return slash ? (size_t)(slash - bytes) : plain;
}

bool json_scan_take(struct json_scan *scan, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length;) {
		if (scan->state == SCAN_NEST_TEXT && !scan->escaped) {
			size_t plain = plain_bytes(bytes + i, length - i);
			i += plain;
			scan->at += plain;
			if (i == length)
				break;
		}

		if (!take_byte(scan, bytes[i]))
			return false;
		i++;
		scan->at++;
	}
	return true;
}

static bool read_text(const struct json_scan_text *text, char *ret_text)
{
	size_t at;
	const char *words;
	struct json *value = json_read(text->bytes, text->length, &at, &words);
	bool found = json_is(value, JSON_KIND_STRING) && value->count > 0 &&
		     value->count < JSON_SCAN_MODEL_BYTES;

	if (found)
		snprintf(ret_text, JSON_SCAN_MODEL_BYTES, "%s", value->text);
	free(value);
	return found;
}

bool json_scan_model(const struct json_scan *scan, char *ret_name)
{
	return scan->model_to > 0 && read_text(&scan->model, ret_name);
}

bool json_scan_previous(const struct json_scan *scan, char *ret_id)
{
	return scan->previous.length > 0 && read_text(&scan->previous, ret_id);
}

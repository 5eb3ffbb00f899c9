/* float_pack: one byte at a time. */
#include "gateway/float_pack.h"
#include "base/text.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_number_byte(char byte)
{
	return (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' ||
	       byte == 'e' || byte == 'E';
}

/* Four digits of up to three bytes; the rest is `=`. */
static void flush_rest(struct float_pack *pack, struct text *out)
{
	const unsigned char *rest = pack->rest;
	size_t length = pack->rest_length;
	char four[4] = {'=', '=', '=', '='};

	if (length == 0)
		return;

	four[0] = digits[rest[0] >> 2];
	four[1] = digits[(rest[0] & 3) << 4 | (length > 1 ? rest[1] >> 4 : 0)];
	if (length > 1)
		four[2] = digits[(rest[1] & 15) << 2 | (length > 2 ? rest[2] >> 6 : 0)];
	if (length > 2)
		four[3] = digits[rest[2] & 63];
	text_add(out, four, sizeof(four));
	pack->rest_length = 0;
}

static void add_byte(struct float_pack *pack, unsigned char byte, struct text *out)
{
	pack->rest[pack->rest_length++] = byte;
	if (pack->rest_length == sizeof(pack->rest))
		flush_rest(pack, out);
}

static bool end_number(struct float_pack *pack, struct text *out)
{
	char *end;
	float value;
	uint32_t bits;

	pack->number[pack->number_length] = '\0';
	value = strtof(pack->number, &end);
	if (*end || end == pack->number || !isfinite(value))
		return false;

	memcpy(&bits, &value, sizeof(bits));
	for (unsigned shift = 0; shift < 32; shift += 8)
		add_byte(pack, (unsigned char)(bits >> shift), out);
	pack->number_length = 0;
	return true;
}

static bool add_digit(struct float_pack *pack, char byte)
{
	if (pack->number_length == sizeof(pack->number) - 1)
		return false;
	pack->number[pack->number_length++] = byte;
	return true;
}

static void end_list(struct float_pack *pack, struct text *out)
{
	flush_rest(pack, out);
	text_char(out, '"');
	pack->state = PACK_COPY;
}

static void take_outside(struct float_pack *pack, char byte, struct text *out)
{
	text_char(out, byte);
	pack->state = PACK_COPY;
	if (byte == '"') {
		pack->state = PACK_TEXT;
		pack->escaped = false;
		pack->word_length = 0;
	}
}

static void take_text(struct float_pack *pack, char byte, struct text *out)
{
	static const char key[] = "embedding";

	text_char(out, byte);
	if (byte == '"' && !pack->escaped) {
		bool is_key =
			pack->word_length == strlen(key) && !memcmp(pack->word, key, strlen(key));
		pack->state = is_key ? PACK_KEY : PACK_COPY;
		return;
	}

	pack->escaped = byte == '\\' && !pack->escaped;
	if (pack->word_length < sizeof(pack->word))
		pack->word[pack->word_length++] = byte;
}

/* Behind the key and behind the colon: spaces, then what is waited for, or nothing of interest. */
static void take_before_list(struct float_pack *pack, char byte, struct text *out)
{
	if (is_space(byte))
		text_char(out, byte);
	else if (pack->state == PACK_KEY && byte == ':') {
		text_char(out, byte);
		pack->state = PACK_VALUE;
	} else if (pack->state == PACK_VALUE && byte == '[') {
		pack->state = PACK_OPENED;
	} else {
		take_outside(pack, byte, out);
	}
}

static bool take_in_list(struct float_pack *pack, char byte, struct text *out)
{
	if (is_number_byte(byte)) {
		if (pack->state == PACK_AFTER)
			return false;
		pack->state = PACK_NUMBER;
		return add_digit(pack, byte);
	}

	if (pack->state == PACK_NUMBER && !end_number(pack, out))
		return false;
	if (is_space(byte)) {
		pack->state = pack->state == PACK_BETWEEN ? PACK_BETWEEN : PACK_AFTER;
		return true;
	}
	if (pack->state == PACK_BETWEEN)
		return false;

	if (byte == ']')
		end_list(pack, out);
	else
		pack->state = PACK_BETWEEN;
	return byte == ']' || byte == ',';
}

/* What the first byte of the list says of all. Spaces are no loss: they are JSON's. */
static bool take_opened(struct float_pack *pack, char byte, struct text *out)
{
	if (is_space(byte))
		return true;

	if (byte == ']' || is_number_byte(byte)) {
		text_char(out, '"');
		pack->state = PACK_BETWEEN;
		if (byte == ']')
			end_list(pack, out);
		return byte == ']' || take_in_list(pack, byte, out);
	}

	text_char(out, '[');
	take_outside(pack, byte, out);
	return true;
}

static bool take_byte(struct float_pack *pack, char byte, struct text *out)
{
	switch (pack->state) {
	case PACK_COPY:
		take_outside(pack, byte, out);
		return true;
	case PACK_TEXT:
		take_text(pack, byte, out);
		return true;
	case PACK_KEY:
	case PACK_VALUE:
		take_before_list(pack, byte, out);
		return true;
	case PACK_OPENED:
		return take_opened(pack, byte, out);
	case PACK_BETWEEN:
	case PACK_NUMBER:
	case PACK_AFTER:
		return take_in_list(pack, byte, out);
	case PACK_BROKEN:
		return false;
	}
	return false;
}

bool float_pack_take(struct float_pack *pack, const char *bytes, size_t length, struct text *out)
{
	for (size_t i = 0; i < length; i++) {
		if (!take_byte(pack, bytes[i], out)) {
			pack->state = PACK_BROKEN;
			return false;
		}
	}
	return true;
}

bool float_pack_end(const struct float_pack *pack)
{
	return pack->state < PACK_OPENED;
}

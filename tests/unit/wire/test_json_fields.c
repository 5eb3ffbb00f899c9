/* Goal: one JSON object or an error in words, for every bad text of CASES.md C16 to C18.
 * Method: tables of texts with the answer each must get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/limits.h"
#include "json/json_reader.h"
#include "wire/display_name.h"
#include "wire/json_fields.h"

static int parse(const char *text, size_t length, struct parsed *parsed)
{
	/* A copy of exactly that length, so that reading past it is seen by ASan. */
	char *copy = malloc(length ? length : 1);
	assert_non_null(copy);
	memcpy(copy, text, length);
	int err = json_parse(copy, length, LIMIT_BODY_BYTES, parsed);
	free(copy);
	return err;
}

/* C17: what is not one plain JSON object is refused, and the reason is in words. */
static void test_bad_texts(void **state)
{
	(void)state;
#define TEXT(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}
	static const struct {
		const char *text;
		size_t length;
	} rows[] = {
		TEXT(""),
		TEXT(" "),
		TEXT("[]"),
		TEXT("\"x\""),
		TEXT("5"),
		TEXT("null"),
		TEXT("{"),
		TEXT("}"),
		TEXT("{}{}"),
		TEXT("{} x"),
		TEXT("{\"a\":1,}"),
		TEXT("{'a':1}"),
		TEXT("{a:1}"),
		TEXT("{\"a\":1,\"a\":2}"),
		TEXT("{\"x\":{\"a\":1,\"a\":1}}"),
		TEXT("\xef\xbb\xbf{}"),
		TEXT("{\0\"\0a\0\"\0:\0001\0}\0"),
		TEXT("\xff\xfe{\0}\0"),
		TEXT("{\"a\":1e400}"),
		TEXT("{\"a\":-1e400}"),
		TEXT("{\"a\":18446744073709551616}"),
		TEXT("{\"a\":-0}"),
		TEXT("{\"a\":-0.0}"),
		TEXT("{\"a\":-0e5}"),
		TEXT("{\"a\":[1,-0]}"),
		TEXT("-0"),
		TEXT("{\"a\":-"),
		TEXT("{\"a\":-x}"),
		TEXT("{\"a\":NaN}"),
		TEXT("{\"a\":Infinity}"),
		TEXT("{\"a\":01}"),
		TEXT("{\"a\":+1}"),
		TEXT("{\"a\":0x5}"),
		TEXT("{\"a\":.5}"),
		TEXT("{\"a\":\"\\u0000\"}"),
		TEXT("{\"a\":\"\0\"}"),
		TEXT("{\"a\":\"\n\"}"),
		TEXT("{\"a\":\"\\ud800\"}"),
		TEXT("{\"a\":\"\xff\"}"),
		TEXT("{\"a\":\"\xc0\xaf\"}"),
		TEXT("{\"a\":\"\xed\xa0\x80\"}"),
		TEXT("{\"a\":\"x"),
		TEXT("{\"a\":\"x\\"),
		TEXT("{}\0"),
		TEXT("// x\n{}"),
	};
#undef TEXT
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		int err = parse(rows[i].text, rows[i].length, &parsed);
		if (err != -ERR_BAD_JSON)
			print_error("row %zu: %s\n", i, rows[i].text);
		assert_int_equal(err, -ERR_BAD_JSON);
		assert_null(parsed.root);
		assert_true(strlen(parsed.detail) > 5);
		parsed_finish(&parsed);
	}
}

/* What looks bad and is not. */
static void test_good_texts(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"{}",
		" \r\n\t{ }\n",
		"{\"a\":\"-0 [[[[[[[[[[[[[[[[[[[[ \\\" {{{{{{{{{{{{{{{{{{{{{\"}",
		"{\"a\":-0.5,\"b\":1e-0,\"c\":-0.05e3,\"d\":-1}",
		"{\"a\":{\"b\":1},\"c\":{\"b\":1}}",
		"{\"a\":\"\\ud83d\\ude00\"}",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		assert_int_equal(parse(rows[i], strlen(rows[i]), &parsed), 0);
		assert_non_null(parsed.root);
		parsed_finish(&parsed);
	}
}

static void assert_whole(const struct parsed *p, const char *field, int64_t want)
{
	const struct json *value = json_get(p->root, field);
	assert_true(json_is(value, JSON_KIND_INTEGER) && json_whole(value) == want);
}

/* A text is read by whole words: wherever in one a byte stands that is not plain, it is seen. */
static void test_each_byte_at_each_place(void **state)
{
	enum { PLACES = 21 };

	(void)state;
	for (int byte = 1; byte < 256; byte++)
		for (int place = 0; place < PLACES; place++) {
			bool escaped = byte == '"' || byte == '\\';
			char value[64], text[128];
			struct parsed parsed;

			snprintf(value, sizeof(value), "%.*s%c%.*s", place, "aaaaaaaaaaaaaaaaaaaaa",
				 byte, PLACES - place, "bbbbbbbbbbbbbbbbbbbbb");
			snprintf(text, sizeof(text), "{\"%.*s%s%s\":\"%.*s%s%s\"}", place, value,
				 escaped ? "\\" : "", value + place, place, value,
				 escaped ? "\\" : "", value + place);

			int err = parse(text, strlen(text), &parsed);
			assert_int_equal(err, byte < 0x20 || byte > 0x7f ? -ERR_BAD_JSON : 0);
			if (err == 0)
				assert_string_equal(json_text(json_get(parsed.root, value)), value);
			parsed_finish(&parsed);
		}
}

/* Values of every kind are what the text says, at any depth; what is not there is nothing. */
static void test_values(void **state)
{
	(void)state;
	static const char text[] =
		"{\"least\":-9223372036854775808,\"most\":9223372036854775807,\"part\":-2.5e-1,"
		"\"text\":\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t \xc3\xa9\",\"\":7,"
		"\"list\":[[1,{\"x\":[]}],true,false,null,\"end\"],\"last\":1}";
	struct parsed p;
	assert_int_equal(parse(text, sizeof(text) - 1, &p), 0);
	assert_whole(&p, "least", INT64_MIN);
	assert_whole(&p, "most", INT64_MAX);
	assert_whole(&p, "", 7);
	assert_whole(&p, "last", 1);
	assert_true(json_number(json_get(p.root, "part")) == -0.25);
	assert_int_equal(json_whole(json_get(p.root, "part")), 0);
	assert_string_equal(json_text(json_get(p.root, "text")),
			    "\xc3\xa9\xf0\x9f\x98\x80\"\\/\b\f\n\r\t \xc3\xa9");
	const struct json *list = json_get(p.root, "list");
	assert_int_equal(json_count(list), 5);
	assert_int_equal(json_count(json_at(list, 0)), 2);
	assert_int_equal(json_whole(json_at(json_at(list, 0), 0)), 1);
	assert_true(json_is(json_get(json_at(json_at(list, 0), 1), "x"), JSON_KIND_ARRAY));
	assert_true(json_is(json_at(list, 1), JSON_KIND_TRUE) &&
		    json_is(json_at(list, 2), JSON_KIND_FALSE));
	assert_true(json_is(json_at(list, 3), JSON_KIND_NULL));
	assert_string_equal(json_text(json_at(list, 4)), "end");
	assert_null(json_at(list, 5));
	assert_null(json_get(list, "x"));
	assert_null(json_get(p.root, "las"));
	assert_null(json_text(list));
	parsed_finish(&p);
}

/* Many keys cost no square, and one that stands twice is found among them. */
static void test_many_keys(void **state)
{
	(void)state;
	enum { KEYS = 7000 };
	struct parsed p;
	char *text = malloc(LIMIT_BODY_BYTES);
	size_t length = 1;
	assert_non_null(text);
	text[0] = '{';
	for (int i = 0; i < KEYS; i++)
		length +=
			(size_t)snprintf(text + length, LIMIT_BODY_BYTES - length, "\"%d\":1,", i);
	text[length - 1] = '}';
	clock_t best = CLOCKS_PER_SEC; /* of five: the machine may be busy */
	for (int i = 0; i < 5; i++) {
		clock_t before = clock();
		assert_int_equal(parse(text, length, &p), 0);
		best = clock() - before < best ? clock() - before : best;
		assert_whole(&p, "6999", 1);
		parsed_finish(&p);
	}
	assert_true(best < CLOCKS_PER_SEC / 20);
	memcpy(strstr(text, "\"6999\""), "\"1234\"", 6);
	assert_int_equal(parse(text, length, &p), -ERR_BAD_JSON);
	assert_non_null(strstr(p.detail, "a key stands twice"));
	free(text);
}

/* C18: a depth bomb costs no stack; the limit itself is still taken. */
static void test_depth(void **state)
{
	(void)state;
	enum { DEEP = 60000 };
	struct parsed parsed;
	static char bomb[DEEP];
	memset(bomb, '[', DEEP);
	assert_int_equal(parse(bomb, DEEP, &parsed), -ERR_BAD_JSON);
	assert_non_null(strstr(parsed.detail, "nested deeper than 16"));
	for (int depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
		static const char head[] = "{\"a\":";
		size_t at = sizeof(head) - 1;
		memcpy(bomb, head, at);
		memset(bomb + at, '[', (size_t)depth - 1);
		memset(bomb + at + depth - 1, ']', (size_t)depth - 1);
		at += 2 * ((size_t)depth - 1);
		bomb[at++] = '}';
		assert_int_equal(parse(bomb, at, &parsed),
				 depth <= LIMIT_JSON_DEPTH ? 0 : -ERR_BAD_JSON);
		parsed_finish(&parsed);
	}
}

/* P36: what is too large is refused before it is read. */
static void test_size(void **state)
{
	(void)state;
	struct parsed parsed;
	char *large = malloc(LIMIT_BODY_BYTES + 1);
	assert_non_null(large);
	memset(large, ' ', LIMIT_BODY_BYTES + 1);
	memcpy(large, "{}", 2);
	assert_int_equal(parse(large, LIMIT_BODY_BYTES, &parsed), 0);
	parsed_finish(&parsed);
	assert_int_equal(parse(large, LIMIT_BODY_BYTES + 1, &parsed), -ERR_TOO_LARGE);
	free(large);
}

/* The body is never echoed in an error: it may hold a token. */
static void test_no_echo(void **state)
{
	(void)state;
	static const char text[] = "{\"token\": sekret }";
	struct parsed parsed;
	assert_int_equal(parse(text, sizeof(text) - 1, &parsed), -ERR_BAD_JSON);
	assert_null(strstr(parsed.detail, "sekret"));
	assert_non_null(strstr(parsed.detail, "line 1, column"));
}

/* Each getter names the field and what it expected, and leaves the default when it is absent. */
static void test_fields(void **state)
{
	(void)state;
	static const char text[] =
		"{\"whole\":5,\"real\":5.0,\"half\":0.5,\"neg\":-1,\"text\":\"x\",\"yes\":true,"
		"\"null\":null,\"big\":9007199254740993.0,\"list\":[]}";
	struct parsed p;
	uint64_t number = 77;
	int64_t ms = 77;
	bool present = true, flag = false;
	const char *name = NULL;
	assert_int_equal(parse(text, sizeof(text) - 1, &p), 0);
	assert_int_equal(json_u64(&p, p.root, "absent", 0, 9, &number, &present), 0);
	assert_false(present);
	assert_int_equal(json_u64(&p, p.root, "null", 0, 9, &number, &present), 0);
	assert_false(present);
	assert_int_equal(number, 77);
	assert_int_equal(json_u64(&p, p.root, "whole", 0, 9, &number, &present), 0);
	assert_true(present);
	assert_int_equal(number, 5);
	assert_int_equal(json_u64(&p, p.root, "real", 0, 9, &number, NULL), 0);
	static const char *const not_whole[] = {"half", "neg", "text", "yes", "big", "list"};
	for (size_t i = 0; i < sizeof(not_whole) / sizeof(not_whole[0]); i++)
		assert_int_equal(json_u64(&p, p.root, not_whole[i], 0, 9, &number, NULL),
				 -ERR_BAD_FIELD);
	assert_int_equal(json_u64(&p, p.root, "whole", 6, 9, &number, NULL), -ERR_BAD_FIELD);
	assert_string_equal(p.detail, "field `whole`: expected a whole number from 6 to 9");
	assert_int_equal(json_seconds(&p, p.root, "half", 60, &ms, &present), 0);
	assert_int_equal(ms, 500);
	assert_int_equal(json_seconds(&p, p.root, "neg", 60, &ms, NULL), -ERR_BAD_FIELD);
	assert_string_equal(p.detail, "field `neg`: expected a number of seconds from 0 to 60");
	assert_int_equal(json_seconds(&p, p.root, "whole", 4, &ms, NULL), -ERR_BAD_FIELD);
	assert_int_equal(json_bool(&p, p.root, "yes", &flag), 0);
	assert_true(flag);
	assert_int_equal(json_bool(&p, p.root, "whole", &flag), -ERR_BAD_FIELD);
	assert_int_equal(json_name(&p, p.root, "text", 1, &name), 0);
	assert_string_equal(name, "x");
	assert_int_equal(json_name(&p, p.root, "whole", 1, &name), -ERR_BAD_FIELD);
	assert_int_equal(json_missing(&p, "id"), -ERR_BAD_FIELD);
	assert_string_equal(p.detail, "field `id`: required");
	parsed_finish(&p);
}

/* C16: what may be shown as a name, and what may not. */
static void test_names(void **state)
{
	(void)state;
	static const char *const good[] = {"x",
					   "Root-Console-Chat",
					   "a b",
					   "\xc3\xa9t\xc3\xa9",
					   "\xe6\xbc\xa2",
					   "\xf0\x9f\x98\x80",
					   "'\"<>&\\",
					   "."};
	static const char *const bad[] = {
		"",
		"a\nb",
		"\x1b[31m",
		"\t",
		"\x7f",
		"\xc2\x85",         /* next line, a C1 control */
		"\xc2\xad",         /* soft hyphen */
		"\xd8\x9c",         /* arabic letter mark */
		"a\xe2\x80\x8b",    /* zero width space */
		"a\xe2\x80\x8d",    /* zero width joiner */
		"\xe2\x80\x8f",     /* right-to-left mark */
		"\xe2\x80\xa8",     /* line separator */
		"\xe2\x80\xaexyz",  /* right-to-left override */
		"\xe2\x81\xa6",     /* isolate */
		"\xef\xbb\xbf",     /* byte order mark */
		"\xef\xbf\xbe",     /* noncharacter */
		"\xf3\xa0\x80\x81", /* tag */
		"\x80",             /* lone continuation */
		"\xc3",             /* cut short */
		"\xe2\x80",
		"\xc3x",    /* continued by what is none */
		"\xc0\xaf", /* overlong */
		"\xe0\x80\xaf",
		"\xed\xa0\x80",     /* surrogate */
		"\xf4\x90\x80\x80", /* past U+10FFFF */
		"\xf8\x88\x80\x80\x80",
		"\xff",
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(display_name_problem(good[i], strlen(good[i]), LIMIT_ID_BYTES));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!display_name_problem(bad[i], strlen(bad[i]), LIMIT_ID_BYTES))
			print_error("row %zu is taken\n", i);
		assert_non_null(display_name_problem(bad[i], strlen(bad[i]), LIMIT_ID_BYTES));
	}
	char longest[LIMIT_ID_BYTES + 1];
	memset(longest, 'x', sizeof(longest));
	assert_null(display_name_problem(longest, LIMIT_ID_BYTES, LIMIT_ID_BYTES));
	assert_non_null(display_name_problem(longest, LIMIT_ID_BYTES + 1, LIMIT_ID_BYTES));
	assert_non_null(display_name_problem("a\0b", 3, LIMIT_ID_BYTES));
}

/* Tokens are 32 hex digits and come back the same. */
static void test_tokens(void **state)
{
	(void)state;
	static const char hex[] = "00112233445566778899aabbccddeeff";
	struct token token;
	char back[TOKEN_HEX_BYTES];
	assert_true(token_from_hex(hex, 32, &token));
	assert_int_equal(token.b[15], 0xff);
	token_to_hex(&token, back);
	assert_string_equal(back, hex);
	assert_true(token_from_hex("00112233445566778899AABBCCDDEEFF", 32, &token));
	assert_false(token_from_hex(hex, 31, &token));
	assert_false(token_from_hex("0011223344556677 899aabbccddeeff", 32, &token));
	assert_false(token_from_hex("00112233445566778899aabbccddeeffa", 33, &token));
	assert_false(token_from_hex("", 0, &token));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_good_texts),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_each_byte_at_each_place),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_no_echo),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

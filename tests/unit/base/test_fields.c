/* Goal: what fields_write writes, fields_read gives back, whatever the values; older and newer
 * tables read each other; nothing else is taken. Method: a struct with a field of each kind, filled
 * from a small generator; each cut and each flipped bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fields.h"
#include "base/mono.h"

struct part {
	uint64_t wide;
	char word[6];
};

struct whole {
	uint64_t wide;
	uint32_t word, several[3];
	bool yes;
	uint8_t small, bytes[5];
	int64_t number;
	struct mono_ms time, times[2];
	char text[9];
	struct part part, parts[2];
};

static const struct field part_rows[] = {
	ROW_UINT(struct part, 1, wide),
	ROW_TEXT(struct part, 2, word),
};
static const struct field_table part_table = FIELD_TABLE(part_rows);

#define T struct whole
static const struct field rows[] = {
	ROW_UINT(T, 1, wide),
	ROW_UINT(T, 2, word),
	ROW_OF(T, 3, FIELD_UINT, several, 0, NULL),
	ROW_LESS(T, 4, yes, 2),
	ROW_UINT(T, 5, small),
	ROW(T, 6, FIELD_BYTES, bytes, 0, 0),
	ROW_INT(T, 7, number),
	ROW_TIME(T, 8, time),
	ROW_OF(T, 9, FIELD_TIME, times, 0, NULL),
	ROW_TEXT(T, 10, text),
	ROW_PART(T, 11, part, &part_table),
	ROW_OF(T, 12, FIELD_PARTS, parts, 0, &part_table),
};
static const struct field_table table = FIELD_TABLE(rows);
/* As it was before three of the fields came. */
static const struct field old_rows[] = {
	ROW_UINT(T, 1, wide),
	ROW_INT(T, 7, number),
	ROW_TEXT(T, 10, text),
};
static const struct field_table old_table = FIELD_TABLE(old_rows);
#undef T

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1;
	return *seed >> (*seed >> 59);
}

static void fill_text(char *text, size_t size, uint64_t *seed)
{
	size_t length = next(seed) % size;

	memset(text, 0, size);
	for (size_t i = 0; i < length; i++)
		text[i] = (char)(1 + next(seed) % 255);
}

static void fill_part(struct part *part, uint64_t *seed)
{
	part->wide = next(seed) % 3 ? 0 : next(seed);
	fill_text(part->word, sizeof part->word, seed);
}

static struct whole filled(uint64_t *seed)
{
	struct whole w;
	memset(&w, 0, sizeof w);
	w.wide = next(seed);
	w.word = (uint32_t)next(seed);
	w.several[next(seed) % 3] = (uint32_t)next(seed);
	w.yes = next(seed) % 2;
	w.small = (uint8_t)next(seed);
	w.bytes[next(seed) % 5] = (uint8_t)next(seed);
	w.number = (int64_t)next(seed);
	w.time = next(seed) % 4 ? (struct mono_ms){(int64_t)(next(seed) >> 8)} : MONO_NEVER;
	w.times[next(seed) % 2] = next(seed) % 2 ? MONO_PAST : (struct mono_ms){7};
	fill_text(w.text, sizeof w.text, seed);
	fill_part(&w.part, seed);
	fill_part(&w.parts[next(seed) % 2], seed);
	return w;
}

static void comes_back(void **state)
{
	uint64_t seed = 1;
	uint8_t bytes[512];

	(void)state;
	assert_in_range(fields_bytes_max(&table), 1, sizeof bytes);
	for (int i = 0; i < 20000; i++) {
		struct fields_how how = {.base = i % 2 ? (int64_t)(next(&seed) >> 8) : 0};
		struct whole in = filled(&seed), out;
		uint8_t *end = fields_write(&table, &in, &how, bytes);
		memset(&out, 0, sizeof out);
		out.wide = out.parts[1].wide = 5; /* what was there before does not matter */
		assert_true(fields_read(&table, &out, &how, bytes, (size_t)(end - bytes)));
		assert_memory_equal(&in, &out, sizeof in);
	}
}

/* The newer reads the older, which leaves out what it does not know, and the other way. */
static void old_and_new_read_each_other(void **state)
{
	const struct fields_how how = {0};
	uint64_t seed = 2;
	uint8_t bytes[512], *end;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct whole in = filled(&seed), old, again;
		memset(&old, 0, sizeof old);
		memset(&again, 0, sizeof again);
		end = fields_write(&table, &in, &how, bytes);
		assert_true(fields_read(&old_table, &old, &how, bytes, (size_t)(end - bytes)));
		end = fields_write(&old_table, &old, &how, bytes);
		assert_true(fields_read(&table, &again, &how, bytes, (size_t)(end - bytes)));
		assert_true(again.wide == in.wide && again.number == in.number);
		assert_string_equal(again.text, in.text);
		assert_true(again.word == 0 && again.time.v == 0);
	}
}

/* There is one encoding of each value: what is taken, is written again as it was. */
static void nothing_else_is_taken(void **state)
{
	const struct fields_how how = {0};
	uint64_t seed = 3;
	uint8_t bytes[512], again[512];

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct whole in = filled(&seed), out;
		size_t size = (size_t)(fields_write(&table, &in, &how, bytes) - bytes);
		for (size_t bit = 0; bit < size * 8; bit++) {
			memset(&out, 0, sizeof out);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (fields_read(&table, &out, &how, bytes, size) &&
			    (size_t)(fields_write(&table, &out, &how, again) - again) == size)
				assert_memory_equal(bytes, again, size);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static uint64_t drop_marked(const void *arg, unsigned sense, uint64_t value)
{
	(void)arg;
	if (sense == 8)
		return value <= 1; /* of an array the first */
	return sense == 9 ? 0 : value;
}

static void a_sense_decides_what_is_written(void **state)
{
	static const struct field marked[] = {
		ROW_UINT(struct whole, 1, wide),
		ROW_MARK(struct whole, 2, word, 9),
		ROW(struct whole, 10, FIELD_TEXT, text, 9, 0),
		ROW_PART_MARK(struct whole, 11, part, &part_table, 9),
		ROW_OF(struct whole, 12, FIELD_PARTS, parts, 8, &part_table),
	};
	static const struct field_table marked_table = FIELD_TABLE(marked);
	struct fields_how how = {.map = drop_marked};
	struct whole in = {.wide = 1, .word = 2, .text = "t", .part = {3, "p"}}, out;
	uint8_t bytes[128];
	size_t size;

	(void)state;
	in.parts[0] = in.parts[1] = in.part;
	size = (size_t)(fields_write(&marked_table, &in, &how, bytes) - bytes);
	assert_int_equal(size, 12);
	memset(&out, 0xff, sizeof out);
	assert_true(fields_read(&marked_table, &out, &how, bytes, size));
	assert_true(out.wide == 1 && out.word == 0 && out.text[0] == '\0');
	assert_true(out.part.wide == 0 && out.parts[0].wide == 3 && out.parts[1].wide == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(old_and_new_read_each_other),
		cmocka_unit_test(nothing_else_is_taken),
		cmocka_unit_test(a_sense_decides_what_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* buf: bytes come out as they went in whatever was consumed between, memory follows the content,
 * and a size that cannot be is refused with the buffer as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"

/* A long random walk of appends and consumes against the same bytes counted. */
static void test_order_kept(void **state)
{
	(void)state;
	struct buf buf = {0};
	unsigned in = 0, out = 0, seed = 1;
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1103515245 + 12345;
		size_t n = (seed >> 16) % 97;
		if (seed & 0x80000000) {
			for (size_t i = 0; i < n; i++, in++) {
				char byte = (char)(in % 251);
				assert_int_equal(buf_append(&buf, &byte, 1), 0);
			}
		} else {
			n = n < buf.length ? n : buf.length;
			for (size_t i = 0; i < n; i++, out++)
				assert_int_equal((unsigned char)buf_data(&buf)[i], out % 251);
			buf_consume(&buf, n);
		}
		assert_int_equal(buf.length, in - out);
	}
	buf_finish(&buf);
}

/* Reading and parsing in step does not grow the memory. */
static void test_stays_small(void **state)
{
	(void)state;
	struct buf buf = {0};
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
		buf_consume(&buf, i % 2 ? 15 : 5);
	}
	assert_int_equal(buf.length, 0);
	assert_true(buf.capacity <= 512);
	buf_finish(&buf);
}

/* Reserved room is written in place and holds a NUL behind it. */
static void test_reserve(void **state)
{
	(void)state;
	struct buf buf = {0};
	char *tail;
	assert_int_equal(buf_append_text(&buf, "ab"), 0);
	assert_int_equal(buf_reserve(&buf, 1000, &tail), 0);
	memset(tail, 'c', 1000);
	buf_extend(&buf, 1000);
	buf_data(&buf)[buf.length] = '\0';
	assert_int_equal(strlen(buf_data(&buf)), 1002);
	buf_clear(&buf, 4096);
	assert_int_equal(buf.length, 0);
	assert_true(buf.capacity > 0);
	buf_clear(&buf, 16);
	assert_int_equal(buf.capacity, 0);
	buf_finish(&buf);
}

/* Formatted text is appended whole. */
static void test_printf(void **state)
{
	(void)state;
	struct buf buf = {0};
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_printf(&buf, "%d,", i), 0);
	assert_int_equal(buf.length, 10 * 2 + 90 * 3);
	assert_memory_equal(buf_data(&buf), "0,1,2,3,", 8);
	buf_finish(&buf);
}

/* A size past all memory is an error and changes nothing. */
static void test_too_large(void **state)
{
	(void)state;
	struct buf buf = {0};
	assert_int_equal(buf_append_text(&buf, "kept"), 0);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX, NULL), -ERR_NO_MEMORY);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX / 2, NULL), -ERR_NO_MEMORY);
	assert_int_equal(buf.length, 4);
	assert_memory_equal(buf_data(&buf), "kept", 4);
	buf_finish(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_kept), cmocka_unit_test(test_stays_small),
		cmocka_unit_test(test_reserve),    cmocka_unit_test(test_printf),
		cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

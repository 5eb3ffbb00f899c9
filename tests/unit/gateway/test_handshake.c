/* Goal: what a server answers to a WebSocket's request goes on only if it can be read in one way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/handshake.h"

static int read_text(const char *text)
{
	size_t length = 0;
	int status = handshake_read(text, strlen(text), &length);

	if (status > 0)
		assert_string_equal(text + length, "behind");
	return status;
}

static void test_heads(void **state)
{
	(void)state;
	assert_int_equal(read_text("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nbehind"),
			 101);
	assert_int_equal(read_text("HTTP/1.1 101\r\n\r\nbehind"), 101);
	assert_int_equal(read_text("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\nbehind"), 403);
	assert_int_equal(read_text(""), 0);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\n"), 0);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\nA: b\r\n\r"), 0);

	assert_int_equal(read_text("\r\n\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.0 101 x\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 1x1 x\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 1011 x\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 001 x\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\nA: b\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\nA : b\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\n folded\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\nno field\r\n"), -1);
	assert_int_equal(read_text("HTTP/1.1 101 x\r\nA: \x01\r\n"), -1);
}

static void test_too_long(void **state)
{
	char *text = malloc(HANDSHAKE_BYTES_MAX + 64);
	size_t length = 0;
	(void)state;

	assert_non_null(text);
	memset(text, 'a', HANDSHAKE_BYTES_MAX + 64);
	memcpy(text, "HTTP/1.1 101 x\r\nA: ", 19);
	assert_int_equal(handshake_read(text, HANDSHAKE_BYTES_MAX, &length), 0);
	assert_int_equal(handshake_read(text, HANDSHAKE_BYTES_MAX + 1, &length), -1);
	memcpy(text + HANDSHAKE_BYTES_MAX, "\r\n\r\n", 4);
	assert_int_equal(handshake_read(text, HANDSHAKE_BYTES_MAX + 4, &length), -1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Goal: what happens to a connection reaches the part that serves its endpoint's kind, with that
 * part's own context, and an endpoint is shut once its connection is gone. Method: two kinds served
 * by counters, the others by nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/send.h"
#include "server/endpoint_ops.h"

enum { WAITING = 7, STREAMING = 8, PLAIN = 9, STRANGER = 10 };

struct part {
	unsigned sent, said, gone, delivered, drained, shut_out, kept;
	uint64_t conn; /* of the last call */
};

static void on_send(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	struct part *part = ctx;
	part->sent += send->msg == SEND_GRANTED;
	part->conn = endpoint->conn;
}

static void on_message(void *ctx, struct endpoint *endpoint, const char *text, size_t length)
{
	struct part *part = ctx;
	assert_string_equal(text, "hi");
	assert_int_equal(length, 2);
	part->said++;
	part->conn = endpoint->conn;
}

static void on_gone(void *ctx, struct endpoint *endpoint)
{
	struct part *part = ctx;
	part->gone++;
	part->conn = endpoint->conn;
}

static void on_delivered(void *ctx, struct endpoint *endpoint)
{
	struct part *part = ctx;
	part->delivered++;
	part->conn = endpoint->conn;
}

static void on_drain(void *ctx, struct endpoint *endpoint)
{
	struct part *part = ctx;
	part->drained++;
	part->conn = endpoint->conn;
}

static void on_shut_out(void *ctx, struct endpoint *endpoint)
{
	struct part *part = ctx;
	part->shut_out++;
	part->conn = endpoint->conn;
}

static void on_keepalive(void *ctx, struct endpoint *endpoint, const struct text *comment)
{
	struct part *part = ctx;
	(void)comment;
	part->kept++;
	part->conn = endpoint->conn;
}

static const struct endpoint_ops waiting_ops = {.send = on_send,
						.gone = on_gone,
						.delivered = on_delivered,
						.drain = on_drain,
						.shut_out = on_shut_out};
static const struct endpoint_ops streaming_ops = {.message = on_message, .keepalive = on_keepalive};
static const struct endpoint_ops no_ops;

struct fixture {
	struct endpoints endpoints;
	struct part waiting, streaming;
};

static int set_up(void **state)
{
	static struct fixture f;
	f = (struct fixture){0};
	endpoints_init(&f.endpoints, NULL);
	endpoints_serve(&f.endpoints, ENDPOINT_REQUEST, &waiting_ops, &f.waiting);
	endpoints_serve(&f.endpoints, ENDPOINT_STREAM, &streaming_ops, &f.streaming);
	endpoints_serve(&f.endpoints, ENDPOINT_STATUS, &no_ops, NULL);
	endpoint_open(&f.endpoints, WAITING, ENDPOINT_REQUEST, NULL);
	endpoint_open(&f.endpoints, STREAMING, ENDPOINT_STREAM, NULL);
	endpoint_open(&f.endpoints, PLAIN, ENDPOINT_STATUS, NULL);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	endpoints_finish(&f->endpoints);
	return 0;
}

static void test_a_call_reaches_the_part_of_its_kind(void **state)
{
	struct fixture *f = *state;
	const struct send_effect granted = {.msg = SEND_GRANTED};

	endpoints_send(&f->endpoints, WAITING, &granted);
	assert_int_equal(f->waiting.sent, 1);
	assert_int_equal(f->waiting.conn, WAITING);
	endpoints_delivered(&f->endpoints, WAITING);
	assert_int_equal(f->waiting.delivered, 1);

	endpoints_message(&f->endpoints, STREAMING, "hi", 2);
	assert_int_equal(f->streaming.said, 1);
	assert_int_equal(f->streaming.conn, STREAMING);
}

static void test_what_a_kind_does_not_do_is_not_called(void **state)
{
	struct fixture *f = *state;
	const struct send_effect granted = {.msg = SEND_GRANTED};

	endpoints_send(&f->endpoints, STREAMING, &granted);
	endpoints_send(&f->endpoints, PLAIN, &granted);
	endpoints_send(&f->endpoints, STRANGER, &granted);
	endpoints_message(&f->endpoints, WAITING, "hi", 2);
	endpoints_message(&f->endpoints, STRANGER, "hi", 2);
	endpoints_delivered(&f->endpoints, PLAIN);
	endpoints_delivered(&f->endpoints, STRANGER);
	assert_int_equal(f->waiting.sent + f->waiting.said + f->streaming.sent, 0);
}

static void test_a_connection_that_is_gone_is_told_and_shut_once(void **state)
{
	struct fixture *f = *state;
	endpoints_gone(&f->endpoints, WAITING);
	endpoints_gone(&f->endpoints, WAITING);
	assert_int_equal(f->waiting.gone, 1);
	assert_null(endpoint_of(&f->endpoints, WAITING));

	endpoints_gone(&f->endpoints, PLAIN); /* nobody is told, and it is shut all the same */
	assert_null(endpoint_of(&f->endpoints, PLAIN));
	assert_non_null(endpoint_of(&f->endpoints, STREAMING));
}

static void test_all_are_drained_and_streams_are_kept_alive(void **state)
{
	struct fixture *f = *state;
	const struct text comment = {0};
	endpoint_open(&f->endpoints, STRANGER, ENDPOINT_STREAM, NULL);

	assert_int_equal(endpoints_stream_count(&f->endpoints), 2);
	endpoints_keepalive(&f->endpoints, &comment);
	assert_int_equal(f->streaming.kept, 2);
	assert_int_equal(f->waiting.kept, 0);

	endpoints_drain(&f->endpoints);
	assert_int_equal(f->waiting.drained, 1);
	assert_int_equal(f->streaming.drained, 0);
}

/* Only what belongs to it, and only where something is to be done. */
static void test_a_principal_is_shut_out(void **state)
{
	struct fixture *f = *state;
	endpoint_belongs(endpoint_of(&f->endpoints, WAITING), "key:a");
	endpoint_belongs(endpoint_of(&f->endpoints, STREAMING), "key:a");

	endpoints_shut_out(&f->endpoints, "key:b");
	assert_int_equal(f->waiting.shut_out, 0);
	endpoints_shut_out(&f->endpoints, "key:a");
	assert_int_equal(f->waiting.shut_out, 1);
	assert_int_equal(f->waiting.conn, WAITING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_call_reaches_the_part_of_its_kind, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_kind_does_not_do_is_not_called, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_connection_that_is_gone_is_told_and_shut_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_are_drained_and_streams_are_kept_alive,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_principal_is_shut_out, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("server-endpoint-ops", tests, NULL, NULL);
}

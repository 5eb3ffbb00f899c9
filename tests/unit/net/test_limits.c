/* Time and room: slow senders and readers, too many connections, no descriptors, and that nothing
 * wakes an idle daemon (CASES.md C 30, 31, 42; T13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "fixture.h"
#include "net/http_reply.h"
#include "net/listen.h"

#define GET "GET /g HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct net_options few = {
	.connections_max = 8,
	.connections_reserved_max = 4,
	.header_time_ms = 60,
	.body_time_ms = 60,
	.write_time_ms = 60,
	.close_time_ms = 60,
};

/* Sends a byte in each millisecond, never stopping, until the server ends it: faster, a quick
 * machine fills the header's room before its time is over. Returns the milliseconds. */
static int64_t trickle(struct fixture *fixture, struct client *client, const char *head, char byte)
{
	struct mono_ms start = loop_now(), sent = start;
	client_send_text(client, head);
	while (!client->ended) {
		if (mono_before(sent, loop_now()))
			client_send(client, &byte, 1);
		sent = loop_now();
		client_pump(fixture, client);
		assert_true(mono_since(loop_now(), start) < 10000);
	}
	return mono_since(loop_now(), start);
}

/* C30, P38: the time for headers counts from the first byte and not from the last. */
static void test_slow_headers(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture);
	int64_t took_ms = trickle(fixture, client, "GET / HTTP/1.1\r\nHost: h\r\nX: ", 'x');
	assert_true(took_ms >= few.header_time_ms - 10); /* the loop's clock has steps */
	assert_int_equal(client_status(client), 408);
	assert_int_equal(fixture->error, ERR_SLOW);
	assert_int_equal(fixture->requests, 0);
	client_close(client);
	fixture_close(fixture);
}

/* The same for a body. */
static void test_slow_body(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture);
	(void)trickle(fixture, client,
		      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n", 'x');
	assert_int_equal(client_status(client), 408);
	assert_int_equal(fixture->requests, 0);
	client_close(client);
	fixture_close(fixture);
}

/* A connection that says nothing may stay as long as there is room; the time runs from its first
 * byte, and anew for the next request. */
static void test_idle_may_stay(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture);
	for (unsigned i = 1; i <= 2; i++) {
		struct mono_ms until = mono_after(loop_now(), 3 * few.header_time_ms);
		while (!mono_due(until, loop_now()))
			client_pump(fixture, client);
		assert_false(client->ended);
		client_send_text(client, "GET /g HTTP/1.1\r\n");
		client_pump(fixture, client);
		client_send_text(client, "Host: h\r\n\r\n");
		fixture_wait(fixture, &fixture->delivered, i);
	}
	client_close(client);
	fixture_close(fixture);
}

/* A file costs no memory, so its reader may rest for a while; one that never reads on is dropped.
 */
static void test_file_reader_rests(void **state)
{
	(void)state;
	enum { SIZE = 64 * 1024 * 1024 }; /* more than the kernel takes */
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture);
	char path[] = "/tmp/baton-limits-XXXXXX";
	int file = mkstemp(path);
	assert_true(file >= 0);
	unlink(path);
	assert_int_equal(ftruncate(file, SIZE), 0);
	fixture->mode = FIXTURE_PARK;
	client->mute = true;
	client_send_text(client, GET);
	fixture_wait(fixture, &fixture->requests, 1);
	http_reply_file(fixture->net, fixture->conn, 200, NULL, 0, file, 0, SIZE);
	struct mono_ms until = mono_after(loop_now(), 4 * few.write_time_ms);
	while (!mono_due(until, loop_now()))
		client_pump(fixture, client);
	assert_int_equal(fixture->gone, 0);
	fixture_wait(fixture, &fixture->gone, 1);
	assert_int_equal(fixture->delivered, 0);
	assert_int_equal(fixture->error, ERR_SLOW);
	client_close(client);
	fixture_close(fixture);
}

/* C30: whoever does not read a long answer is dropped, and its exchange is told as gone. */
static void test_slow_reader(void **state)
{
	(void)state;
	enum { SIZE = 16 * 1024 * 1024 };
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture);
	char *body = calloc(1, SIZE);
	fixture->mode = FIXTURE_PARK;
	client->mute = true;
	client_send_text(client, GET);
	fixture_wait(fixture, &fixture->requests, 1);
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, body, SIZE);
	fixture_wait(fixture, &fixture->gone, 1);
	assert_int_equal(fixture->delivered, 0);
	assert_int_equal(fixture->error, ERR_SLOW);
	free(body);
	client_close(client);
	fixture_close(fixture);
}

/* C31: TCP gets the general places and half of the reserve, line sessions another quarter, HTTP
 * over the Unix socket the last; beyond that the answer is 503. */
static void test_too_many(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *clients[12];
	unsigned n = 0;
	fixture->mode = FIXTURE_PARK;
	for (; n < 6; n++) {
		clients[n] = client_open(fixture);
		client_send_text(clients[n], GET);
		fixture_wait(fixture, &fixture->requests, n + 1);
		assert_int_equal(fixture->reserved, n >= 4);
	}
	clients[n] = client_open(fixture);
	client_send_text(clients[n], GET);
	client_wait_end(fixture, clients[n]);
	assert_int_equal(client_status(clients[n]), 503);
	assert_non_null(strstr(clients[n]->in, "Retry-After: "));
	assert_int_equal(fixture->error, ERR_TOO_MANY_CONNECTIONS);
	clients[++n] = client_open_unix(fixture->line_path);
	fixture_wait(fixture, &fixture->sessions, 1);
	assert_false(fixture->peer.crowded);
	clients[++n] = client_open_unix(fixture->line_path);
	client_wait_end(fixture, clients[n]);
	assert_non_null(strstr(clients[n]->in, "\"code\":4429"));
	assert_int_equal(fixture->sessions, 1);
	assert_int_equal(fixture->closed, 0); /* the refused one never was a session */
	fixture->mode = FIXTURE_REPLY;
	clients[++n] = client_open_unix(fixture->http_path);
	assert_int_equal(net_connection_count(fixture->net), 7);
	client_send_text(clients[n], GET);
	client_wait_text(fixture, clients[n], "200 OK");
	assert_true(fixture->reserved);
	for (unsigned i = 0; i <= n; i++)
		client_close(clients[i]);
	fixture_wait(fixture, &fixture->closed, 1);
	fixture_close(fixture);
}

static const struct net_options some = {
	.connections_max = 24,
	.connections_reserved_max = 8,
	.header_time_ms = 1000,
	.body_time_ms = 1000,
	.write_time_ms = 1000,
	.close_time_ms = 50,
};

/* An operator looks, on a connection of its own. */
static void http_is_served(struct fixture *fixture)
{
	struct client *client = client_open_unix(fixture->http_path);
	client_send_text(client, GET);
	client_wait_text(fixture, client, "200 OK");
	client_close(client);
}

static void line_is_refused(struct fixture *fixture)
{
	struct client *client = client_open_unix(fixture->line_path);
	client_wait_end(fixture, client);
	assert_non_null(strstr(client->in, "\"code\":4429"));
	client_close(client);
}

/* Line sessions that fill the table: from the reserve on only those that resume are let in, into a
 * quarter of it; TCP and HTTP over the Unix socket have places still. */
static void test_leaked_sessions(void **state)
{
	(void)state;
	enum { GENERAL = 16, LEAKED = 18 };
	struct fixture *fixture = fixture_open(&some);
	struct client *leaked[LEAKED];
	for (unsigned i = 0; i < LEAKED; i++) {
		leaked[i] = client_open_unix(fixture->line_path);
		fixture_wait(fixture, &fixture->sessions, i + 1);
		assert_int_equal(fixture->peer.crowded, i >= GENERAL);
	}
	line_is_refused(fixture);
	struct client *tcp = client_open(fixture);
	client_send_text(tcp, GET);
	client_wait_text(fixture, tcp, "200 OK");
	http_is_served(fixture);
	client_close(tcp);
	for (unsigned i = 0; i < LEAKED; i++)
		client_close(leaked[i]);
	fixture_wait(fixture, &fixture->closed, LEAKED);
	fixture_close(fixture);
}

/* One process has its own end, long before the table is full; what it gives back it may have again,
 * and TCP, which names no process, is not counted. */
static void test_per_process(void **state)
{
	(void)state;
	struct net_options options = some;
	options.connections_per_process_max = 4;
	struct fixture *fixture = fixture_open(&options);
	struct client *mine[6], *tcp = client_open(fixture);
	for (unsigned i = 0; i < 6; i++) {
		mine[i] = client_open_unix(fixture->line_path);
		fixture_wait(fixture, &fixture->sessions, i + 1);
		assert_int_equal(fixture->peer.crowded, i >= 4);
	}
	line_is_refused(fixture);
	http_is_served(fixture); /* in short requests */
	assert_true(fixture->reserved);
	struct client *http[3];
	for (unsigned i = 0; i < 3; i++)
		http[i] = client_open_unix(fixture->http_path);
	client_wait_end(fixture, http[2]);
	assert_int_equal(client_status(http[2]), 503);
	for (unsigned i = 0; i < 3; i++)
		client_close(http[i]);
	client_send_text(tcp, GET);
	client_wait_text(fixture, tcp, "200 OK");
	for (unsigned i = 0; i < 4; i++)
		client_close(mine[i]);
	fixture_wait(fixture, &fixture->closed, 4);
	http_is_served(fixture);
	client_close(mine[4]);
	client_close(mine[5]);
	fixture_wait(fixture, &fixture->closed, 6);
	client_close(tcp);
	fixture_close(fixture);
}

/* A reserve larger than the table leaves general places; a table that cannot be is refused. */
static void test_odd_sizes(void **state)
{
	(void)state;
	const struct net_handlers handlers = {0};
	struct net_options options = few;
	options.connections_max = 4;
	options.connections_reserved_max = 64;
	struct fixture *fixture = fixture_open(&options);
	struct client *client = client_open(fixture);
	client_send_text(client, GET);
	client_wait_text(fixture, client, "200 OK");
	assert_false(fixture->reserved);
	struct net *net;
	options.connections_max = 0;
	assert_int_equal(net_create(fixture->loop, &options, &handlers, NULL, &net),
			 -ERR_BAD_FIELD);
	options.connections_max = 70000;
	assert_int_equal(net_create(fixture->loop, &options, &handlers, NULL, &net),
			 -ERR_BAD_FIELD);
	client_close(client);
	fixture_close(fixture);
}

/* A place of the reserve is not for waiting: silence there ends at the header time. */
static void test_reserved_silence(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *clients[5];
	fixture->mode = FIXTURE_PARK;
	for (unsigned i = 0; i < 4; i++) {
		clients[i] = client_open(fixture);
		client_send_text(clients[i], GET);
		fixture_wait(fixture, &fixture->requests, i + 1);
	}
	clients[4] = client_open(fixture);
	client_wait_end(fixture, clients[4]);
	assert_int_equal(client_status(clients[4]), 408);
	for (unsigned i = 0; i < 5; i++)
		client_close(clients[i]);
	fixture_close(fixture);
}

/* When the general places are full, the connection that has been idle longest makes place; one that
 * waits for an answer never does. */
static void test_longest_idle_makes_place(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *parked = client_open(fixture), *idle[3];
	fixture->mode = FIXTURE_PARK;
	client_send_text(parked, GET);
	fixture_wait(fixture, &fixture->requests, 1);
	fixture->mode = FIXTURE_REPLY;
	for (unsigned i = 0; i < 3; i++) {
		idle[i] = client_open(fixture);
		client_send_text(idle[i], GET);
		fixture_wait(fixture, &fixture->delivered, i + 1);
	}
	struct mono_ms until = mono_after(loop_now(), 1100); /* idle long enough to be dropped */
	while (!mono_due(until, loop_now()))
		client_pump(fixture, parked);
	struct client *late = client_open(fixture);
	client_send_text(late, GET);
	client_wait_text(fixture, late, "200 OK");
	client_wait_end(fixture, idle[0]);
	for (unsigned i = 1; i < 3; i++) {
		client_pump(fixture, idle[i]);
		assert_false(idle[i]->ended);
		client_close(idle[i]);
	}
	assert_int_equal(fixture->gone, 0);
	assert_false(parked->ended);
	client_close(idle[0]);
	client_close(late);
	client_close(parked);
	fixture_close(fixture);
}

/* Turns of the loop within `ms`, with nothing to do but that. */
static unsigned turns_within(struct fixture *fixture, int ms)
{
	unsigned turns = 0;
	struct mono_ms until = mono_after(loop_now(), ms);
	while (!mono_due(until, loop_now())) {
		loop_wake_at(fixture->loop, until);
		loop_turn(fixture->loop);
		turns++;
	}
	return turns;
}

/* C42: without descriptors accepting pauses and does not spin, held connections stay, and a
 * descriptor that becomes free is used. */
static void test_no_descriptors(void **state)
{
	(void)state;
	enum { CLIENTS = 12, ROOM = 5 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *clients[CLIENTS];
	struct rlimit before, tight;
	fixture->mode = FIXTURE_PARK;
	for (int i = 0; i < CLIENTS; i++) { /* the kernel's queue takes them; no turn yet */
		clients[i] = client_open(fixture);
		client_send_text(clients[i], GET);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = (struct rlimit){(rlim_t)clients[CLIENTS - 1]->fd + 1 + ROOM, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	fixture_wait(fixture, &fixture->requests, ROOM);
	assert_true(turns_within(fixture, 300) <= 6);
	assert_int_equal(fixture->requests, ROOM);
	assert_int_equal(fixture->error, ERR_TOO_MANY_CONNECTIONS);
	assert_int_equal(fixture->gone, 0);
	client_close(clients[0]); /* its descriptor and the server's */
	fixture_wait(fixture, &fixture->requests, ROOM + 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	fixture_wait(fixture, &fixture->requests, CLIENTS);
	for (int i = 1; i < CLIENTS; i++)
		client_close(clients[i]);
	fixture_wait(fixture, &fixture->gone, CLIENTS);
	fixture_close(fixture);
}

/* After work of every kind no timer is left: the loop sleeps until it is told to wake. */
static void test_idle_sleeps(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&few);
	struct client *client = client_open(fixture),
		      *session = client_open_unix(fixture->line_path);
	client_send_text(client, "GET / HTTP/1.1\r\n");
	client_pump(fixture, client);
	client_send_text(client, "Host: h\r\n\r\n");
	fixture_wait(fixture, &fixture->delivered, 1);
	fixture_wait(fixture, &fixture->sessions, 1);
	(void)turns_within(fixture, 2 * few.header_time_ms); /* timers once set may still fire */
	assert_true(turns_within(fixture, 300) <= 2);
	client_close(client);
	client_close(session);
	fixture_close(fixture);
}

/* C43: after the process stood still, what arrived meanwhile is read before deadlines are judged,
 * also when it is more than one turn reads. */
static void test_stall(void **state)
{
	(void)state;
	enum { CLIENTS = 150 };
	const struct net_options options = {512, 32, 1000, 1000, 5000, 0, 0, 0};
	struct fixture *fixture = fixture_open(&options);
	struct client *clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = client_open(fixture);
		client_send_text(clients[i], "GET /g HTTP/1.1\r\n");
	}
	while (net_connection_count(fixture->net) < CLIENTS)
		fixture_turn(fixture);
	loop_drain(fixture->loop);
	struct mono_ms until = mono_after(loop_now(), 2200);
	while (!mono_due(until, loop_now()))
		; /* no turn: the process stands still */
	for (int i = 0; i < CLIENTS; i++)
		client_send_text(clients[i], "Host: h\r\n\r\n");
	fixture_wait(fixture, &fixture->delivered, CLIENTS);
	assert_int_equal(fixture->errors, 0);
	for (int i = 0; i < CLIENTS; i++)
		client_close(clients[i]);
	fixture_close(fixture);
}

/* T13 in small: idle and slow connections do not delay an honest session. What they cost they cost
 * each time; a single late beat is the machine's, and so are many that are not late again. */
static void test_flood(void **state)
{
	(void)state;
	enum { IDLE = 300, SLOW = 100, BEATS = 50 };
	const struct net_options options = {512, 32, 60000, 60000, 5000, 0, 0, 0};
	struct fixture *fixture = fixture_open(&options);
	struct client *others[IDLE + SLOW], *holder = client_open_unix(fixture->line_path);
	int late = BEATS;
	fixture->echo = true;
	for (int i = 0; i < IDLE + SLOW; i++) {
		others[i] = client_open(fixture);
		client_pump(fixture, others[i]);
	}
	for (int tries = 0; tries < 5 && late > BEATS / 5; tries++) {
		late = 0;
		for (int beat = 0; beat < BEATS; beat++) {
			struct mono_ms start = loop_now();
			for (int i = IDLE; i < IDLE + SLOW; i++)
				client_send_text(others[i], tries || beat ? "x" : "GET /");
			holder->length = 0;
			client_send_text(holder, "beat\n");
			client_wait_text(fixture, holder, "beat\n");
			late += mono_since(loop_now(), start) > 50;
		}
	}
	assert_true(late <= BEATS / 5);
	for (int i = 0; i < IDLE + SLOW; i++)
		client_close(others[i]);
	client_close(holder);
	fixture_close(fixture);
}

/* Stopping to listen leaves connections and takes the socket files away; destroying closes all. */
static void test_stop_listening(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET);
	fixture_wait(fixture, &fixture->requests, 1);
	net_stop_listening(fixture->net);
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, "still", 5);
	client_wait_text(fixture, client, "still");
	client_send_text(client, GET);
	fixture_wait(fixture, &fixture->requests, 2);
	fixture->descriptors++; /* the client's, which outlives the net with its exchange open */
	fixture_close(fixture);
	client_close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_reader_rests),
		cmocka_unit_test(test_slow_headers),
		cmocka_unit_test(test_slow_body),
		cmocka_unit_test(test_idle_may_stay),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_odd_sizes),
		cmocka_unit_test(test_reserved_silence),
		cmocka_unit_test(test_leaked_sessions),
		cmocka_unit_test(test_per_process),
		cmocka_unit_test(test_longest_idle_makes_place),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_idle_sleeps),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_stop_listening),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

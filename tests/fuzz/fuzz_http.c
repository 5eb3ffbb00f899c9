/* Fuzz target: bytes of a client on an HTTP connection. First through the parser alone: cut at a
 * place the input chooses, the verdict and what was understood must be the same as in one piece,
 * and must hold what the handlers rely on. Then through a listener on a real socket, with answers
 * at once, parked, streamed, and WebSockets. The first byte chooses the cut, the second the
 * handler. A finding is a crash, a sanitizer report or a failed assert. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "http/fault.h"
#include "http/request_parser.h"
#include "http/syntax.h"
#include "net/http.h"
#include "net/http_receive.h"
#include "net/http_reply.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/net.h"
#include "net/session.h"
#include "net/ws.h"

enum { INPUT_BYTES_MAX = 100 * 1024 };

struct verdict {
	enum http_result result;
	int status;
	struct http_request_parser parser;
	size_t length;
	char *bytes;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct verdict judge(const uint8_t *data, size_t size, size_t cut)
{
	struct verdict v = {.result = HTTP_MORE, .bytes = malloc(size + 1)};
	struct http_fault fault = {0};
	size_t given = 0;
	assert(v.bytes);
	while (given < size && v.result == HTTP_MORE) {
		size_t n = size - given < cut ? size - given : cut;
		memcpy(v.bytes + v.length, data + given, n);
		v.length += n;
		given += n;
		do {
			v.result = http_request_parse(&v.parser, v.bytes, &v.length, &fault);
		} while (v.result == HTTP_HEAD);
	}
	/* Bytes not given any more belong to the next request. */
	memcpy(v.bytes + v.length, data + given, size - given);
	v.length += size - given;
	v.status = v.result == HTTP_REFUSED ? fault.status : 0;
	return v;
}

static void check_request(const struct verdict *v)
{
	const struct http_request_parser *p = &v->parser;
	const char *path = v->bytes + p->path;
	assert(p->total <= v->length);
	assert(p->body_start + p->body_length == p->total);
	assert(p->body_length <= LIMIT_BODY_BYTES);
	assert(path[0] == '/' || strcmp(path, "*") == 0);
	assert(!strstr(path, "//"));
	assert(http_request_value(p, v->bytes, HTTP_HOST));
	assert(!http_request_value(p, v->bytes, HTTP_CONTENT_LENGTH) ||
	       !http_request_value(p, v->bytes, HTTP_TRANSFER_ENCODING));
	for (enum http_known_field field = 0; field < HTTP_FIELD_COUNT; field++) {
		const char *value = http_request_value(p, v->bytes, field);
		assert(!value || strcspn(value, "\r\n") == strlen(value));
	}
}

/* The fields as they were sent: as many as were counted, none with a control byte or a line's end
 * in it, and among them each that is known, with the same value first. */
static void check_fields(const struct verdict *v)
{
	struct http_field_iterator fields = http_request_fields(&v->parser, v->bytes);
	const char *host = http_request_value(&v->parser, v->bytes, HTTP_HOST);
	struct http_field field;
	uint32_t count = 0, hosts = 0;
	while (http_field_next(&fields, &field)) {
		assert(field.name_length > 0);
		assert(!http_has_control(field.value, field.value_length));
		count++;
		if (!http_field_is(&field, "host"))
			continue;
		assert(field.value == host && strlen(host) == field.value_length);
		hosts++;
	}
	assert(count == v->parser.field_count);
	assert(hosts == 1);
}

static void check_parser(const uint8_t *data, size_t size, size_t cut)
{
	struct verdict whole = judge(data, size, size), pieces = judge(data, size, cut);
	assert(whole.result == pieces.result);
	assert(whole.status == pieces.status);
	if (whole.result == HTTP_COMPLETE) {
		check_request(&whole);
		check_fields(&whole);
		check_fields(&pieces);
		check_request(&pieces);
		assert(whole.parser.total == pieces.parser.total);
		assert(memcmp(whole.bytes, pieces.bytes, whole.parser.total) == 0);
		assert(whole.length == pieces.length);
	}
	free(whole.bytes);
	free(pieces.bytes);
}

struct bench {
	struct loop *loop;
	struct net *net;
	struct sockaddr_un name;
	unsigned choice;
	size_t received; /* of the body that comes in pieces */
};

static void on_request(void *ctx, const struct http_request *request)
{
	struct bench *bench = ctx;
	const struct http_header headers[] = {{"X-Path", request->path}};
	assert(request->body[request->body_length] == '\0');
	unsigned choice = (bench->choice + (unsigned)request->conn) % 4;
	if (request->websocket && choice != 1) {
		assert(http_accept_websocket(bench->net, request->conn) == 0);
	} else if (choice == 0) {
		http_reply(bench->net, request->conn, 200, headers, 1, request->body,
			   request->body_length);
	} else if (choice == 2) {
		http_stream_begin(bench->net, request->conn, 200, headers, 1);
		http_stream_write(bench->net, request->conn, request->path, strlen(request->path));
		if (!request->streamed)
			http_stream_end(bench->net, request->conn);
	} /* else parked */
}

/* Half of the bodies are wanted in pieces, and some of those are paused on the way. */
static void on_head(void *ctx, const struct http_request *request, struct http_body_rule *rule)
{
	struct bench *bench = ctx;
	assert(request->conn == 0 && request->body[0] == '\0');
	rule->streamed = bench->choice & 4;
	rule->bytes_max = bench->choice & 8 ? LIMIT_BODY_BYTES : LIMIT_BODY_BYTES / 2;
	bench->received = 0;
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	struct bench *bench = ctx;
	bench->received += length;
	assert(length > 0);
	assert(bench->received <= LIMIT_BODY_BYTES);
	if (!http_stream_write(bench->net, conn, bytes, length) && length % 3 == 0)
		http_pause_body(bench->net, conn, true);
	if (length % 5 == 4)
		http_reply(bench->net, conn, 413, NULL, 0, "", 0);
}

static void on_body_end(void *ctx, uint64_t conn)
{
	struct bench *bench = ctx;
	http_stream_end(bench->net, conn);
	http_reply(bench->net, conn, 200, NULL, 0, "", 0);
}

static void on_conn(void *ctx, uint64_t conn)
{
	(void)ctx, (void)conn;
}

static void on_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	(void)ctx, (void)conn, (void)peer;
}

static void on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct bench *bench = ctx;
	assert(strlen(text) == length);
	assert(length <= LIMIT_FRAME_BYTES);
	net_session_send(bench->net, conn, text, length);
	if (length % 7 == 3)
		net_session_close(bench->net, conn, 1000, "length");
}

static void on_closed(void *ctx, uint64_t conn, bool clean)
{
	(void)ctx, (void)clean;
	assert(conn != 0);
}

static void on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	(void)ctx, (void)conn;
	assert(err > 0 && what);
}

/* One listener for the whole run, as in a daemon: what one input leaves behind meets the next. */
static struct bench *open_bench(void)
{
	static const struct net_handlers handlers = {
		.on_request = on_request,
		.on_gone = on_conn,
		.on_delivered = on_conn,
		.on_session = on_session,
		.on_message = on_message,
		.on_closed = on_closed,
		.on_protocol_error = on_protocol_error,
		.on_head = on_head,
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_writable = on_conn,
	};
	static const struct net_options options = {
		.connections_max = 16,
		.connections_reserved_max = 2,
		.header_time_ms = 1000,
		.body_time_ms = 1000,
		.write_time_ms = 1000,
	};
	static struct bench bench;
	char folder[] = "/tmp/baton-fuzz-XXXXXX";
	if (bench.net)
		return &bench;
	bench.name.sun_family = AF_UNIX;
	if (!mkdtemp(folder))
		abort();
	(void)snprintf(bench.name.sun_path, sizeof bench.name.sun_path, "%s/http", folder);
	if (loop_create(&bench.loop) ||
	    net_create(bench.loop, &options, &handlers, &bench, &bench.net) ||
	    net_listen_unix(bench.net, bench.name.sun_path, true, NULL, 0))
		abort();
	return &bench;
}

static void give(struct bench *bench, int fd, const uint8_t *data, size_t size)
{
	char answer[4096];
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		loop_drain(bench->loop);
		bool answered = recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0;
		if (n <= 0 && !answered)
			return; /* closed, or paused behind a parked request */
	}
}

static void check_listener(const uint8_t *data, size_t size, size_t cut, unsigned choice)
{
	struct bench *bench = open_bench();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench->choice = choice;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&bench->name, sizeof bench->name) != 0)
		abort();
	loop_drain(bench->loop);
	give(bench, fd, data, cut < size ? cut : size);
	if (cut < size)
		give(bench, fd, data + cut, size - cut);
	(void)close(fd);
	loop_drain(bench->loop);
	loop_drain(bench->loop);
	assert(net_connection_count(bench->net) == 0);
}

static void remove_listener(void)
{
	struct bench *bench = open_bench();
	char folder[sizeof bench->name.sun_path];
	(void)snprintf(folder, sizeof folder, "%s", bench->name.sun_path);
	*strrchr(folder, '/') = '\0';
	net_destroy(bench->net);
	loop_destroy(bench->loop);
	(void)rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int registered;
	if (size < 3 || size > INPUT_BYTES_MAX)
		return 0;
	if (!registered++)
		(void)atexit(remove_listener);
	size_t cut = data[0] + 1u;
	unsigned choice = data[1];
	check_parser(data + 2, size - 2, cut);
	check_listener(data + 2, size - 2, cut, choice);
	return 0;
}

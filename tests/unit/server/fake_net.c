/* fake_net: see fake_net.h. */
#include "fake_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/session.h"
#include "net/ws.h"

struct fake_net fake_net;

void fake_net_reset(void)
{
	memset(&fake_net, 0, sizeof fake_net);
	fake_net.now.v = 5000;
}

struct endpoint *fake_session(struct endpoints *endpoints, uint64_t conn, uint64_t id)
{
	struct endpoint *endpoint = endpoint_open(endpoints, conn, ENDPOINT_SESSION, NULL);
	endpoint->session = calloc(1, sizeof *endpoint->session);
	assert(endpoint->session);
	endpoint->session->pidfd = -1;
	endpoint->session->id = id;
	return endpoint;
}

static void add_bytes(uint64_t conn, const char *bytes, size_t length)
{
	assert(fake_net.length + length < sizeof fake_net.body);
	memcpy(fake_net.body + fake_net.length, bytes, length);
	fake_net.length += length;
	fake_net.body[fake_net.length] = '\0';
	fake_net.conn = conn;
}

static void note_head(uint64_t conn, int status, const struct http_header *headers, size_t count)
{
	size_t used = 0;

	fake_net.conn = conn;
	fake_net.status = status;
	fake_net.headers[0] = '\0';
	fake_net.length = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(fake_net.headers + used, sizeof fake_net.headers - used,
					 "%s: %s\n", headers[i].name, headers[i].value);
}

void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length)
{
	(void)net;
	fake_net.replies++;
	note_head(conn, status, headers, header_count);
	add_bytes(conn, body, body_length);
}

void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count)
{
	(void)net;
	fake_net.begins++;
	note_head(conn, status, headers, header_count);
}

bool http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length)
{
	(void)net;
	fake_net.writes++;
	add_bytes(conn, bytes, length);
	return true;
}

size_t http_stream_pending(const struct net *net, uint64_t conn)
{
	(void)net;
	(void)conn;
	return fake_net.pending;
}

void http_stream_end(struct net *net, uint64_t conn)
{
	(void)net;
	fake_net.ends++;
	fake_net.conn = conn;
}

void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length)
{
	(void)net;
	fake_net.messages++;
	fake_net.length = 0;
	add_bytes(conn, text, length);
}

size_t net_session_pending(const struct net *net, uint64_t conn)
{
	(void)net;
	(void)conn;
	return fake_net.pending;
}

void net_session_close(struct net *net, uint64_t conn, int code, const char *reason)
{
	(void)net;
	(void)reason;
	fake_net.closes++;
	fake_net.conn = conn;
	fake_net.close_code = code;
}

int http_accept_websocket(struct net *net, uint64_t conn)
{
	(void)net;
	fake_net.upgrades++;
	fake_net.conn = conn;
	return fake_net.no_upgrade ? -1 : 0;
}

unsigned net_connection_count(const struct net *net)
{
	(void)net;
	return 3;
}

struct mono_ms loop_now(void)
{
	return fake_net.now;
}

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){1700000000000};
}

int64_t loop_suspended_ms(void)
{
	return 0;
}

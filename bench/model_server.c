/* model_server: a model server that costs nothing: answers at once, or streams a token every 10 ms,
 * each with the time at which it was written. Takes bodies of any size. Prints its port.
 * usage: model_server TOKENS_PER_STREAM */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { SMALL_BYTES = 4096, HEAD_BYTES = 8192, TOKEN_US = 10 * 1000 };

struct connection {
	struct bufferevent *io;
	struct event *next_token;
	unsigned tokens_left;
	bool in_body, is_get;
	size_t body_left;
};

static unsigned tokens_per_stream;

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void answer_whole(struct connection *connection)
{
	static const char list[] =
		"{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\"}]}";
	static const char text[] = "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"hello\"},"
				   "\"finish_reason\":\"stop\"}]}";
	const char *body = connection->is_get ? list : text;

	evbuffer_add_printf(bufferevent_get_output(connection->io),
			    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			    "Content-Length: %zu\r\n\r\n%s",
			    strlen(body), body);
}

static void on_token(evutil_socket_t fd, short what, void *ctx)
{
	struct connection *connection = ctx;
	struct evbuffer *out = bufferevent_get_output(connection->io);
	char token[64];
	int length;
	(void)fd, (void)what;

	if (connection->tokens_left-- == 0) {
		event_del(connection->next_token);
		evbuffer_add_printf(out, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
		return;
	}
	length = snprintf(token, sizeof(token), "data: {\"t\":%lld}\n\n", (long long)now_ns());
	evbuffer_add_printf(out, "%x\r\n%s\r\n", (unsigned)length, token);
}

static void begin_stream(struct connection *connection)
{
	const struct timeval every = {.tv_usec = TOKEN_US};

	evbuffer_add_printf(bufferevent_get_output(connection->io),
			    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n");
	connection->tokens_left = tokens_per_stream;
	event_add(connection->next_token, &every);
}

/* False: more bytes are needed. */
static bool take_head(struct connection *connection, struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char head[HEAD_BYTES];
	const char *length;

	if (end.pos < 0 || (size_t)end.pos + 4 >= sizeof(head))
		return false;
	evbuffer_remove(in, head, (size_t)end.pos + 4);
	head[end.pos + 4] = '\0';

	length = strcasestr(head, "\r\ncontent-length:");
	connection->is_get = !strncmp(head, "GET", 3);
	connection->body_left = length ? strtoull(length + 17, NULL, 10) : 0;
	connection->in_body = true;
	return true;
}

static bool take_body(struct connection *connection, struct evbuffer *in)
{
	size_t have = evbuffer_get_length(in), left = connection->body_left;

	if (left > SMALL_BYTES) {
		size_t gone = have < left ? have : left;
		evbuffer_drain(in, gone);
		connection->body_left -= gone;
		if (connection->body_left == 0) {
			connection->in_body = false;
			answer_whole(connection);
		}
		return gone > 0;
	}
	if (have < left)
		return false;

	struct evbuffer_ptr streams = evbuffer_search(in, "\"stream\":true", 13, NULL);
	evbuffer_drain(in, left);
	connection->in_body = false;
	if (streams.pos >= 0)
		begin_stream(connection);
	else
		answer_whole(connection);
	return true;
}

static void on_read(struct bufferevent *io, void *ctx)
{
	struct connection *connection = ctx;
	struct evbuffer *in = bufferevent_get_input(io);

	while (connection->in_body ? take_body(connection, in) : take_head(connection, in))
		;
}

static void on_event(struct bufferevent *io, short what, void *ctx)
{
	struct connection *connection = ctx;
	(void)what;

	event_free(connection->next_token);
	bufferevent_free(io);
	free(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
		      int size, void *ctx)
{
	struct event_base *base = evconnlistener_get_base(listener);
	struct connection *connection = calloc(1, sizeof(*connection));
	int one = 1;
	(void)peer, (void)size, (void)ctx;

	if (!connection)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connection->io = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	connection->next_token = event_new(base, -1, EV_PERSIST, on_token, connection);
	bufferevent_setcb(connection->io, on_read, NULL, on_event, connection);
	bufferevent_enable(connection->io, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct event_base *base = event_base_new();
	struct evconnlistener *listener;

	tokens_per_stream = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 4096,
					   (struct sockaddr *)&address, (int)size);
	if (!listener ||
	    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &size) != 0)
		return 1;

	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	return 0;
}

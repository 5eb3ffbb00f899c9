/* protocols: how the load engine speaks to each server: the HTTP lock API (the floor, the
 * predecessor and Baton), Baton's session on its Unix socket, and the cheapest queueing lock on
 * Redis (BLPOP takes, RPUSH gives back: no TTL, no order, no fence). */
#include "load.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- HTTP --- */

static int http_connect(const char *address, int number)
{
	(void)number;
	return connect_tcp(address);
}

static void http_greet(struct client *client)
{
	(void)client;
}

static void http_post(struct client *client, const char *path, const char *body)
{
	char request[1024];
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	getpeername(client->fd, (struct sockaddr *)&peer, &size);
	int length =
		snprintf(request, sizeof(request),
			 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 path, ntohs(peer.sin_port), load_bearer, strlen(body), body);
	client_write(client, request, (size_t)length);
}

static void http_take(struct client *client)
{
	char body[128];
	snprintf(body, sizeof(body), "{\"id\":\"client-%d\"}", client->number);
	client->released = false;
	http_post(client, "/v1/gpu/lock", body);
}

static void http_give(struct client *client)
{
	char body[256];
	snprintf(body, sizeof(body), "{\"id\":\"client-%d\",\"token\":\"%s\"}", client->number,
		 client->token);
	client->released = true;
	http_post(client, "/v1/gpu/unlock", body);
}

static void token_read(struct client *client, const char *body)
{
	const char *value = strstr(body, "\"token\"");
	value = value != NULL ? strchr(value + 7, '"') : NULL;
	size_t length = value != NULL ? strcspn(value + 1, "\"") : 0;
	if (length >= sizeof(client->token))
		length = 0;
	if (value != NULL)
		memcpy(client->token, value + 1, length);
	client->token[length] = '\0';
}

static enum outcome http_read(struct client *client)
{
	char *head_end = strstr(client->in, "\r\n\r\n");
	if (head_end == NULL)
		return OUTCOME_MORE;
	const char *length_field = strcasestr(client->in, "content-length:");
	size_t body_length = length_field != NULL && length_field < head_end
				     ? strtoul(length_field + 15, NULL, 10)
				     : 0;
	size_t whole = (size_t)(head_end - client->in) + 4 + body_length;
	if (client->in_count < whole)
		return OUTCOME_MORE;
	int status = atoi(client->in + 9);
	if (status == 200 && !client->released)
		token_read(client, head_end);
	client_consume(client, whole);
	if (status != 200)
		return OUTCOME_ERROR;
	return client->released ? OUTCOME_RELEASED : OUTCOME_GRANTED;
}

const struct protocol protocol_http = {"http",    http_connect, http_greet,
				       http_take, http_give,    http_read};

/* --- Baton's session, lines on a Unix socket --- */

static int session_connect(const char *address, int number)
{
	(void)number;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int length = snprintf(un.sun_path, sizeof(un.sun_path), "%s", address);
	if (length < 0 || (size_t)length >= sizeof(un.sun_path))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 ? fd : -1;
}

__attribute__((format(printf, 2, 3))) static void session_line(struct client *client,
							       const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	client_write(client, line, (size_t)length);
}

static void session_greet(struct client *client)
{
	session_line(client, "{\"type\":\"hello\",\"version\":1,\"id\":\"client-%d\"}\n",
		     client->number);
}

static void session_take(struct client *client)
{
	session_line(client,
		     "{\"type\":\"acquire\",\"ref\":%d,\"class\":\"normal\",\"accept\":true,"
		     "\"timeout_s\":3600}\n",
		     client->number + 1);
}

static void session_give(struct client *client)
{
	session_line(client, "{\"type\":\"release\",\"lease\":%s}\n", client->token);
}

static void lease_read(struct client *client, const char *line)
{
	const char *value = strstr(line, "\"lease\":");
	size_t length = value != NULL ? strspn(value + 8, " 0123456789") : 0;
	if (length < sizeof(client->token) && value != NULL) {
		memcpy(client->token, value + 8, length);
		client->token[length] = '\0';
	}
}

static enum outcome session_read(struct client *client)
{
	char *end = memchr(client->in, '\n', client->in_count);
	if (end == NULL)
		return OUTCOME_MORE;
	*end = '\0';
	enum outcome outcome = OUTCOME_IGNORED;
	if (strstr(client->in, "\"type\":\"offered\"") != NULL) {
		lease_read(client, client->in);
		session_line(client, "{\"type\":\"accept\",\"lease\":%s}\n", client->token);
		outcome = OUTCOME_OFFERED;
	} else if (strstr(client->in, "\"type\":\"granted\"") != NULL) {
		lease_read(client, client->in);
		outcome = OUTCOME_GRANTED;
	} else if (strstr(client->in, "\"type\":\"released\"") != NULL) {
		outcome = OUTCOME_RELEASED;
	} else if (strstr(client->in, "\"type\":\"heartbeat\"") != NULL) {
		client_write(client, "{\"type\":\"alive\"}\n", 17);
	} else if (strstr(client->in, "\"type\":\"denied\"") != NULL ||
		   strstr(client->in, "\"type\":\"timeout\"") != NULL) {
		fprintf(stderr, "load: %s\n", client->in);
		outcome = OUTCOME_ERROR;
	}
	client_consume(client, (size_t)(end - client->in) + 1);
	return outcome;
}

const struct protocol protocol_session = {"session",    session_connect, session_greet,
					  session_take, session_give,    session_read};

/* --- Redis --- */

static int redis_connect(const char *address, int number)
{
	int fd = connect_tcp(address);
	static const char reset[] =
		"*2\r\n$3\r\nDEL\r\n$4\r\nlock\r\n*3\r\n$5\r\nRPUSH\r\n$4\r\nlock\r\n$1\r\n1\r\n";
	char answer[64];
	size_t count = 0;
	if (fd < 0 || number != 0)
		return fd;
	/* The first client makes the one lock; both answers are one short line each. */
	if (write(fd, reset, sizeof(reset) - 1) < 0)
		return -1;
	for (int lines = 0; lines < 2;) {
		if (read(fd, answer + count, 1) != 1 || count + 2 > sizeof(answer))
			return -1;
		lines += answer[count++] == '\n';
	}
	return fd;
}

static void redis_take(struct client *client)
{
	static const char blpop[] = "*3\r\n$5\r\nBLPOP\r\n$4\r\nlock\r\n$1\r\n0\r\n";
	client->released = false;
	client_write(client, blpop, sizeof(blpop) - 1);
}

static void redis_give(struct client *client)
{
	static const char rpush[] = "*3\r\n$5\r\nRPUSH\r\n$4\r\nlock\r\n$1\r\n1\r\n";
	client->released = true;
	client_write(client, rpush, sizeof(rpush) - 1);
}

static enum outcome redis_read(struct client *client)
{
	static const char granted[] = "*2\r\n$4\r\nlock\r\n$1\r\n1\r\n";
	if (client->released) {
		char *end = memchr(client->in, '\n', client->in_count);
		if (end == NULL)
			return OUTCOME_MORE;
		client_consume(client, (size_t)(end - client->in) + 1);
		return OUTCOME_RELEASED;
	}
	if (client->in_count < sizeof(granted) - 1)
		return OUTCOME_MORE;
	client_consume(client, sizeof(granted) - 1);
	return OUTCOME_GRANTED;
}

const struct protocol protocol_redis = {"redis",    redis_connect, http_greet,
					redis_take, redis_give,    redis_read};

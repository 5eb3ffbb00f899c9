/* http_client: a small blocking HTTP/1.1 client over the broker's Unix socket: one request per
 * connection. It follows no redirect and sends no token: the socket itself identifies us. `run` and
 * `open` use the session protocol through libbaton instead. */
#include "cli/http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/where.h"
#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/reach.h"
#include "http/response_parser.h"

/* SILENT_MS_MAX limits the time without a byte, not that of a long answer as a whole. */
enum { SILENT_MS_MAX = 4000, ANSWER_BYTES_MAX = 64 * 1024 * 1024, LINE_BYTES_MAX = 1 << 20 };

static int describe_failure(char *error, size_t size, int err, const char *what, const char *object)
{
	snprintf(error, size, "%s%s%s", what, object ? " " : "", object ? object : "");
	return err;
}

/* The socket that the user chose; NULL: the default. */
static const char *given_path(void)
{
	const char *given = getenv("BATON_SOCKET");
	return given && *given ? given : NULL;
}

static int describe_silence(char *error, size_t error_size)
{
	snprintf(error, error_size,
		 "the broker does not answer for %d s; it is stopped, or very busy",
		 SILENT_MS_MAX / 1000);
	return -ERR_SLOW;
}

static int find_socket(struct where *where, struct sockaddr_un *address, char *error,
		       size_t error_size)
{
	const char *given = given_path(), *path = given ? given : "";
	int rc = where_look(where);

	if (rc == -ERR_FORBIDDEN) {
		snprintf(error, error_size,
			 "/tmp/baton-%lu belongs to another user, so no broker there can be "
			 "trusted; give --socket PATH",
			 (unsigned long)geteuid());
		return -ERR_FORBIDDEN;
	}

	if (rc == 0)
		path = where_pick(where);
	if (rc < 0 || !where_http(path, address->sun_path, sizeof(address->sun_path))) {
		snprintf(error, error_size,
			 "the socket's path is too long (at most %zu bytes): '%.40s..'",
			 sizeof(address->sun_path) - 1, path);
		return -ERR_BAD_FIELD;
	}

	address->sun_family = AF_UNIX;
	return 0;
}

/* Who owns the folder or socket that we may not open; false: unknown. */
static bool find_owner(const char *path, uid_t *ret_owner)
{
	char at[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat st;
	snprintf(at, sizeof(at), "%s", path);

	for (char *slash = at; slash && slash != at + 1; slash = strrchr(at, '/')) {
		if (slash > at)
			*slash = '\0';
		if (stat(at, &st) == 0) {
			*ret_owner = st.st_uid;
			return true;
		}
	}
	return false;
}

static int describe_foreign(uid_t owner, const char *path, char *error, size_t error_size)
{
	snprintf(error, error_size,
		 "the broker on %s belongs to user %lu, and serves that user only", path,
		 (unsigned long)owner);
	return -ERR_FORBIDDEN;
}

static int describe_no_connection(const struct sockaddr_un *address, char *error, size_t error_size)
{
	const char *path = address->sun_path, *given = given_path();
	uid_t owner = 0;
	bool refused = errno == EACCES || errno == EPERM;

	if (errno == EAGAIN || errno == EINPROGRESS)
		return describe_silence(error, error_size);
	if (refused && find_owner(path, &owner) && owner != geteuid())
		return describe_foreign(owner, path, error, error_size);
	if (refused)
		return describe_failure(error, error_size, -ERR_FORBIDDEN, "this user may not open",
					path);

	if (given && !strchr(given, '/')) {
		snprintf(error, error_size,
			 "no broker answers on '%s', in this folder; start one with: baton up, or "
			 "baton serve",
			 given);
		return -ERR_UNREACHABLE;
	}

	error[0] = '\0'; /* connect_socket lists where it looked */
	return -ERR_UNREACHABLE;
}

static int connect_once(struct where *where, int *ret_fd, char *error, size_t error_size)
{
	const struct timeval limit = {.tv_sec = SILENT_MS_MAX / 1000};
	struct sockaddr_un address = {0};
	int rc = find_socket(where, &address, error, error_size);
	if (rc < 0)
		return rc;

	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return describe_failure(error, error_size, -ERR_IO, "no socket:", strerror(errno));

	/* A stopped broker accepts no connection; once its backlog is full, connect blocks. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return describe_no_connection(&address, error, error_size);

	*ret_fd = take_fd(&fd);
	return 0;
}

/* Which other user's broker answers; false: ours, or unknown. */
static bool is_foreign(int fd, uid_t *ret_owner)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid == geteuid())
		return false;
	*ret_owner = peer.uid;
	return true;
}

/* `patience_ms`: how long to wait for a broker that seems to be restarting. */
static int connect_socket(int64_t patience_ms, int *ret_fd, char *error, size_t error_size)
{
	struct where where;
	int64_t until = clock_now_ms() + patience_ms;
	int pause_ms = WHERE_RESTART_STEP_MS, rc;

	while ((rc = connect_once(&where, ret_fd, error, error_size)) == -ERR_UNREACHABLE &&
	       clock_now_ms() < until && where_may_return(&where)) {
		(void)poll(NULL, 0, pause_ms);
		pause_ms *= 2;
		if (pause_ms > WHERE_RESTART_STEP_MS_MAX)
			pause_ms = WHERE_RESTART_STEP_MS_MAX;
	}

	if (rc == -ERR_UNREACHABLE && !error[0])
		reach_words(error, error_size);
	return rc;
}

static int send_request(int fd, const char *method, const char *path, const char *body,
			const char *accept)
{
	struct buf request = {0};
	size_t body_length = body ? strlen(body) : 0;

	int rc = buf_printf(&request,
			    "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n"
			    "Connection: close\r\n",
			    method, path, accept);
	if (rc == 0 && body)
		rc = buf_printf(&request,
				"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				body_length, body);
	else if (rc == 0)
		rc = buf_append_text(&request, strcmp(method, "POST") == 0
						       ? "Content-Length: 0\r\n\r\n"
						       : "\r\n");

	size_t sent = 0;
	while (rc == 0 && sent < request.length) {
		ssize_t n =
			send(fd, buf_data(&request) + sent, request.length - sent, MSG_NOSIGNAL);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			rc = -ERR_UNREACHABLE;
	}

	buf_finish(&request);
	return rc;
}

static int wait_readable(int fd, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline_ms - clock_now_ms();
		int rc = poll(&p, 1, left > 0 ? (int)left : 0);
		if (rc > 0)
			return 0;
		if (rc == 0)
			return -ERR_SLOW;
		if (errno != EINTR)
			return -ERR_IO;
	}
}

/* ---- one request and its answer ---- */

struct http_exchange {
	int fd;
	struct http_response_parser parser;
	struct buf body;
};

static void collect_body(void *ctx, const char *bytes, size_t length)
{
	struct buf *body = ctx;
	if (body->length + length <= ANSWER_BYTES_MAX)
		buf_append(body, bytes,
			   length); /* cut short it is invalid JSON, which is reported */
}

int http_exchange_fd(const struct http_exchange *exchange)
{
	return exchange->fd;
}

int http_exchange_step(struct http_exchange *exchange)
{
	char bytes[16 * 1024];
	ssize_t n = recv(exchange->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -ERR_UNREACHABLE;
	if (n == 0 && exchange->parser.phase == HTTP_RESPONSE_STATUS_LINE)
		return -ERR_UNREACHABLE; /* the broker ended before it answered */
	if (n == 0)
		return http_response_close(&exchange->parser);

	int rc = http_response_feed(&exchange->parser, bytes, (size_t)n, collect_body,
				    &exchange->body);
	return rc < 0 ? rc : exchange->parser.phase != HTTP_RESPONSE_DONE;
}

void http_exchange_drop(struct http_exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->fd >= 0)
		close(exchange->fd);
	buf_finish(&exchange->body);
	free(exchange);
}

/* Puts {error:{code, message, detail?}} into words. */
static int error_of_answer(int status, const json_t *answer, char *error, size_t error_size)
{
	const json_t *object = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(object, "code"));
	const char *message = json_string_value(json_object_get(object, "message"));
	const char *detail = json_string_value(json_object_get(object, "detail"));

	if (!code) {
		snprintf(error, error_size, "the broker answered with status %d", status);
		return -ERR_PROTOCOL;
	}

	snprintf(error, error_size, "%s%s%s", message ? message : code, detail ? " " : "",
		 detail ? detail : "");
	return -err_from_name(code);
}

static int begin_exchange(int64_t patience_ms, const char *method, const char *path,
			  const char *body, struct http_exchange **ret_exchange, char *error,
			  size_t error_size)
{
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return describe_failure(error, error_size, -ERR_NO_MEMORY, "out of memory", NULL);
	exchange->fd = -1;
	http_response_init(&exchange->parser);

	int rc = connect_socket(patience_ms, &exchange->fd, error, error_size);
	if (rc == 0) {
		rc = send_request(exchange->fd, method, path, body, "application/json");
		if (rc < 0)
			snprintf(error, error_size, "%s", err_text(rc));
	}

	if (rc < 0)
		http_exchange_drop(exchange);
	else
		*ret_exchange = exchange;
	return rc;
}

int http_exchange_begin(const char *method, const char *path, const char *body,
			struct http_exchange **ret_exchange, char *error, size_t error_size)
{
	return begin_exchange(0, method, path, body, ret_exchange, error, error_size);
}

int http_exchange_end(struct http_exchange *exchange, int rc, json_t **ret_answer, char *error,
		      size_t error_size)
{
	const struct buf *text = &exchange->body;
	int status = exchange->parser.status;
	uid_t owner;
	json_t *answer =
		rc == 0 ? json_loadb(text->length ? buf_data(text) : "", text->length, 0, NULL)
			: NULL;

	if (rc == -ERR_SLOW) {
		rc = describe_silence(error, error_size);
	} else if (rc < 0) {
		snprintf(error, error_size, "%s", err_text(rc));
	} else if (status / 100 != 2) {
		rc = error_of_answer(status, answer, error, error_size);
		if ((rc == -ERR_UNAUTHORIZED || rc == -ERR_FORBIDDEN) &&
		    is_foreign(exchange->fd, &owner))
			rc = describe_foreign(owner, "this socket", error, error_size);
	} else if (!answer) {
		rc = describe_failure(error, error_size, -ERR_PROTOCOL,
				      "the broker's answer is no JSON", NULL);
	}

	http_exchange_drop(exchange);
	if (rc < 0)
		json_decref(answer);
	else
		*ret_answer = answer;
	return rc;
}

static int exchange_json(int64_t patience_ms, const char *method, const char *path,
			 const char *body, json_t **ret_answer, char *error, size_t error_size)
{
	struct http_exchange *exchange;
	int rc = begin_exchange(patience_ms, method, path, body, &exchange, error, error_size);
	if (rc < 0)
		return rc;

	do {
		rc = wait_readable(exchange->fd, clock_now_ms() + SILENT_MS_MAX);
		rc = rc < 0 ? rc : http_exchange_step(exchange);
	} while (rc > 0);
	return http_exchange_end(exchange, rc, ret_answer, error, error_size);
}

int http_client_try(const char *method, const char *path, const char *body, json_t **ret_answer,
		    char *error, size_t error_size)
{
	return exchange_json(0, method, path, body, ret_answer, error, error_size);
}

json_t *http_client_status(void)
{
	char error[HTTP_CLIENT_ERROR_BYTES];
	json_t *status;
	int rc = http_client_try("GET", "/v1/gpu/status?limit=0", NULL, &status, error,
				 sizeof(error));

	return rc < 0 ? NULL : status;
}

int http_client_broker(pid_t *ret_pid, int *ret_pidfd, char *error, size_t error_size)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	cleanup_close int fd = -1;
	int rc = connect_socket(0, &fd, error, error_size);
	if (rc < 0)
		return rc;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid <= 0)
		return describe_failure(error, error_size, -ERR_FORBIDDEN,
					"the broker runs in another container; stop it there",
					NULL);

	int pidfd = pidfd_open(peer.pid, 0);
	if (pidfd < 0)
		return describe_failure(error, error_size,
					errno == ESRCH ? -ERR_UNREACHABLE : -ERR_IO,
					"the broker's process cannot be found:", strerror(errno));

	*ret_pid = peer.pid;
	*ret_pidfd = pidfd;
	return 0;
}

int http_client_fail(const struct command *command, int err, const char *error)
{
	return cli_fail(command, err_exit_code(err), "%s", error);
}

int http_client_call(const struct command *command, const char *method, const char *path,
		     const char *body, json_t **ret_answer)
{
	char error[HTTP_CLIENT_ERROR_BYTES];
	int rc = exchange_json(WHERE_RESTART_MS, method, path, body, ret_answer, error,
			       sizeof(error));
	return rc < 0 ? http_client_fail(command, rc, error) : 0;
}

/* ---- streams ---- */

struct http_stream {
	int fd;
	struct http_response_parser parser;
	struct buf line;
	void (*on_line)(void *ctx, const char *line);
	void *ctx;
};

static void cut_lines(void *ctx, const char *bytes, size_t length)
{
	struct http_stream *stream = ctx;

	while (length > 0) {
		const char *end = memchr(bytes, '\n', length);
		size_t part = end ? (size_t)(end - bytes) : length;
		if (stream->line.length + part <= LINE_BYTES_MAX)
			buf_append(&stream->line, bytes, part);

		if (!end)
			return;

		buf_append(&stream->line, "", 1);
		if (stream->on_line)
			stream->on_line(stream->ctx, buf_data(&stream->line));
		buf_clear(&stream->line, LINE_BYTES_MAX);
		length -= part + 1;
		bytes = end + 1;
	}
}

void http_stream_close(struct http_stream *stream)
{
	if (!stream)
		return;
	if (stream->fd >= 0)
		close(stream->fd);
	buf_finish(&stream->line);
	free(stream);
}

int http_stream_fd(const struct http_stream *stream)
{
	return stream->fd;
}

int http_stream_read(struct http_stream *stream, void (*on_line)(void *ctx, const char *line),
		     void *ctx)
{
	char bytes[16 * 1024];
	stream->on_line = on_line;
	stream->ctx = ctx;

	ssize_t n = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -ERR_UNREACHABLE;
	if (n == 0)
		return 0;

	int rc = http_response_feed(&stream->parser, bytes, (size_t)n, cut_lines, stream);
	if (rc == 0 && stream->parser.status && stream->parser.status != 200)
		rc = -ERR_PROTOCOL;
	if (rc < 0)
		return rc;
	return stream->parser.phase == HTTP_RESPONSE_DONE ? 0 : 1;
}

/* Reads the head byte by byte, so that none of the body is read with it. */
static int read_head(struct http_stream *stream)
{
	int64_t deadline_ms = clock_now_ms() + SILENT_MS_MAX;

	while (stream->parser.phase == HTTP_RESPONSE_STATUS_LINE ||
	       stream->parser.phase == HTTP_RESPONSE_HEADER) {
		char c;
		int rc = wait_readable(stream->fd, deadline_ms);
		if (rc < 0)
			return rc;

		ssize_t n = recv(stream->fd, &c, 1, 0);
		if (n == 0)
			return -ERR_UNREACHABLE;
		rc = n == 1 ? http_response_feed(&stream->parser, &c, 1, NULL, NULL) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

int http_stream_request(const char *path, struct http_stream **ret_stream, char *error,
			size_t error_size)
{
	struct http_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return describe_failure(error, error_size, -ERR_NO_MEMORY, "out of memory", NULL);
	stream->fd = -1;
	http_response_init(&stream->parser);

	int rc = connect_socket(0, &stream->fd, error, error_size);
	if (rc == 0) {
		rc = send_request(stream->fd, "GET", path, NULL, "text/event-stream");
		if (rc < 0)
			snprintf(error, error_size, "%s", err_text(rc));
	}

	if (rc < 0)
		http_stream_close(stream);
	else
		*ret_stream = stream;
	return rc;
}

int http_stream_open(const char *path, struct http_stream **ret_stream, char *error,
		     size_t error_size)
{
	struct http_stream *stream;
	int rc = http_stream_request(path, &stream, error, error_size);
	if (rc < 0)
		return rc;

	rc = read_head(stream);
	if (rc == -ERR_SLOW)
		rc = describe_silence(error, error_size);
	else if (rc < 0)
		snprintf(error, error_size, "%s", err_text(rc));
	else if (stream->parser.status != 200)
		rc = error_of_answer(stream->parser.status, NULL, error, error_size);

	if (rc < 0)
		http_stream_close(stream);
	else
		*ret_stream = stream;
	return rc;
}

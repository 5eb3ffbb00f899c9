/* upstream_curl: translates one request for libcurl, and its callbacks back. Checks the head of the
 * response again: libcurl is more lenient than a proxy may be. */
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/fault.h"
#include "http/syntax.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/upstream_impl.h"

/* Set by this module or by the connection, never by the caller. */
static const char *const own_fields[] = {
	"host",   "connection",       "content-length", "transfer-encoding",
	"expect", "upgrade",          "trailer",        "keep-alive",
	"te",     "proxy-connection",
};

enum {
	REWIND_MS_MAX = 1000,
	BESIDE_HEAD_BYTES = 16 * 1024, /* a complete body up to this goes out with its head */
};

static size_t refuse_answer(struct transfer *transfer, const char *what)
{
	if (!transfer->err) {
		transfer->err = ERR_UPSTREAM_BROKEN;
		transfer->what = what;
	}
	return 0; /* ends the transfer */
}

static void enter_phase(struct transfer *transfer, enum upstream_phase phase)
{
	transfer->phase = phase;
	transfer_deadline_begin(transfer);
}

/* A connection that its server had closed turns out dead at once. Later, or where it may have read
 * the request, it is the server that ended while it worked, and what made it end is not sent again.
 */
static bool was_dead_before(const struct transfer *transfer)
{
	return !transfer->rewound && upstream_socket_may_repeat(transfer) &&
	       mono_since(loop_now(), transfer->progress_at) <= REWIND_MS_MAX;
}

/* Where nothing of a body was sent, or there is none, it is sent again without being rewound. */
static bool may_go_out(struct transfer *transfer)
{
	if (transfer->asked == 0 || transfer->rewound)
		return transfer->asked < 2;
	if (!was_dead_before(transfer))
		return false;
	transfer->rewound = true;
	return true;
}

/* Connected, or reusing a connection; the request goes out now. */
static int on_connected(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	(void)ip, (void)local_ip;
	struct transfer *transfer = ctx;

	if (!may_go_out(transfer)) {
		(void)refuse_answer(transfer, "the connection ended before an answer");
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->elsewhere = !upstream_socket_take(transfer, local_port, port);
	if (transfer->elsewhere)
		return CURL_PREREQFUNC_ABORT;

	transfer->asked++;
	enter_phase(transfer, transfer->sends_body ? UPSTREAM_SEND : UPSTREAM_HEAD);
	return CURL_PREREQFUNC_OK;
}

/* Responses are smuggled by duplicate or invalid framing. */
static const char *check_framing_field(struct transfer *transfer, const struct http_field *field)
{
	uint64_t length;
	bool is_length = http_field_is(field, "content-length");
	bool is_encoding = http_field_is(field, "transfer-encoding");
	if (!is_length && !is_encoding)
		return NULL;
	if (transfer->has_length || transfer->has_encoding)
		return "two lengths, or a length beside chunks";

	transfer->has_length = is_length;
	transfer->has_encoding = is_encoding;
	if (is_length && !http_read_length(field->value, field->value_length, &length))
		return "malformed Content-Length";
	if (is_encoding && (field->value_length != strlen("chunked") ||
			    strncasecmp(field->value, "chunked", field->value_length) != 0))
		return "a transfer encoding other than chunked";
	return NULL;
}

static bool begin_head(struct transfer *transfer, const char *line, size_t length)
{
	if (length < strlen("HTTP/1.1 200") || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return false;

	transfer->status = 0;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		transfer->status = transfer->status * 10 + line[i] - '0';
	}

	transfer->head.length = 0;
	transfer->has_length = transfer->has_encoding = false;
	transfer->in_head = true;
	return transfer->status >= 100 && transfer->status != 101;
}

/* Of an answer with a length libcurl reads no more than that, and what came behind it in the same
 * record waits decrypted where nobody can look: such a connection is not used again. */
static void end_head(struct transfer *transfer)
{
	transfer->in_head = false;
	if (transfer->status < 200)
		return; /* an interim response: the final one follows */

	const char *fields = buf_data(&transfer->head);
	if (transfer->tls && transfer->has_length)
		(void)curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
	enter_phase(transfer, UPSTREAM_BODY);
	transfer->handlers->on_head(
		transfer->ctx, transfer->id, transfer->status,
		(struct http_field_iterator){fields, fields + transfer->head.length});
	buf_finish(&transfer->head);
}

/* It is the answer to what was asked there before. */
static size_t refuse_early_answer(struct transfer *transfer)
{
	if (!was_dead_before(transfer))
		return refuse_answer(transfer, "an answer came before the request was there");
	transfer->rewound = transfer->elsewhere = true;
	transfer->body_at = 0;
	return 0;
}

static size_t on_line(char *line, size_t size, size_t count, void *ctx)
{
	struct transfer *transfer = ctx;
	size_t length = size * count;
	struct http_field field;
	struct http_fault fault;

	if (transfer->cancelled)
		return 0;
	if (transfer->head_bytes == 0 && upstream_socket_came_before(transfer))
		return refuse_early_answer(transfer);
	transfer_progress(transfer);
	transfer->head_bytes += length;
	if (transfer->head_bytes > UPSTREAM_HEAD_BYTES)
		return refuse_answer(transfer, "the head of the answer is too long");
	if (transfer->phase == UPSTREAM_BODY)
		return length; /* trailers are dropped */

	if (length < 2 || memcmp(line + length - 2, "\r\n", 2) != 0)
		return refuse_answer(transfer, "a line ends in a bare LF");
	if (length == 2) {
		end_head(transfer);
		return transfer->cancelled ? 0 : length;
	}
	if (!transfer->in_head)
		return begin_head(transfer, line, length)
			       ? length
			       : refuse_answer(transfer, "malformed status line");

	if (!http_field_split(line, length - 2, &field, &fault))
		return refuse_answer(transfer, fault.what);
	const char *fault_words = check_framing_field(transfer, &field);
	if (fault_words)
		return refuse_answer(transfer, fault_words);
	if (buf_append(&transfer->head, line, length) != 0)
		return refuse_answer(transfer, "out of memory");
	return length;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *transfer = ctx;
	size_t length = size * count;

	if (transfer->cancelled || transfer->err)
		return 0;
	if (transfer->paused) {
		transfer->halted = true;
		return CURL_WRITEFUNC_PAUSE;
	}

	transfer_progress(transfer);
	transfer->handlers->on_body(transfer->ctx, transfer->id, bytes, length);
	return transfer->cancelled || transfer->err ? 0 : length;
}

static size_t take_body(struct transfer *transfer, char *bytes, size_t capacity)
{
	size_t left = transfer->body.length - transfer->body_at;
	size_t n = left < capacity ? left : capacity;
	if (n == 0)
		return 0;

	memcpy(bytes, buf_data(&transfer->body) + transfer->body_at, n);
	if (transfer->streamed)
		buf_consume(&transfer->body, n);
	else
		transfer->body_at += n;
	return n;
}

static size_t on_upload_ready(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *transfer = ctx;
	if (transfer->cancelled || transfer->err)
		return CURL_READFUNC_ABORT;
	size_t n = take_body(transfer, bytes, size * count);
	if (n == 0 && !transfer->body_ended) {
		transfer->starved = true;
		return CURL_READFUNC_PAUSE;
	}

	transfer_progress(transfer);
	if (transfer->writer_waits && transfer->body.length <= UPSTREAM_LOW_BYTES)
		transfer_changed(transfer);
	bool sent = transfer->body_ended && transfer->body.length == transfer->body_at;
	if (sent && transfer->phase == UPSTREAM_SEND)
		enter_phase(transfer, UPSTREAM_HEAD);
	return n;
}

/* A reused connection may turn out dead: then the request is sent again, once. */
static int on_rewind(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *transfer = ctx;
	if (transfer->streamed || origin != SEEK_SET || offset < 0 ||
	    (uint64_t)offset > transfer->body.length || !was_dead_before(transfer))
		return CURL_SEEKFUNC_CANTSEEK;
	transfer->rewound = true;
	transfer->body_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool is_own_field(const char *name)
{
	for (size_t i = 0; i < sizeof(own_fields) / sizeof(*own_fields); i++) {
		if (strcasecmp(own_fields[i], name) == 0)
			return true;
	}
	return false;
}

static int add_line(struct transfer *transfer, const char *line)
{
	struct curl_slist *grown = curl_slist_append(transfer->fields, line);
	if (!grown)
		return -ERR_NO_MEMORY;
	transfer->fields = grown;
	return 0;
}

/* "Name: value"; libcurl reads "Name:" as removing the field, and "Name;" as an empty value. */
static int add_field(struct transfer *transfer, const struct http_header *field)
{
	struct buf line = {0};
	if (!http_is_token(field->name) || is_own_field(field->name) ||
	    http_has_control(field->value, strlen(field->value)))
		return -ERR_BAD_FIELD;

	int rc = field->value[0] ? buf_printf(&line, "%s: %s%c", field->name, field->value, '\0')
				 : buf_printf(&line, "%s;%c", field->name, '\0');
	if (!rc)
		rc = add_line(transfer, buf_data(&line));
	buf_finish(&line);
	return rc;
}

static int add_host(struct transfer *transfer, const char *host)
{
	struct buf line = {0};
	int rc = http_has_control(host, strlen(host)) || !host[0] ? -ERR_BAD_FIELD : 0;

	if (!rc)
		rc = buf_printf(&line, "Host: %s%c", host, '\0');
	if (!rc)
		rc = add_line(transfer, buf_data(&line));
	buf_finish(&line);
	return rc;
}

/* Removes the fields that libcurl would add by itself. */
static int add_fields(struct transfer *transfer, const struct upstream_request *request)
{
	bool has_accept = false, has_type = false;
	int rc = add_line(transfer, "Expect:");

	if (!rc && request->host)
		rc = add_host(transfer, request->host);
	for (size_t i = 0; i < request->field_count && !rc; i++) {
		has_accept |= strcasecmp(request->fields[i].name, "accept") == 0;
		has_type |= strcasecmp(request->fields[i].name, "content-type") == 0;
		rc = add_field(transfer, &request->fields[i]);
	}
	if (!rc && !has_accept)
		rc = add_line(transfer, "Accept:");
	if (!rc && !has_type)
		rc = add_line(transfer, "Content-Type:");
	return rc;
}

/* One write, and a server that wakes up once. Borrowed by libcurl, so it is ours to wipe. */
static int add_small_body(struct transfer *transfer, const struct upstream_request *request)
{
	CURL *easy = transfer->easy;
	int rc = buf_append(&transfer->body, request->body, request->body_length);

	if (rc)
		return rc;
	(void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
	(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
			       request->body_length ? buf_data(&transfer->body) : "");
	return 0;
}

static int add_body(struct transfer *transfer, const struct upstream_request *request)
{
	CURL *easy = transfer->easy;
	bool wants_length = strcmp(request->method, "POST") == 0 ||
			    strcmp(request->method, "PUT") == 0 ||
			    strcmp(request->method, "PATCH") == 0;

	transfer->streamed = request->streamed;
	transfer->body_ended = !request->streamed;
	transfer->body_left = request->streamed ? request->body_bytes : 0;
	if (!request->streamed && !request->body_length && !wants_length)
		return 0;

	if (wants_length && !request->streamed && request->body_length <= BESIDE_HEAD_BYTES)
		return add_small_body(transfer, request);

	curl_off_t length = request->streamed ? (curl_off_t)request->body_bytes
					      : (curl_off_t)request->body_length;
	transfer->sends_body = request->streamed || request->body_length > 0;
	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, length);
	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16L * 1024);
	/* A stream cannot be rewound and sent again. */
	transfer->fresh = request->streamed;
	(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)request->streamed);
	return request->streamed ? 0
				 : buf_append(&transfer->body, request->body, request->body_length);
}

/* The URL comes from the caller's configuration; still, refuses a user and anything that ends a
 * line. */
static int set_url(struct transfer *transfer, const char *url)
{
	char *user = NULL, *fragment = NULL;
	CURLU *parts = curl_url();
	bool is_tls = strncasecmp(url, "https://", 8) == 0;
	bool fine = parts &&
		    curl_url_set(parts, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
		    curl_url_get(parts, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_NO_FRAGMENT &&
		    (is_tls || strncasecmp(url, "http://", 7) == 0);

	for (const char *at = url; *at; at++)
		fine = fine && *at > 0x20 && *at < 0x7f;

	transfer->tls = is_tls;
	curl_free(user);
	curl_free(fragment);
	curl_url_cleanup(parts);
	if (!fine)
		return -ERR_BAD_FIELD;
	return curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ERR_NO_MEMORY;
}

static void set_callbacks(struct transfer *transfer)
{
	CURL *easy = transfer->easy;

	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_words);
	upstream_socket_watch(transfer->upstream, easy);

	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);

	(void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload_ready);
	(void)curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
	(void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
	(void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
}

/* libcurl copies every string option. */
static bool set_options(CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
			       1L); /* does not wait for cancelled name lookups */
	(void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16L * 1024);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);

	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK;
}

/* RFC 9110 9.2.2. */
static bool is_idempotent(const char *method)
{
	static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (!strcmp(method, methods[i]))
			return true;
	return false;
}

static int set_method(CURL *easy, const char *method)
{
	if (!http_is_token(method) || strcmp(method, "CONNECT") == 0)
		return -ERR_BAD_FIELD;
	if (strcmp(method, "HEAD") == 0)
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK ? 0
										 : -ERR_NO_MEMORY;
}

static int set_unix_path(CURL *easy, const char *path)
{
	return !path || curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, path) == CURLE_OK
		       ? 0
		       : -ERR_NO_MEMORY;
}

/* All that there is of HTTP in the connection is its owner's. */
static int prepare_raw(struct transfer *transfer, const struct upstream_request *request)
{
	int rc = set_url(transfer, request->url);

	if (rc)
		return rc;
	transfer->raw = transfer->streamed = true;
	transfer->body_left = -1;
	(void)curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_ONLY, 1L);
	(void)curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
	return set_unix_path(transfer->easy, request->unix_path);
}

int transfer_prepare(struct transfer *transfer, const struct upstream_request *request)
{
	CURL *easy = transfer->easy = curl_easy_init();
	if (!easy || !set_options(easy))
		return -ERR_NO_MEMORY;
	set_callbacks(transfer);
	if (request->raw)
		return prepare_raw(transfer, request);

	int rc = set_method(easy, request->method);
	if (rc)
		return rc;
	transfer->idempotent = transfer->may_repeat = is_idempotent(request->method);
	rc = set_url(transfer, request->url);
	if (rc)
		return rc;
	rc = add_fields(transfer, request);
	if (rc)
		return rc;
	rc = add_body(transfer, request);
	if (rc)
		return rc;
	rc = set_unix_path(easy, request->unix_path);
	if (rc)
		return rc;

	return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->fields) == CURLE_OK
		       ? 0
		       : -ERR_NO_MEMORY;
}

int transfer_err(const struct transfer *transfer, CURLcode code, const char **ret_what)
{
	*ret_what = transfer->curl_words[0] ? transfer->curl_words : curl_easy_strerror(code);
	if (code == CURLE_OUT_OF_MEMORY && transfer->phase == UPSTREAM_HEAD) {
		*ret_what =
			"a line of the answer's head is too long"; /* libcurl's limit: 100 KiB */
		return ERR_UPSTREAM_BROKEN;
	}
	if (code == CURLE_OUT_OF_MEMORY)
		return ERR_NO_MEMORY;
	if (transfer->phase == UPSTREAM_CONNECT)
		return ERR_UPSTREAM_UNREACHABLE;
	return code == CURLE_OPERATION_TIMEDOUT ? ERR_UPSTREAM_SLOW : ERR_UPSTREAM_BROKEN;
}

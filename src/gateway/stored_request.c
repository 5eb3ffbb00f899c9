/* errand: see errand.h. */
#include "gateway/errand.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/answer_fields.h"
#include "gateway/api_error.h"
#include "gateway/catalog.h"
#include "gateway/gateway.h"
#include "gateway/model.h"
#include "gateway/relay_impl.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/upstream.h"

enum { CONNECT_MS = 5000, ERRANDS_MAX = 256, ERRANDS_MAX_PER_KEY = 32 };

struct errand {
	struct list link; /* errands.list */
	struct errands *errands;
	uint64_t conn, request; /* request 0: none */
	char *principal, *name, *origin, *server;
	char id[RESPONSE_ID_BYTES];
	bool deletes, begun;
	int status;
};

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort();
	return copy;
}

static struct errand *open_errand(struct errands *errands, const struct http_request *request,
				  const struct gateway_client *client)
{
	struct errand *errand = calloc(1, sizeof(*errand));

	if (!errand)
		abort();
	errand->errands = errands;
	errand->conn = request->conn;
	errand->principal = copy_text(client->principal);
	errand->name = copy_text(client->name);
	errand->origin = copy_text(client->origin);
	errand->deletes = !strcmp(request->method, "DELETE");
	list_init(&errand->link);
	list_append(&errands->list, &errand->link);
	return errand;
}

static void log_errand(const struct errand *errand, const char *outcome)
{
	log_event(errand->errands->log, LOG_INFO, "request", log_str("path", "/v1/responses/ID"),
		  log_str("client", errand->name),
		  log_str("server", errand->server ? errand->server : ""),
		  log_str("outcome", outcome), log_int("status", errand->status),
		  log_str("principal", errand->principal));
}

/* Takes it. */
static void end_errand(struct errand *errand, const char *outcome)
{
	log_errand(errand, outcome);
	if (errand->request)
		upstream_cancel(errand->errands->upstream, errand->request);
	list_remove(&errand->link);
	free(errand->principal);
	free(errand->name);
	free(errand->origin);
	free(errand->server);
	free(errand);
}

/* In the shape that clients of this API read. Takes it. */
static void fail_errand(struct errand *errand, int err, const char *message)
{
	struct errands *errands = errand->errands;
	const struct api_error error = {.err = err, .message = message};
	struct answer_fields fields = {.count = 0};
	cleanup_text struct text body = {0};
	int retry_s = api_error_retry_s(&error);

	if (errand->begun) {
		http_stream_abort(errands->net, errand->conn);
		end_errand(errand, err_name(err));
		return;
	}

	api_error_body(&body, API_RESPONSES, &error);
	answer_fields_text(&fields, "Content-Type", api_error_content_type(API_RESPONSES));
	if (retry_s > 0)
		answer_fields_number(&fields, "Retry-After", retry_s);
	else
		answer_fields_text(&fields, "x-should-retry", "false");
	answer_fields_origin(&fields, errand->origin);
	errand->status = api_error_status(&error);
	http_reply(errands->net, errand->conn, errand->status, fields.v, fields.count, body.bytes,
		   body.length);
	end_errand(errand, err_name(err));
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator from)
{
	struct errand *errand = ctx;
	struct answer_fields fields; /* large, and only as far as it is filled */
	(void)request;

	errand->begun = true;
	errand->status = status;
	if (errand->deletes && status >= 200 && status < 300)
		response_book_forget(&errand->errands->book, errand->id, errand->principal);
	answer_fields_begin(&fields, from);
	answer_fields_text(&fields, "x-baton-served-by", errand->server);
	answer_fields_origin(&fields, errand->origin);
	http_stream_begin(errand->errands->net, errand->conn, status, fields.v, fields.count);
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct errand *errand = ctx;

	if (!http_stream_write(errand->errands->net, errand->conn, bytes, length))
		upstream_pause(errand->errands->upstream, request, true);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct errand *errand = ctx;
	cleanup_text struct text words = {0};
	(void)request;

	errand->request = 0;
	if (end->err) {
		text_format(&words, "The model server `%s`: %s (%s).", errand->server,
			    err_text(end->err), end->what);
		fail_errand(errand, end->err, words.bytes);
		return;
	}
	http_stream_end(errand->errands->net, errand->conn);
	end_errand(errand, errand->status < 400 ? "ok" : "refused");
}

/* The server that made it, if it is still what it was. */
static const struct model_server *find_server(const struct catalog *catalog,
					      const struct response_note *note)
{
	catalog_servers(server, catalog)
	{
		if (server->configured && !server->removed && !strcmp(server->name, note->server) &&
		    !strcmp(server->url, note->url))
			return server;
	}
	return NULL;
}

static int send_errand(struct errand *errand, const struct http_request *request,
		       const struct model_server *server)
{
	static const struct upstream_handlers handlers = {on_head, on_body, NULL, on_end};
	struct http_header fields[RELAY_FIELD_COUNT];
	cleanup_text struct text url = {0}, bearer = {0};
	struct upstream_request ask = {
		.method = request->method,
		.owner = errand->principal,
		.fields = fields,
		.body = request->body,
		.body_length = request->body_length,
		.connect_time_ms = CONNECT_MS,
		.first_byte_time_ms = (int)server->silence_ms,
		.idle_time_ms = (int)server->silence_ms,
	};
	size_t kept_size;
	char *kept = relay_keep_fields(request->fields, &kept_size);
	int rc;

	text_format(&url, "%s%s%s%s", server->url, request->path, request->query[0] ? "?" : "",
		    request->query);
	text_str(&bearer, "");
	if (server->key)
		text_format(&bearer, "Bearer %s", server->key);
	ask.url = url.bytes;
	ask.field_count = relay_gather_fields(kept, kept_size, bearer.bytes, fields);
	rc = upstream_start(errand->errands->upstream, &ask, &handlers, errand, &errand->request);
	explicit_bzero(bearer.bytes, bearer.length);
	free(kept);
	return rc;
}

/* "ID", "ID/input_items" of GET, "ID/cancel" of POST. False: it is nothing of the kind. */
static bool take_id(const struct http_request *request, char ret_id[RESPONSE_ID_BYTES])
{
	const char *id = request->path + strlen("/v1/responses/");
	size_t length = strcspn(id, "/");
	const char *what = id + length;
	bool posts = !strcmp(request->method, "POST"), gets = !strcmp(request->method, "GET");

	if (length >= RESPONSE_ID_BYTES)
		return false;
	memcpy(ret_id, id, length);
	ret_id[length] = '\0';
	if (!response_id_ok(ret_id, length))
		return false;
	if (!strcmp(what, "/cancel"))
		return posts;
	return (!what[0] && !posts) || (gets && !strcmp(what, "/input_items"));
}

static bool are_too_many(const struct errands *errands, const char *principal)
{
	unsigned all = 0, own = 0;

	list_each (it, next, &errands->list) {
		all++;
		own += !strcmp(container_of(it, struct errand, link)->principal, principal);
	}
	return all > ERRANDS_MAX || own > ERRANDS_MAX_PER_KEY;
}

void errand_begin(struct errands *errands, const struct http_request *request,
		  const struct gateway_client *client)
{
	struct errand *errand = open_errand(errands, request, client);
	const struct model_server *server = NULL;
	struct response_note note;
	int rc;

	if (are_too_many(errands, client->principal)) {
		fail_errand(errand, ERR_QUOTA,
			    "Too many of these are on their way; try again when one is over.");
		return;
	}
	if (take_id(request, errand->id) &&
	    response_book_find(&errands->book, errand->id, client->principal, &note))
		server = find_server(errands->catalog, &note);
	if (!server) {
		fail_errand(errand, ERR_NOT_FOUND,
			    "No such response is known here: of each key the last 256 are, from "
			    "servers that are still there, and none from before a restart.");
		return;
	}

	errand->server = copy_text(server->name);
	rc = send_errand(errand, request, server);
	if (rc != 0)
		fail_errand(errand, -rc, err_text(-rc));
}

static struct errand *errand_of(const struct errands *errands, uint64_t conn)
{
	list_each (it, next, &errands->list) {
		struct errand *errand = container_of(it, struct errand, link);
		if (errand->conn == conn)
			return errand;
	}
	return NULL;
}

void errands_writable(struct errands *errands, uint64_t conn)
{
	const struct errand *errand = errand_of(errands, conn);

	if (errand && errand->request)
		upstream_pause(errands->upstream, errand->request, false);
}

bool errands_gone(struct errands *errands, uint64_t conn)
{
	struct errand *errand = errand_of(errands, conn);

	if (!errand)
		return false;
	end_errand(errand, "left");
	return true;
}

void errands_end(struct errands *errands, const char *principal, int err, const char *message)
{
	list_each (it, next, &errands->list) {
		struct errand *errand = container_of(it, struct errand, link);
		if (!principal || !strcmp(errand->principal, principal))
			fail_errand(errand, err, message);
	}
}

void errands_init(struct errands *errands)
{
	list_init(&errands->list);
	response_book_init(&errands->book);
}

void errands_finish(struct errands *errands)
{
	list_each (it, next, &errands->list)
		end_errand(container_of(it, struct errand, link), "stopped");
	response_book_finish(&errands->book);
}

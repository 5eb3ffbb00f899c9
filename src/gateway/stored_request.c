/* stored_request: see stored_request.h. */
#include "gateway/stored_request.h"

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

enum { CONNECT_MS = 5000, REQUESTS_MAX = 256, REQUESTS_MAX_PER_KEY = 32 };

struct stored_request {
	struct list link; /* stored_requests.list */
	struct stored_requests *requests;
	uint64_t conn, request; /* request 0: none */
	char *principal, *name, *origin, *server;
	char id[API_RESPONSE_ID_BYTES];
	bool deletes, begun;
	int status;
};

static struct stored_request *open_request(struct stored_requests *requests,
					   const struct http_request *request,
					   const struct gateway_client *client)
{
	struct stored_request *stored = calloc(1, sizeof(*stored));

	if (!stored)
		abort();
	stored->requests = requests;
	stored->conn = request->conn;
	stored->principal = text_dup(client->principal);
	stored->name = text_dup(client->name);
	stored->origin = text_dup(client->origin);
	stored->deletes = !strcmp(request->method, "DELETE");
	list_init(&stored->link);
	list_append(&requests->list, &stored->link);
	return stored;
}

static void log_outcome(const struct stored_request *stored, const char *outcome)
{
	log_event(stored->requests->log, LOG_INFO, "request", log_str("path", "/v1/responses/ID"),
		  log_str("client", stored->name),
		  log_str("server", stored->server ? stored->server : ""),
		  log_str("outcome", outcome), log_int("status", stored->status),
		  log_str("principal", stored->principal));
}

/* Takes it. */
static void end_request(struct stored_request *stored, const char *outcome)
{
	log_outcome(stored, outcome);
	if (stored->request)
		upstream_cancel(stored->requests->upstream, stored->request);
	list_remove(&stored->link);
	free(stored->principal);
	free(stored->name);
	free(stored->origin);
	free(stored->server);
	free(stored);
}

/* In the shape that clients of this API read. Takes it. */
static void fail_request(struct stored_request *stored, int err, const char *message)
{
	struct stored_requests *requests = stored->requests;
	const struct api_error error = {.err = err, .message = message};
	struct answer_fields fields = {.count = 0};
	cleanup_text struct text body = {0};
	int retry_s = api_error_retry_s(&error);

	if (stored->begun) {
		http_stream_abort(requests->net, stored->conn);
		end_request(stored, err_name(err));
		return;
	}

	api_error_body(&body, API_RESPONSES, &error);
	answer_fields_text(&fields, "Content-Type", api_error_content_type(API_RESPONSES));
	if (retry_s > 0)
		answer_fields_number(&fields, "Retry-After", retry_s);
	else
		answer_fields_text(&fields, "x-should-retry", "false");
	answer_fields_origin(&fields, stored->origin);
	stored->status = api_error_status(&error);
	http_reply(requests->net, stored->conn, stored->status, fields.v, fields.count, body.bytes,
		   body.length);
	end_request(stored, err_name(err));
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator from)
{
	struct stored_request *stored = ctx;
	struct answer_fields fields; /* large, and only as far as it is filled */
	(void)request;

	stored->begun = true;
	stored->status = status;
	if (stored->deletes && status >= 200 && status < 300)
		response_index_forget(&stored->requests->index, stored->id, stored->principal);
	answer_fields_begin(&fields, from);
	answer_fields_text(&fields, "x-baton-served-by", stored->server);
	answer_fields_origin(&fields, stored->origin);
	http_stream_begin(stored->requests->net, stored->conn, status, fields.v, fields.count);
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct stored_request *stored = ctx;

	if (!http_stream_write(stored->requests->net, stored->conn, bytes, length))
		upstream_pause(stored->requests->upstream, request, true);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct stored_request *stored = ctx;
	cleanup_text struct text words = {0};
	(void)request;

	stored->request = 0;
	if (end->err) {
		text_format(&words, "The model server `%s`: %s (%s).", stored->server,
			    err_text(end->err), end->what);
		fail_request(stored, end->err, words.bytes);
		return;
	}
	http_stream_end(stored->requests->net, stored->conn);
	end_request(stored, stored->status < 400 ? "ok" : "refused");
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

int stored_requests_locate(const struct stored_requests *requests, const char *id,
			   const char *principal, const struct model_server **ret_server,
			   struct text *words)
{
	struct response_note note;

	*ret_server = NULL;
	if (!response_index_find(&requests->index, id, principal, &note)) {
		if (!response_index_has(&requests->index, id))
			return ERR_NONE;
		text_format(words, "No response `%s` is known here.", id);
		return ERR_NOT_FOUND;
	}
	*ret_server = find_server(requests->catalog, &note);
	if (*ret_server)
		return ERR_NONE;
	text_format(
		words,
		"The model server `%s`, which made the response `%s`, is not here any more; send "
		"all of what was said instead of `previous_response_id`.",
		note.server, id);
	return ERR_NOT_FOUND;
}

static int forward_request(struct stored_request *stored, const struct http_request *request,
			   const struct model_server *server)
{
	static const struct upstream_handlers handlers = {on_head, on_body, NULL, on_end};
	struct http_header fields[RELAY_FIELD_COUNT];
	cleanup_text struct text url = {0}, bearer = {0};
	struct upstream_request ask = {
		.method = request->method,
		.owner = stored->principal,
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
	rc = upstream_start(stored->requests->upstream, &ask, &handlers, stored, &stored->request);
	explicit_bzero(bearer.bytes, bearer.length);
	free(kept);
	return rc;
}

/* "ID", "ID/input_items" of GET, "ID/cancel" of POST. False: it is nothing of the kind. */
static bool take_id(const struct http_request *request, char ret_id[API_RESPONSE_ID_BYTES])
{
	const char *id = request->path + strlen("/v1/responses/");
	size_t length = strcspn(id, "/");
	const char *what = id + length;
	bool posts = !strcmp(request->method, "POST"), gets = !strcmp(request->method, "GET");

	if (length >= API_RESPONSE_ID_BYTES)
		return false;
	memcpy(ret_id, id, length);
	ret_id[length] = '\0';
	if (!response_id_ok(ret_id, length))
		return false;
	if (!strcmp(what, "/cancel"))
		return posts;
	return (!what[0] && !posts) || (gets && !strcmp(what, "/input_items"));
}

static bool are_too_many(const struct stored_requests *requests, const char *principal)
{
	unsigned all = 0, own = 0;

	list_each (it, next, &requests->list) {
		all++;
		own += !strcmp(container_of(it, struct stored_request, link)->principal, principal);
	}
	return all > REQUESTS_MAX || own > REQUESTS_MAX_PER_KEY;
}

void stored_request_begin(struct stored_requests *requests, const struct http_request *request,
			  const struct gateway_client *client)
{
	struct stored_request *stored = open_request(requests, request, client);
	const struct model_server *server = NULL;
	struct response_note note;
	int rc;

	if (are_too_many(requests, client->principal)) {
		fail_request(stored, ERR_QUOTA,
			     "Too many of these are on their way; try again when one is over.");
		return;
	}
	if (take_id(request, stored->id) &&
	    response_index_find(&requests->index, stored->id, client->principal, &note))
		server = find_server(requests->catalog, &note);
	if (!server) {
		fail_request(stored, ERR_NOT_FOUND,
			     "No such response is known here: of each key the last 256 are, from "
			     "servers that are still there, and none from before a restart.");
		return;
	}

	stored->server = text_dup(server->name);
	rc = forward_request(stored, request, server);
	if (rc != 0)
		fail_request(stored, -rc, err_text(-rc));
}

static struct stored_request *request_of(const struct stored_requests *requests, uint64_t conn)
{
	list_each (it, next, &requests->list) {
		struct stored_request *stored = container_of(it, struct stored_request, link);
		if (stored->conn == conn)
			return stored;
	}
	return NULL;
}

void stored_requests_writable(struct stored_requests *requests, uint64_t conn)
{
	const struct stored_request *stored = request_of(requests, conn);

	if (stored && stored->request)
		upstream_pause(requests->upstream, stored->request, false);
}

bool stored_requests_gone(struct stored_requests *requests, uint64_t conn)
{
	struct stored_request *stored = request_of(requests, conn);

	if (!stored)
		return false;
	end_request(stored, "left");
	return true;
}

void stored_requests_end(struct stored_requests *requests, const char *principal, int err,
			 const char *message)
{
	list_each (it, next, &requests->list) {
		struct stored_request *stored = container_of(it, struct stored_request, link);
		if (!principal || !strcmp(stored->principal, principal))
			fail_request(stored, err, message);
	}
}

void stored_requests_init(struct stored_requests *requests)
{
	list_init(&requests->list);
	response_index_init(&requests->index);
}

void stored_requests_finish(struct stored_requests *requests)
{
	list_each (it, next, &requests->list)
		end_request(container_of(it, struct stored_request, link), "stopped");
	response_index_finish(&requests->index);
}

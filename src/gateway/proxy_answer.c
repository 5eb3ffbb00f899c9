/* proxy_answer: what the client of a server's pages hears: the server's answer as it comes, or why
 * there is none, as a page to people and as JSON to programs; and how a request ends. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/api_error.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/tunnel.h"
#include "net/upstream.h"

enum { HEADER_COUNT_MAX = 128, HEADER_TEXT_BYTES = 64 * 1024 };

struct headers {
	struct http_header v[HEADER_COUNT_MAX];
	size_t count, used;
	bool over; /* there were more */
	char text[HEADER_TEXT_BYTES];
};

/* The pieces of its value one behind the other. */
static void add_header(struct headers *headers, const char *name, size_t name_length,
		       const char *begin, const char *value, size_t value_length)
{
	size_t begin_length = strlen(begin), size = name_length + begin_length + value_length + 2;
	char *at = headers->text + headers->used;

	if (headers->count == HEADER_COUNT_MAX || size > sizeof(headers->text) - headers->used) {
		headers->over = true;
		return;
	}
	memcpy(at, name, name_length);
	at[name_length] = '\0';
	headers->v[headers->count++] = (struct http_header){at, at + name_length + 1};
	at += name_length + 1;
	memcpy(at, begin, begin_length);
	memcpy(at + begin_length, value, value_length);
	at[begin_length + value_length] = '\0';
	headers->used += size;
}

static void add_text(struct headers *headers, const char *name, const char *value)
{
	add_header(headers, name, strlen(name), "", value, strlen(value));
}

static void add_number(struct headers *headers, const char *name, int64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, number);
	add_text(headers, name, digits);
}

/* What of an answer is about its server's connection, or Baton's to say. */
static bool is_kept_back(const struct http_field *field)
{
	static const char *const kept_back[] = {
		"connection", "keep-alive", "transfer-encoding", "content-length",   "trailer",
		"upgrade",    "date",       "alt-svc",           "proxy-connection", NULL};

	return http_field_is_any(field, kept_back) ||
	       (field->name_length > 15 && !strncasecmp(field->name, "access-control-", 15));
}

/* The server's own address as the client knows it. */
static void add_location(struct headers *headers, const struct proxied *p,
			 const struct http_field *field)
{
	const char *url = p->model->server->url, *rest = field->value;
	size_t length = strlen(url), left = field->value_length;
	char own[PROXY_HOST_BYTES + 8] = "";

	if (left >= length && !strncasecmp(rest, url, length) &&
	    (left == length || strchr("/?#", rest[length]))) {
		snprintf(own, sizeof(own), "http://%s", p->host);
		rest += length;
		left -= length;
	}
	add_header(headers, "Location", 8, own, rest, left);
}

static void gather_headers(struct headers *headers, const struct proxied *p,
			   struct http_field_iterator fields, int64_t *ret_length)
{
	const struct http_hop_names hops = http_hop_names(fields);
	struct http_field field;
	uint64_t length;

	*ret_length = -1;
	while (http_field_next(&fields, &field)) {
		if (http_field_is(&field, "content-length") &&
		    http_read_length(field.value, field.value_length, &length))
			*ret_length = (int64_t)length;
		if (http_field_is(&field, "location"))
			add_location(headers, p, &field);
		else if (!is_kept_back(&field) && !http_is_hop(&hops, &field))
			add_header(headers, field.name, field.name_length, "", field.value,
				   field.value_length);
	}
	if (p->takes_turn && p->granted.v != MONO_NEVER.v)
		add_number(headers, "x-baton-wait-ms", mono_since(p->granted, p->since));
}

bool proxied_begin_answer(struct proxied *p, int status, struct http_field_iterator fields)
{
	struct headers headers = {.count = 0};
	int64_t length;

	if (!p->conn)
		return true;
	gather_headers(&headers, p, fields, &length);
	if (headers.over) {
		proxied_fail(p, ERR_UPSTREAM_BROKEN, "The server's answer has too many headers.",
			     0);
		return false;
	}
	p->begun = true;
	if (length >= 0)
		http_stream_begin_sized(p->proxy->net, p->conn, status, headers.v, headers.count,
					(uint64_t)length);
	else
		http_stream_begin(p->proxy->net, p->conn, status, headers.v, headers.count);
	return true;
}

void proxied_answer_kept(struct proxied *p)
{
	struct headers headers = {.count = 0};
	const char *fields = p->answer_fields.length ? buf_data(&p->answer_fields) : "";
	int64_t length;

	if (!p->conn)
		return;
	gather_headers(&headers, p,
		       (struct http_field_iterator){fields, fields + p->answer_fields.length},
		       &length);
	if (headers.over) { /* its server may work all the same */
		proxied_refuse(p, ERR_UPSTREAM_BROKEN, "The server's answer has too many headers.");
		return;
	}
	http_reply(p->proxy->net, p->conn, p->status, headers.v, headers.count,
		   p->answer.length ? buf_data(&p->answer) : "", p->answer.length);
	proxied_forget_client(p);
}

void proxied_answer_started(struct proxied *p)
{
	const struct http_header back = {"Location", "/"};

	http_reply(p->proxy->net, p->conn, 303, &back, 1, "", 0);
	proxied_forget_client(p);
	proxied_end(p, "ok");
}

/* Of ComfyUI's and A1111's errors in one: what the pages of both show. */
static void write_json(struct text *body, int err, const char *message)
{
	text_str(body, "{\"error\":{");
	text_json_str(body, "type", err_name(err));
	text_json_str(body, "code", err_name(err));
	text_json_str(body, "message", message);
	text_str(body, ",\"details\":\"\",\"extra_info\":{}},\"node_errors\":{}");
	text_json_str(body, "detail", message);
	text_char(body, '}');
}

static void add_escaped(struct text *body, const char *words)
{
	for (; *words; words++) {
		if (*words == '<')
			text_str(body, "&lt;");
		else if (*words == '&')
			text_str(body, "&amp;");
		else
			text_char(body, *words);
	}
}

static void write_page(struct text *body, const char *server, const char *message, bool can_start)
{
	text_str(body, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">"
		       "<meta name=\"viewport\" content=\"width=device-width\"><title>");
	add_escaped(body, server);
	text_str(body, "</title><body style=\"font:16px/1.5 system-ui;max-width:40em;"
		       "margin:3em auto;padding:0 1em\"><h1>");
	add_escaped(body, server);
	text_str(body, " cannot answer</h1><p>");
	add_escaped(body, message);
	text_str(body, "</p>");
	if (can_start)
		text_str(body, "<form method=\"post\" action=\"" PROXY_START_PATH "\">"
			       "<button>Start it now</button></form>");
	text_str(body, "</body></html>\n");
}

struct refusal {
	int err;
	const char *server, *message;
	int64_t retry_ms;
	bool wants_html, can_start;
};

static void answer_refusal(struct net *net, uint64_t conn, const struct refusal *refusal)
{
	const struct api_error error = {
		.err = refusal->err, .message = refusal->message, .retry_ms = refusal->retry_ms};
	cleanup_text struct text body = {0};
	struct headers headers = {.count = 0};
	int retry_s = api_error_retry_s(&error);

	text_str(&body, "");
	if (refusal->wants_html)
		write_page(&body, refusal->server, refusal->message, refusal->can_start);
	else
		write_json(&body, refusal->err, refusal->message);
	add_text(&headers, "Content-Type",
		 refusal->wants_html ? "text/html; charset=utf-8" : "application/json");
	add_text(&headers, "Cache-Control", "no-store");
	add_text(&headers, "Content-Security-Policy",
		 "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
		 "frame-ancestors 'none'");
	if (retry_s > 0)
		add_number(&headers, "Retry-After", retry_s);
	http_reply(net, conn, api_error_status(&error), headers.v, headers.count, body.bytes,
		   body.length);
}

void proxy_refuse(struct proxy *proxy, const struct http_request *request, int err,
		  const char *message)
{
	answer_refusal(proxy->net, request->conn,
		       &(struct refusal){.err = err, .server = proxy->server, .message = message});
}

static void log_outcome(const struct proxied *p, const char *outcome)
{
	struct mono_ms now = loop_now();
	bool granted = p->granted.v != MONO_NEVER.v;
	int path = (int)strcspn(p->target, "?");
	char words[LIMIT_ID_BYTES];

	snprintf(words, sizeof(words), "%.*s", path, p->target);
	log_event(p->gateway->log, LOG_INFO, "request", log_str("path", words),
		  log_str("client", p->model->server->name),
		  log_str("class", lease_class_name(p->cls)), log_str("model", p->label),
		  log_str("outcome", outcome), log_int("status", p->status),
		  log_int("waited_ms", mono_since(granted ? p->granted : now, p->since)),
		  log_int("total_ms", mono_since(now, p->since)));
}

void proxied_forget_client(struct proxied *p)
{
	if (!p->conn)
		return;
	hash_remove(&p->proxy->by_conn, &p->by_conn);
	p->conn = 0;
	p->proxy = NULL;
}

static void free_proxied(struct proxied *p)
{
	list_remove(&p->link);
	buf_finish(&p->head);
	buf_finish(&p->answer);
	buf_finish(&p->answer_fields);
	free(p->target);
	free(p->host);
	free(p->fields);
	free(p);
}

void proxied_end(struct proxied *p, const char *outcome)
{
	struct gateway *gateway = p->gateway;
	struct model *model = p->model;
	bool ran = p->takes_turn && p->granted.v != MONO_NEVER.v;

	if (p->takes_turn)
		log_outcome(p, outcome);
	upstream_cancel(gateway->pages_upstream, p->request);
	call_cancel(p->call);
	proxied_leave_queue(p);
	proxied_give_back(p);
	proxied_forget_client(p);
	held_drop(p->held);
	free_proxied(p);
	if (model->server->removed)
		gateway_look_later(gateway);

	if (!ran)
		return;
	model->running--;
	residence_worked(&gateway->residences, model, loop_now());
}

static void say_error(const struct proxied *p, int err, const char *message, int64_t retry_ms)
{
	const struct model_server *server = p->model->server;
	bool down = err == ERR_UPSTREAM_UNREACHABLE;
	const struct refusal refusal = {.err = err,
					.server = server->name,
					.message = message,
					.retry_ms = retry_ms,
					.wants_html = p->wants_html,
					.can_start = down && server->cmd && server->on_gpu};

	if (p->conn && p->tunnelled)
		tunnel_end(p->proxy->net, p->conn);
	else if (p->conn && p->begun)
		http_stream_abort(p->proxy->net, p->conn);
	else if (p->conn)
		answer_refusal(p->proxy->net, p->conn, &refusal);
}

void proxied_refuse(struct proxied *p, int err, const char *message)
{
	say_error(p, err, message, 0);
	proxied_forget_client(p);
}

void proxied_fail(struct proxied *p, int err, const char *message, int64_t retry_ms)
{
	say_error(p, err, message, retry_ms);
	p->status = p->status ? p->status : err_http_status(err);
	proxied_end(p, err_name(err));
}

/* Where the server answers before it works, what was sent is its to finish. */
void proxied_abandon(struct proxied *p, const char *outcome)
{
	proxied_forget_client(p);
	if (p->stage == PROXIED_WORKING || (p->stage == PROXIED_FORWARDED && p->from_disk))
		return;
	if (p->stage != PROXIED_FORWARDED || !p->takes_turn) {
		proxied_end(p, outcome);
		return;
	}
	upstream_cancel(p->gateway->pages_upstream, p->request);
	p->request = 0;
	proxied_begin_work(p, loop_now());
}

/* proxy_forward: a request for the pages of a server to that server, and its answer back: bytes, in
 * pieces, and whoever is slow slows the other down. A prompt goes from the disk, and its answer is
 * kept until it is complete, since it names what is to be waited for. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/adapter_read.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/http.h"
#include "net/http_receive.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/upstream.h"

enum {
	FIELD_COUNT_MAX = 64 + 1,
	CONNECT_MS = 5000,
	PIECE_BYTES = 32 * 1024,
	ANSWER_BYTES_MAX = 4 * 1024 * 1024,
	BREAKS_MAX = 3, /* of one prompt: it may be what ends its server */
};

static size_t gather_fields(const struct proxied *p, struct http_header *ret_fields)
{
	const char *at = p->fields, *end = at + p->fields_size;
	size_t count = 0;

	while (at < end && count < FIELD_COUNT_MAX - 1) {
		const char *value = at + strlen(at) + 1;
		if (!p->keeps_answer || strcasecmp(at, "accept-encoding") != 0)
			ret_fields[count++] = (struct http_header){at, value};
		at = value + strlen(value) + 1;
	}
	if (p->keeps_answer) /* it is read */
		ret_fields[count++] = (struct http_header){"Accept-Encoding", "identity"};
	return count;
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct proxied *p = ctx;
	(void)request;

	p->status = status;
	if (!p->keeps_answer)
		(void)proxied_begin_answer(p, status, fields);
	else if (buf_append(&p->answer_fields, fields.at, (size_t)(fields.end - fields.at)) != 0)
		p->answer_fields.length = 0;
}

/* Too long to be kept: it goes on as it comes, and names nothing. */
static void give_up_keeping(struct proxied *p, uint64_t request)
{
	const char *fields = p->answer_fields.length ? buf_data(&p->answer_fields) : "";
	const struct http_field_iterator all = {fields, fields + p->answer_fields.length};

	p->keeps_answer = false;
	if (!proxied_begin_answer(p, p->status, all) || !p->conn)
		return;
	if (!http_stream_write(p->proxy->net, p->conn, buf_data(&p->answer), p->answer.length))
		upstream_pause(p->gateway->pages_upstream, request, true);
	buf_finish(&p->answer);
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct proxied *p = ctx;

	if (p->keeps_answer) {
		if (buf_append(&p->answer, bytes, length) != 0)
			proxied_fail(p, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY), 0);
		else if (p->answer.length > ANSWER_BYTES_MAX)
			give_up_keeping(p, request);
	} else if (p->conn && !http_stream_write(p->proxy->net, p->conn, bytes, length)) {
		upstream_pause(p->gateway->pages_upstream, request, true);
	}
}

static void on_writable(void *ctx, uint64_t request)
{
	struct proxied *p = ctx;
	(void)request;

	if (p->held) {
		proxied_push_held(p);
	} else if (p->conn && p->body_paused) {
		p->body_paused = false;
		http_pause_body(p->proxy->net, p->conn, false);
	}
}

/* Whether its server is down, and what can be done about it. */
static void say_unreachable(const struct proxied *p, const struct upstream_end *end,
			    struct text *words)
{
	const struct model_server *server = p->model->server;
	bool down = end->nobody || end->phase == UPSTREAM_CONNECT;

	if (down && server->cmd)
		text_format(
			words,
			"`%s` is not running. Baton starts it for the first request that "
			"takes a turn, such as %s, or when it is told to (POST " PROXY_START_PATH
			"), and not for its pages.",
			server->name, server->adapter->turns[0]);
	else if (down)
		text_format(words, "Nothing answers at %s. Start `%s`, then load this page again.",
			    server->url, server->name);
	else
		text_format(words, "`%s` at %s broke off: %s.", server->name, server->url,
			    end->what);
}

/* What broke off may have arrived, and is asked for before. Who waits for an answer hears it. */
static bool may_be_tried_again(struct proxied *p, const struct upstream_end *end)
{
	bool sent = end->phase != UPSTREAM_CONNECT;

	if (!sent && p->held)
		held_sending(p->held, false);
	return !sent || (p->kept && ++p->breaks < BREAKS_MAX);
}

static void request_failed(struct proxied *p, const struct upstream_end *end)
{
	const struct model_server *server = p->model->server;
	cleanup_text struct text words = {0};
	struct mono_ms now = loop_now();

	say_unreachable(p, end, &words);
	if (end->err == ERR_UPSTREAM_SLOW && p->takes_turn) { /* it may work all the same */
		proxied_stop_work(p);
		if (p->conn && !p->begun)
			proxied_refuse(p, ERR_UPSTREAM_SLOW, words.bytes);
		proxied_forget_client(p);
		proxied_begin_work(p, now);
		return;
	}
	if (!may_be_tried_again(p, end) || !proxied_put_off(p, words.bytes))
		proxied_fail(p, end->err, words.bytes, 0);
	if (end->nobody)
		residence_server_gone(server, now); /* nothing of it runs there now */
}

void proxied_take_prompt(struct proxied *p, const char *prompt)
{
	struct held_head head;

	snprintf(p->prompt, sizeof(p->prompt), "%s", prompt);
	if (!p->prompt[0] || !p->held)
		return;
	proxied_head(p, &head);
	held_sent(p->held, &head);
}

/* It is known by its id from now on. */
static void read_prompt(struct proxied *p)
{
	char prompt[HELD_PROMPT_BYTES];

	if (!p->keeps_answer || p->status != 200 || !p->answer.length)
		return;
	adapter_read_prompt(buf_data(&p->answer), p->answer.length, prompt, sizeof(prompt));
	proxied_take_prompt(p, prompt);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct proxied *p = ctx;
	bool queued;
	(void)request;

	p->request = 0;
	if (end->err) {
		request_failed(p, end);
		return;
	}

	read_prompt(p);
	if (p->keeps_answer)
		proxied_answer_kept(p);
	else if (p->conn)
		http_stream_end(p->proxy->net, p->conn);
	proxied_forget_client(p);

	queued = p->from_disk ? p->prompt[0] != '\0' : p->status < 400;
	if (p->takes_turn && queued)
		proxied_begin_work(p, loop_now());
	else
		proxied_end(p, p->status < 400 ? "ok" : "refused");
}

static const struct upstream_handlers handlers = {on_head, on_body, on_writable, on_end};

/* Behind the brace of a body that is an object with something in it; 0: it is none. */
static size_t place_of_id(const char *bytes, size_t length)
{
	static const char spaces[] = " \t\r\n";
	size_t at = 0, brace;

	while (at < length && strchr(spaces, bytes[at]) && bytes[at])
		at++;
	if (at == length || bytes[at] != '{')
		return 0;
	for (brace = ++at; at < length && bytes[at] && strchr(spaces, bytes[at]);)
		at++;
	return at < length && bytes[at] == '"' ? brace : 0;
}

/* The client's own one stands behind it, and counts. */
static size_t write_id(const struct proxied *p, char *text, size_t size)
{
	return p->id_at ? (size_t)snprintf(text, size, "\"prompt_id\":\"%s\",", p->id) : 0;
}

/* The beginning of the body, with the id in its place. */
static bool write_first(struct proxied *p, const char *bytes, size_t length)
{
	struct upstream *upstream = p->gateway->pages_upstream;
	char id[HELD_ID_BYTES + 32];
	size_t id_length = write_id(p, id, sizeof(id));

	(void)upstream_write(upstream, p->request, bytes, p->id_at);
	(void)upstream_write(upstream, p->request, id, id_length);
	return upstream_write(upstream, p->request, bytes + p->id_at, length - p->id_at);
}

/* Where its id goes; the length of all of it then. */
static uint64_t prepare_held(struct proxied *p)
{
	char bytes[PIECE_BYTES], id[HELD_ID_BYTES + 32];
	int n;

	p->held->at = 0;
	n = held_read(p->held, bytes, sizeof(bytes));
	p->held->at = 0;
	p->id_at = n > 0 && p->id[0] ? place_of_id(bytes, (size_t)n) : 0;
	return p->held->bytes + write_id(p, id, sizeof(id));
}

void proxied_push_held(struct proxied *p)
{
	char bytes[PIECE_BYTES];
	bool more = true;
	int n = 1;

	while (more && n > 0) {
		bool first = p->held->at == 0 && p->id_at > 0;
		n = held_read(p->held, bytes, sizeof(bytes));
		if (n > 0 && first)
			more = write_first(p, bytes, (size_t)n);
		else if (n > 0)
			more = upstream_write(p->gateway->pages_upstream, p->request, bytes,
					      (size_t)n);
	}
	if (n <= 0) /* where the disk failed it is shorter than announced, and refused as such */
		upstream_write_end(p->gateway->pages_upstream, p->request);
}

void proxied_forward(struct proxied *p)
{
	const struct model_server *server = p->model->server;
	struct http_header fields[FIELD_COUNT_MAX];
	cleanup_text struct text url = {0};
	int silence_ms = p->takes_turn ? (int)server->silence_ms : 0;
	struct upstream_request request = {
		.method = p->method,
		.host = p->host,
		.fields = fields,
		.streamed = p->has_body,
		.body_bytes = p->held ? (int64_t)prepare_held(p) : p->body_bytes,
		.connect_time_ms = CONNECT_MS,
		.first_byte_time_ms = silence_ms,
		.idle_time_ms = silence_ms,
	};
	int rc;

	p->stage = PROXIED_FORWARDED;
	p->keeps_answer = p->from_disk;
	text_format(&url, "%s%s", server->url, p->target);
	request.url = url.bytes;
	request.field_count = gather_fields(p, fields);
	if (p->held)
		held_sending(p->held, true);
	rc = upstream_start(p->gateway->pages_upstream, &request, &handlers, p, &p->request);
	if (rc != 0) {
		proxied_fail(p, -rc, err_text(rc), 0);
		return;
	}

	if (p->held) {
		proxied_push_held(p);
	} else if (p->body_paused) {
		p->body_paused = false;
		http_pause_body(p->proxy->net, p->conn, false);
	}
}

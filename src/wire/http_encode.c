/* http_encode: what HTTP clients of the lock routes get, from the core's effects. Parks nothing and
 * knows no connection. Called by the server when it carries out EFFECT_SEND, and for refusals. */
#include "wire/http_encode.h"

#include "base/err.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/session_encode.h"

static const char json_media_type[] = "application/json";

static void set_answer(struct http_answer *ret_answer, int status, int retry_after_s)
{
	*ret_answer = (struct http_answer){
		.status = status, .content_type = json_media_type, .retry_after_s = retry_after_s};
}

static void add_error(struct text *body, int err, const char *detail)
{
	text_json_key(body, "error");
	text_char(body, '{');
	encode_error(body, err, detail);
	text_char(body, '}');
}

/* The predecessor's pages look at `status`; "timeout" and "released" are words that it used. */
static const char *status_word(int err)
{
	switch (err) {
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_RELEASED:
		return "released";
	default:
		return "error";
	}
}

void http_encode_error(struct text *body, int err, const char *detail,
		       struct http_answer *ret_answer)
{
	err = err < 0 ? -err : err;
	text_char(body, '{');
	text_json_str(body, "status", status_word(err));
	text_json_str(body, "msg", err_text(err));
	add_error(body, err, detail);
	text_char(body, '}');
	set_answer(ret_answer, err_http_status(err), err_retry_s(err));
}

void http_encode_ok(struct text *body, struct http_answer *ret_answer)
{
	text_str(body, "{\"status\":\"ok\"}");
	set_answer(ret_answer, 200, 0);
}

static void add_grant(struct text *body, const struct send_effect *send,
		      const struct encode_context *facts)
{
	encode_token(body, &send->token);
	text_json_u64(body, "lease", send->lease);
	text_json_u64(body, "fence", send->fence);
	encode_gpus(body, send->gpus, facts->config);
	encode_observed(body, send->observed, send->would_wait);
	if (send->expires_ms > 0)
		text_json_seconds(body, "expires_in_s", send->expires_ms);
}

/* Done: one word in `status`, and what more there is to say. */
static void answer_done(struct text *body, const struct send_effect *send,
			const struct encode_context *facts, struct http_answer *ret_answer)
{
	enum send_kind msg = send->msg;

	text_char(body, '{');
	if (msg == SEND_GRANTED) {
		text_json_str(body, "status", "acquired");
		add_grant(body, send, facts);
	} else if (msg == SEND_RENEWED) {
		text_json_str(body, "status", "renewed");
		encode_renewed(body, send);
	} else if (msg == SEND_OK) {
		text_json_str(body, "status", "ok");
		text_json_u64(body, "count", send->lease);
	} else {
		text_json_str(body, "status", "released");
	}
	text_char(body, '}');

	set_answer(ret_answer, 200, 0);
}

bool http_encode_effect(struct text *body, enum route_id route, const struct send_effect *send,
			const struct encode_context *facts, struct http_answer *ret_answer)
{
	switch (send->msg) {
	case SEND_GRANTED:
	case SEND_RENEWED:
	case SEND_OK:
		answer_done(body, send, facts, ret_answer);
		return true;
	case SEND_RELEASED:
		/* To the holder's unlock: done. To a parked lock: an operator ended it. */
		if (route == ROUTE_LOCK)
			http_encode_error(body, ERR_RELEASED, send->detail, ret_answer);
		else
			answer_done(body, send, facts, ret_answer);
		return true;
	case SEND_TIMEOUT:
		http_encode_error(body, ERR_TIMEOUT, NULL, ret_answer);
		return true;
	case SEND_REVOKED:
		http_encode_error(body, ERR_REVOKED, send->detail, ret_answer);
		return true;
	case SEND_DENIED:
		http_encode_error(body, send->err, send->detail, ret_answer);
		return true;
	case SEND_WELCOME:
	case SEND_CLAIM:
	case SEND_QUEUED:
	case SEND_OFFERED:
	case SEND_YIELD:
	case SEND_KEEP:
	case SEND_CHANGED:
	case SEND_LENT:
	case SEND_NOTICE:
	case SEND_HEARTBEAT:
	case SEND_COUNT:
		break;
	}

	return false;
}

void http_encode_sse(struct text *out, uint64_t id, const char *event, const char *json)
{
	if (id) {
		text_str(out, "id: ");
		text_u64(out, id);
		text_char(out, '\n');
	}
	text_str(out, "event: ");
	text_str(out, event);
	text_str(out, "\ndata: ");
	text_str(out, json);
	text_str(out, "\n\n");
}

void http_encode_sse_keepalive(struct text *out)
{
	text_str(out, ":\n\n");
}

bool http_encode_stream(struct text *out, const struct send_effect *send,
			const struct encode_context *facts, bool *ret_last)
{
	enum send_kind msg = send->msg;
	bool last = msg == SEND_REVOKED || msg == SEND_RELEASED || msg == SEND_TIMEOUT ||
		    msg == SEND_DENIED;
	*ret_last = last;
	if (!last && msg != SEND_QUEUED && msg != SEND_GRANTED && msg != SEND_YIELD &&
	    msg != SEND_KEEP)
		return false;
	text_str(out, "event: ");
	text_str(out, send_kind_name(msg));
	text_str(out, "\ndata: ");
	session_encode(out, send, facts);
	text_str(out, "\n\n");
	return true;
}

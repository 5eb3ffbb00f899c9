/* request_head: one header line, and what the header block as a whole says about framing and
 * upgrading. Called by request_parser.c only. */
#include "http/request_head.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/syntax.h"

/* A field that may be a list may come twice; the first value is kept. */
static const struct {
	const char *name;
	uint8_t length;
	bool list;
} known[HTTP_FIELD_COUNT] = {
#define FIELD(text, is_list)                                                                       \
	{                                                                                          \
		text, sizeof(text) - 1, is_list                                                    \
	}
	[HTTP_HOST] = FIELD("host", false),
	[HTTP_ORIGIN] = FIELD("origin", false),
	[HTTP_AUTHORIZATION] = FIELD("authorization", false),
	[HTTP_CONTENT_TYPE] = FIELD("content-type", false),
	[HTTP_ACCEPT] = FIELD("accept", true),
	[HTTP_COOKIE] = FIELD("cookie", false),
	[HTTP_USER_AGENT] = FIELD("user-agent", false),
	[HTTP_SEC_FETCH_SITE] = FIELD("sec-fetch-site", false),
	[HTTP_LAST_EVENT_ID] = FIELD("last-event-id", false),
	[HTTP_IF_NONE_MATCH] = FIELD("if-none-match", true),
	[HTTP_ACCEPT_ENCODING] = FIELD("accept-encoding", true),
	[HTTP_RANGE] = FIELD("range", false),
	[HTTP_IF_RANGE] = FIELD("if-range", false),
	[HTTP_REQUEST_METHOD] = FIELD("access-control-request-method", false),
	[HTTP_WS_KEY] = FIELD("sec-websocket-key", false),
	[HTTP_WS_VERSION] = FIELD("sec-websocket-version", false),
	[HTTP_CONTENT_LENGTH] = FIELD("content-length", false),
	[HTTP_TRANSFER_ENCODING] = FIELD("transfer-encoding", false),
	[HTTP_CONNECTION] = FIELD("connection", true),
	[HTTP_UPGRADE] = FIELD("upgrade", true),
	[HTTP_EXPECT] = FIELD("expect", false),
#undef FIELD
};

static enum http_field find_known(const char *name, size_t length)
{
	for (enum http_field field = 0; field < HTTP_FIELD_COUNT; field++) {
		if (known[field].length == length &&
		    strncasecmp(known[field].name, name, length) == 0)
			return field;
	}
	return HTTP_FIELD_COUNT;
}

/* name ":" OWS value OWS, NUL-terminating the value in place. */
static bool split_line(char *line, size_t length, size_t *ret_name_length, char **ret_value,
		       struct http_fault *ret_fault)
{
	size_t name = 0;
	while (name < length && http_is_token_byte((unsigned char)line[name]))
		name++;
	if (name == 0)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "empty header name or folded header line");
	if (name == length || line[name] != ':')
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "header line without a colon behind its name");
	size_t start = name + 1, end = length;
	while (start < end && (line[start] == ' ' || line[start] == '\t'))
		start++;
	while (end > start && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	if (http_has_control(line + start, end - start))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "control byte in a header");
	line[end] = '\0';
	*ret_name_length = name;
	*ret_value = line + start;
	return true;
}

/* Does the comma-separated list hold the token? */
static bool list_has(const char *list, const char *token)
{
	size_t token_length = strlen(token);
	for (const char *at = list; *at;) {
		at += strspn(at, " \t,");
		size_t item = strcspn(at, " \t,");
		if (item == token_length && strncasecmp(at, token, item) == 0)
			return true;
		at += item;
	}
	return false;
}

/* Exactly "Transfer-Encoding:chunked" with at most one space: white space that one reader trims
 * and another does not is how requests are smuggled (C21). */
static bool check_transfer_encoding(const char *line, size_t name_length, const char *value,
				    struct http_fault *ret_fault)
{
	size_t space = (size_t)(value - (line + name_length + 1));
	if (space > 1 || (space == 1 && value[-1] != ' ') || strcasecmp(value, "chunked") != 0)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a transfer encoding other than chunked");
	return true;
}

bool http_read_field(struct http_request_parser *parser, char *bytes, char *line, size_t length,
		     struct http_fault *ret_fault)
{
	size_t name_length;
	char *value;
	if (!split_line(line, length, &name_length, &value, ret_fault))
		return false;
	enum http_field field = find_known(line, name_length);
	if (field == HTTP_FIELD_COUNT)
		return true;
	if (parser->values[field] && !known[field].list)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a header that may appear once appeared twice");
	if (field == HTTP_TRANSFER_ENCODING &&
	    !check_transfer_encoding(line, name_length, value, ret_fault))
		return false;
	if (field == HTTP_CONNECTION) {
		parser->close |= list_has(value, "close");
		parser->upgrade_connection |= list_has(value, "upgrade");
	}
	if (field == HTTP_UPGRADE)
		parser->upgrade_websocket |= list_has(value, "websocket");
	if (!parser->values[field])
		parser->values[field] = (uint32_t)(value - bytes);
	return true;
}

/* Trailers are checked and dropped; one that would change framing or routing is refused. */
bool http_read_trailer(char *line, size_t length, struct http_fault *ret_fault)
{
	size_t name_length;
	char *value;
	if (!split_line(line, length, &name_length, &value, ret_fault))
		return false;
	enum http_field field = find_known(line, name_length);
	if (field == HTTP_CONTENT_LENGTH || field == HTTP_TRANSFER_ENCODING || field == HTTP_HOST)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a framing header among the trailers");
	return true;
}

static bool read_content_length(struct http_request_parser *parser, const char *value,
				struct http_fault *ret_fault)
{
	const size_t digits_max = 18; /* fits 63 bits */
	size_t digits = strspn(value, "0123456789");
	if (digits == 0 || digits > digits_max || value[digits])
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed Content-Length");
	uint64_t length = 0;
	for (size_t i = 0; i < digits; i++)
		length = length * 10 + (uint64_t)(value[i] - '0');
	if (length > LIMIT_BODY_BYTES)
		return http_refuse(ret_fault, 413, ERR_TOO_LARGE, "body over the limit");
	parser->body_length = (uint32_t)length;
	return true;
}

static bool judge_framing(struct http_request_parser *parser, char *bytes,
			  struct http_fault *ret_fault)
{
	const char *length = http_request_value(parser, bytes, HTTP_CONTENT_LENGTH);
	const char *encoding = http_request_value(parser, bytes, HTTP_TRANSFER_ENCODING);
	if (encoding && length)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "Content-Length and Transfer-Encoding together");
	if (encoding && parser->is_http10)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "Transfer-Encoding on HTTP/1.0");
	parser->phase = encoding ? HTTP_CHUNK_SIZE : HTTP_BODY;
	return length ? read_content_length(parser, length, ret_fault) : true;
}

static bool is_websocket_key(const char *key)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	return strspn(key, alphabet) == 22 && strcmp(key + 22, "==") == 0; /* 16 bytes */
}

/* Any other upgrade (h2c) is not taken: the request is answered as plain HTTP/1.1. */
static bool judge_upgrade(struct http_request_parser *parser, const char *bytes,
			  struct http_fault *ret_fault)
{
	if (!parser->upgrade_websocket || !parser->upgrade_connection)
		return true;
	const char *version = http_request_value(parser, bytes, HTTP_WS_VERSION);
	const char *key = http_request_value(parser, bytes, HTTP_WS_KEY);
	if (strcmp(bytes, "GET") != 0 || parser->is_http10 || parser->body_length ||
	    parser->phase != HTTP_BODY)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a WebSocket handshake is a GET without a body");
	if (!version || strcmp(version, "13") != 0)
		return http_refuse(ret_fault, 426, ERR_BAD_REQUEST, "WebSocket version is not 13");
	if (!key || !is_websocket_key(key))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed Sec-WebSocket-Key");
	parser->websocket = true;
	return true;
}

bool http_judge_head(struct http_request_parser *parser, char *bytes, struct http_fault *ret_fault)
{
	const char *host = http_request_value(parser, bytes, HTTP_HOST);
	const char *expect = http_request_value(parser, bytes, HTTP_EXPECT);
	if (!host)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "no Host header");
	if (!http_is_host(host, strlen(host)))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed Host header");
	if (parser->target_host && strcasecmp(bytes + parser->target_host, host) != 0)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "target and Host name different hosts");
	if (!judge_framing(parser, bytes, ret_fault))
		return false;
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return http_refuse(ret_fault, 417, ERR_BAD_REQUEST, "unknown Expect");
	parser->expect_continue = expect && !parser->is_http10;
	parser->close |= parser->is_http10;
	return judge_upgrade(parser, bytes, ret_fault);
}

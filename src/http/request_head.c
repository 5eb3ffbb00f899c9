/* request_head: one header line, and what the header block as a whole means for framing and
 * upgrading. */
#include "http/request_head.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/fault.h"
#include "http/field.h"
#include "http/request_parser.h"
#include "http/request_target.h"

/* A list field may appear twice; the first value is kept. */
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
	[HTTP_REQUEST_HEADERS] = FIELD("access-control-request-headers", true),
	[HTTP_API_KEY] = FIELD("x-api-key", true),
	[HTTP_WS_KEY] = FIELD("sec-websocket-key", false),
	[HTTP_WS_VERSION] = FIELD("sec-websocket-version", false),
	[HTTP_CONTENT_LENGTH] = FIELD("content-length", false),
	[HTTP_TRANSFER_ENCODING] = FIELD("transfer-encoding", false),
	[HTTP_CONNECTION] = FIELD("connection", true),
	[HTTP_UPGRADE] = FIELD("upgrade", true),
	[HTTP_EXPECT] = FIELD("expect", false),
#undef FIELD
};

static enum http_known_field find_known(const char *name, size_t length)
{
	for (enum http_known_field field = 0; field < HTTP_FIELD_COUNT; field++) {
		if (known[field].length == length &&
		    strncasecmp(known[field].name, name, length) == 0)
			return field;
	}
	return HTTP_FIELD_COUNT;
}

/* Exactly "Transfer-Encoding:chunked" with at most one space: requests are smuggled by white space
 * that one parser trims and another does not (C21). */
static bool check_transfer_encoding(const struct http_field *field, struct http_fault *ret_fault)
{
	size_t space = (size_t)(field->value - (field->name + field->name_length + 1));

	if (space > 1 || (space == 1 && field->value[-1] != ' ') ||
	    field->value_length != strlen("chunked") ||
	    strncasecmp(field->value, "chunked", field->value_length) != 0)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a transfer encoding other than chunked");
	return true;
}

bool http_read_field(struct http_request_parser *parser, char *bytes, char *line, size_t length,
		     struct http_fault *ret_fault)
{
	struct http_field field;
	if (!http_field_split(line, length, &field, ret_fault))
		return false;
	line[field.value + field.value_length - line] = '\0';

	enum http_known_field known_field = find_known(line, field.name_length);
	if (known_field == HTTP_FIELD_COUNT)
		return true;
	if (parser->values[known_field] && !known[known_field].list)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a header that may appear once appeared twice");
	if (known_field == HTTP_TRANSFER_ENCODING && !check_transfer_encoding(&field, ret_fault))
		return false;

	if (known_field == HTTP_CONNECTION) {
		parser->close |= http_list_has(field.value, field.value_length, "close");
		parser->upgrade_connection |=
			http_list_has(field.value, field.value_length, "upgrade");
	}
	if (known_field == HTTP_UPGRADE)
		parser->upgrade_websocket |=
			http_list_has(field.value, field.value_length, "websocket");
	if (!parser->values[known_field])
		parser->values[known_field] = (uint32_t)(field.value - bytes);
	return true;
}

static bool check_framing(struct http_request_parser *parser, char *bytes,
			  struct http_fault *ret_fault)
{
	const char *length = http_request_value(parser, bytes, HTTP_CONTENT_LENGTH);
	const char *encoding = http_request_value(parser, bytes, HTTP_TRANSFER_ENCODING);
	uint64_t body_bytes = 0;

	if (encoding && length)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "Content-Length and Transfer-Encoding together");
	if (encoding && parser->is_http10)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "Transfer-Encoding on HTTP/1.0");
	if (length && !http_read_length(length, strlen(length), &body_bytes))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed Content-Length");

	parser->phase = HTTP_BODY;
	if (encoding)
		http_body_by_chunks(&parser->body, LIMIT_BODY_BYTES);
	else
		http_body_by_length(&parser->body, body_bytes, LIMIT_BODY_BYTES);
	return true;
}

static bool is_websocket_key(const char *key)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	return strspn(key, alphabet) == 22 && strcmp(key + 22, "==") == 0; /* 16 bytes */
}

/* Ignores any other upgrade (h2c): the request is answered as plain HTTP/1.1. */
static bool check_upgrade(struct http_request_parser *parser, const char *bytes,
			  struct http_fault *ret_fault)
{
	if (!parser->upgrade_websocket || !parser->upgrade_connection)
		return true;

	const char *version = http_request_value(parser, bytes, HTTP_WS_VERSION);
	const char *key = http_request_value(parser, bytes, HTTP_WS_KEY);

	if (strcmp(bytes, "GET") != 0 || parser->is_http10 || parser->body.left ||
	    parser->body.phase != HTTP_BODY_BY_LENGTH)
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

	if (!check_framing(parser, bytes, ret_fault))
		return false;
	if (expect && strcasecmp(expect, "100-continue") != 0)
		return http_refuse(ret_fault, 417, ERR_BAD_REQUEST, "unknown Expect");

	parser->expect_continue = expect && !parser->is_http10;
	parser->close |= parser->is_http10;
	return check_upgrade(parser, bytes, ret_fault);
}

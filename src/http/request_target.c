/* request_target: the request line: method, target, version; and the syntax of a host. Knows no
 * paths. */
#include "http/request_target.h"

#include <string.h>

#include "base/err.h"
#include "http/fault.h"
#include "http/request_parser.h"
#include "http/syntax.h"

/* By frequency of use. Any other method is 501, except the two that no origin server accepts. */
static const char *const methods[] = {"POST", "GET", "OPTIONS", "HEAD", "DELETE", "PUT", "PATCH"};

static bool check_method(const char *method, struct http_fault *ret_fault)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (strcmp(method, methods[i]) == 0)
			return true;
	}
	if (strcmp(method, "CONNECT") == 0 || strcmp(method, "TRACE") == 0)
		return http_refuse(ret_fault, 405, ERR_METHOD, "method CONNECT or TRACE");
	return http_refuse(ret_fault, 501, ERR_METHOD, "unknown method");
}

bool http_is_host(const char *host, size_t length)
{
	size_t at = 0;

	if (length && host[0] == '[') {
		for (at = 1;
		     at < length && host[at] && strchr("0123456789abcdefABCDEF:.", host[at]);)
			at++;
		if (at < 3 || at == length || host[at++] != ']')
			return false;
	} else {
		while (at < length && ((host[at] >= '0' && host[at] <= '9') ||
				       ((host[at] | 0x20) >= 'a' && (host[at] | 0x20) <= 'z') ||
				       host[at] == '-' || host[at] == '.' || host[at] == '_'))
			at++;
		if (at == 0)
			return false;
	}

	if (at == length)
		return true;
	size_t port = at + 1;
	if (host[at] != ':' || port == length || length - port > 5)
		return false;
	for (size_t i = port; i < length; i++) {
		if (host[i] < '0' || host[i] > '9')
			return false;
	}
	return true;
}

/* Letters, digits and -._~, a bit each. */
static bool is_unreserved(unsigned char byte)
{
	static const uint32_t bits[8] = {0, 0x03ff6000, 0x87fffffe, 0x47fffffe};
	return bits[byte / 32] >> (byte % 32) & 1;
}

/* These and !$&'()*+,;=:@/ */
static bool is_path_byte(unsigned char byte)
{
	static const uint32_t bits[8] = {0, 0x2fffffd2, 0x87ffffff, 0x47fffffe};
	return bits[byte / 32] >> (byte % 32) & 1;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Checks each byte of a NUL-terminated path and decodes %XX of unreserved bytes in place; other
 * escapes stay as they are (so an escaped slash or NUL does not act as one) and match no route.
 * Refuses empty segments: some parsers take `//host/` for a URL. */
static bool normalize_path(char *path)
{
	char *to = path;
	for (const char *from = path; *from;) {
		unsigned char byte = (unsigned char)*from;
		if (byte == '%') {
			int high = hex_value(from[1]), low = high < 0 ? -1 : hex_value(from[2]);
			if (low < 0)
				return false;
			unsigned char decoded = (unsigned char)(high * 16 + low);
			if (is_unreserved(decoded)) {
				*to++ = (char)decoded;
			} else {
				memmove(to, from, 3);
				to += 3;
			}
			from += 3;
			continue;
		}

		if (!is_path_byte(byte))
			return false;
		if (byte == '/' && to > path && to[-1] == '/')
			return false;
		*to++ = (char)byte;
		from++;
	}
	*to = '\0';
	return true;
}

static bool check_query(const char *query)
{
	for (; *query; query++) {
		if (*query <= 0x20 || *query >= 0x7f || *query == '#')
			return false;
	}
	return true;
}

/* Accepts an absolute target as its path (RFC 9112 3.2.2); the host is compared with the Host
 * header later. Moves the host left by one byte, over the scheme, to make space for its NUL. */
static char *split_absolute(struct http_request_parser *parser, char *bytes, char *target)
{
	char *host = target + strlen("http://");
	size_t length = strcspn(host, "/?");

	if (!http_is_host(host, length))
		return NULL;

	memmove(host - 1, host, length);
	host[length - 1] = '\0';
	parser->target_host = (uint32_t)(host - 1 - bytes);
	return host + length;
}

static bool read_target(struct http_request_parser *parser, char *bytes, char *target,
			struct http_fault *ret_fault)
{
	static const char malformed[] = "malformed request target";
	if (strcmp(target, "*") == 0 && strcmp(bytes, "OPTIONS") == 0) {
		parser->path = (uint32_t)(target - bytes);
		parser->query = parser->path + 1;
		return true;
	}

	if (strncasecmp(target, "http://", 7) == 0) {
		target = split_absolute(parser, bytes, target);
		if (!target)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, malformed);
		if (*target != '/') /* "http://host" and "http://host?q": no room for a slash */
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
					   "absolute target without a path");
	}
	if (*target != '/')
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, malformed);

	size_t path_length = strcspn(target, "?");
	char *query = target + path_length;
	if (*query == '?')
		*query++ = '\0';
	if (!check_query(query) || !normalize_path(target))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, malformed);

	parser->path = (uint32_t)(target - bytes);
	parser->query = (uint32_t)(query - bytes);
	return true;
}

static bool read_version(struct http_request_parser *parser, const char *version,
			 struct http_fault *ret_fault)
{
	if (strcmp(version, "HTTP/1.1") == 0)
		return true;
	if (strcmp(version, "HTTP/1.0") == 0) {
		parser->is_http10 = true;
		return true;
	}

	if (strncmp(version, "HTTP/", 5) == 0 && strlen(version) == 8 && version[6] == '.')
		return http_refuse(ret_fault, 505, ERR_BAD_REQUEST, "unknown HTTP version");
	return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed request line");
}

bool http_read_request_line(struct http_request_parser *parser, char *bytes, char *line,
			    size_t length, struct http_fault *ret_fault)
{
	size_t method = 0;

	line[length] = '\0';
	while (method < length && http_is_token_byte((unsigned char)line[method]))
		method++;

	char *target = line + method + 1;
	if (method == 0 || line[method] != ' ' || memchr(line, '\0', length))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed request line");

	char *space = memchr(target, ' ', length - method - 1);
	if (!space)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed request line");

	line[method] = '\0';
	*space = '\0';
	return check_method(line, ret_fault) && read_version(parser, space + 1, ret_fault) &&
	       read_target(parser, bytes, target, ret_fault);
}

/* request_target: the request line, and the syntax of a host. Private to src/http. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct http_fault;
struct http_request_parser;

/* A line of `length` bytes at `line`, without CRLF; line[length] may be overwritten. */
bool http_read_request_line(struct http_request_parser *parser, char *bytes, char *line,
			    size_t length, struct http_fault *ret_fault);
/* reg-name or [IPv6], with an optional port; no userinfo, no space. */
bool http_is_host(const char *host, size_t length);

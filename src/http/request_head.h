/* request_head: the parts of request_parser that look at one line. Private to src/http. */
#pragma once
#include "http/request_parser.h"

/* A line of `length` bytes from `line`, without CRLF; bytes[length] may be overwritten. */
bool http_read_request_line(struct http_request_parser *parser, char *bytes, char *line,
			    size_t length, struct http_fault *ret_fault);
bool http_read_field(struct http_request_parser *parser, char *bytes, char *line, size_t length,
		     struct http_fault *ret_fault);
/* After the empty line: Host, framing, upgrade. Sets the phase that follows. */
bool http_judge_head(struct http_request_parser *parser, char *bytes, struct http_fault *ret_fault);
/* reg-name or [IPv6], with an optional port; no userinfo, no space. */
bool http_is_host(const char *host, size_t length);

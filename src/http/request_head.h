/* request_head: one header line, and the checks of a whole head. Private to src/http. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct http_fault;
struct http_request_parser;

/* A line of `length` bytes at `line`, without CRLF; line[length] may be overwritten. */
bool http_read_field(struct http_request_parser *parser, char *bytes, char *line, size_t length,
		     struct http_fault *ret_fault);
/* After the empty line: Host, framing, upgrade. Sets the phase that follows. */
bool http_judge_head(struct http_request_parser *parser, char *bytes, struct http_fault *ret_fault);

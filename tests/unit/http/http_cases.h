/* http_cases: bytes in and the answer that CASES.md C asks for. The parser's test and the server's
 * test walk the same table. */
#pragma once
#include <stddef.h>

struct http_case {
	const char *row; /* of CASES.md C, or "-" */
	const char *what;
	const char *bytes;
	size_t length;
	int status;       /* 200: given to the handler; 0: more is waited for; else refused */
	const char *path; /* what the handler must see; NULL: not looked at */
	const char *body;
};

extern const struct http_case http_cases[];
extern const size_t http_case_count;

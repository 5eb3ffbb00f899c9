/* fault: why input was refused: the status to respond with before closing, and a text for the log.
 * The text never holds what the peer sent. */
#pragma once
#include <stdbool.h>

struct http_fault {
	int status, err;
	const char *what;
};

/* Returns false, so that a check can return it. */
static inline bool http_refuse(struct http_fault *ret_fault, int status, int err, const char *what)
{
	*ret_fault = (struct http_fault){.status = status, .err = err, .what = what};
	return false;
}

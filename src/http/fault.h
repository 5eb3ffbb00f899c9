/* fault: why bytes are refused: the status to answer with before closing, and words for the log.
 * The words never hold what the peer sent. */
#pragma once
#include <stdbool.h>

struct http_fault {
	int status, err;
	const char *what;
};

/* Returns false, so that a check can end in it. */
static inline bool http_refuse(struct http_fault *ret_fault, int status, int err, const char *what)
{
	*ret_fault = (struct http_fault){.status = status, .err = err, .what = what};
	return false;
}

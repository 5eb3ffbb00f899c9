/* http_conditional: what a request says about which form of a file it takes. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* If-None-Match: one of its tags, weak or not, is `etag`, or it is `*`. NULL matches nothing. */
bool http_conditional_etag_known(const char *if_none_match, const char *etag);
/* Accept-Encoding: gzip is named and not refused by q=0. */
bool http_conditional_takes_gzip(const char *accept_encoding);

enum http_conditional_range {
	RANGE_WHOLE,   /* none, or of a form that is not served: the whole file answers it */
	RANGE_PART,    /* 206 */
	RANGE_OUTSIDE, /* 416 */
};
/* Range: one `bytes=a-b`, `a-` or `-n`. `ret_first` and `ret_last` are set for RANGE_PART. */
enum http_conditional_range http_conditional_range(const char *range, uint64_t size,
						   uint64_t *ret_first, uint64_t *ret_last);

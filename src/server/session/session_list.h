/* session_list: what concerns all sessions, or all of a site. */
#pragma once
#include <stdint.h>

struct endpoints;

/* Of a site that the operator let queue: how many there are, and their end. */
unsigned sessions_of_site(const struct endpoints *endpoints, uint64_t site);
void sessions_end_site(struct endpoints *endpoints, uint64_t site);
/* Tells all pages that a file of theirs was changed (--dev); `ctx` is struct endpoints. */
void sessions_tell_reload(void *ctx, const char *path);

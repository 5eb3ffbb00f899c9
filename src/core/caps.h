/* caps: how much a principal, a session, a name and all together may have at once. */
#pragma once
#include <stddef.h>

struct claim_record;
struct core;
struct event;
struct session;

/* Why the claim of this record may not queue now: a positive enum err, with the limit and whose it
 * is in `detail`; 0: it may. */
int caps_judge(const struct core *core, const struct event *event, const struct session *session,
	       const struct claim_record *rec, char *detail, size_t size);

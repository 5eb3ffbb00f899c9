/* call: one short question to a model server: the whole answer, at most 4 MiB, or an error. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct upstream;

enum { CALL_ANSWER_BYTES = 4 * 1024 * 1024 };

struct call_answer {
	int err; /* 0, or of base/err.h: no answer, or one that is too long */
	int status;
	const char *body; /* borrowed for the callback; of what is too long the beginning */
	size_t length;
	const char *what; /* of an error, in words */
	bool nobody;      /* listens there: the connection was refused */
};

typedef void call_done(void *ctx, const struct call_answer *answer);

struct call_question {
	const char *method, *url, *body; /* body NULL: none */
	const char *key;                 /* shown as a bearer token; NULL: none */
	int time_ms;                     /* for all of it; else ERR_UPSTREAM_SLOW */
};

/* `done` comes once, not within call_start, unless it is cancelled. 0, or as upstream_start. */
struct call;
int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call);
void call_cancel(struct call *call); /* takes NULL; not after `done` */

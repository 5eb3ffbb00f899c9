/* callback_queue: callbacks that the handlers have not had yet, in order. Bounded: positions of one
 * claim replace each other, the rest is at most a few per claim and per connection. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "baton/baton.h"

enum notice_kind {
	NOTICE_LINK,
	NOTICE_QUEUED,
	NOTICE_GRANTED,
	NOTICE_YIELD,
	NOTICE_KEPT,
	NOTICE_TOLD, /* reason: a code, sentence */
	NOTICE_REVOKED,
	NOTICE_ANSWERED,
	NOTICE_ENDED,
	NOTICE_PAGE, /* no handler: wakes baton_page_link */
};

enum { NOTICE_WORDS_BYTES = 240, NOTICE_ESTIMATE_BYTES = 80, NOTICE_SENTENCE_BYTES = 300 };

struct callback {
	struct callback *next; /* notices */
	enum notice_kind kind;
	struct baton_claim *claim; /* NULL: NOTICE_LINK, NOTICE_PAGE */
	int code;                  /* ANSWERED, ENDED */
	enum baton_link link;
	enum baton_question question;
	int64_t position, eta_ms, eta_p90_ms, bound_ms, grace_ms;
	char reason[LIMIT_REASON_BYTES + 1]; /* of yield, revoked, ended */
	char words[NOTICE_WORDS_BYTES];      /* `why` of a position, `for` of a yield */
	char estimate[NOTICE_ESTIMATE_BYTES];
	char sentence[NOTICE_SENTENCE_BYTES];
};

struct callback_queue {
	struct callback *first, *last;
};

/* Adds one at the end or, for QUEUED, YIELD and TOLD, returns the one already queued for this
 * claim, whose values the caller overwrites. Aborts on allocation failure. */
struct callback *callback_queue_add(struct callback_queue *notices, enum notice_kind kind,
				    struct baton_claim *claim);
/* Takes the oldest, which the caller frees; NULL: none. */
struct callback *callback_queue_take(struct callback_queue *notices);
/* Drops all callbacks of a claim. */
void callback_queue_forget(struct callback_queue *notices, const struct baton_claim *claim);
/* Drops the undelivered yield of a claim; false: there was none. */
bool callback_queue_drop_yield(struct callback_queue *notices, const struct baton_claim *claim);
void callback_queue_finish(struct callback_queue *notices);

/* encode_common: private to wire, the pieces of JSON that session messages, HTTP answers and status
 * rows share. Each adds fields to an open object, or one value. */
#pragma once
#include "core/event.h"
#include "core/send.h"

struct core_config;
struct encode_context;
struct text;

/* "gpu": name of the first, "gpus": [{index, name, uuid?, maker?, maker_index?}..]; nothing for an
 * empty mask. */
void encode_gpus(struct text *out, uint32_t mask, const struct core_config *config);
/* position, ahead, what encode_told adds, sentence, why. */
void encode_place(struct text *out, const struct encode_context *facts);
/* "observed" and "would_wait", each where it is so. */
void encode_observed(struct text *out, bool observed, bool would_wait);
/* "token": 32 hex digits, unless it is all zero. */
void encode_token(struct text *out, const struct token *token);
/* code, message, detail?, retry_after_s?. `err` with or without minus. */
void encode_error(struct text *out, int err, const char *detail);
/* reason, for_lease?, for?, grace_ms. */
void encode_yield(struct text *out, const struct send_effect *send,
		  const struct encode_context *facts);
/* expires_in_s, and yield and reason while the holder is asked to give way. */
void encode_renewed(struct text *out, const struct send_effect *send);

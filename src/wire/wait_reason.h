/* wait_reason: why a claim waits, in words: the sentences of WHY_TABLE with their fields filled,
 * for status, `queued` and `baton why`. Decides nothing about waiting. */
#pragma once
#include <stdint.h>

struct core_config;
struct estimate;
struct text;
struct told;
struct why;

/* The sentence of WHY_TABLE with its fields filled. */
void encode_why_text(struct text *out, const struct why *why, const char *holder_name,
		     const struct core_config *config);
/* What a person wants to know, in one sentence: when its turn comes, who has the GPU and until
 * when. */
void encode_sentence_text(struct text *out, const struct estimate *estimate, const struct why *why,
			  const char *holder_name, const struct core_config *config);
/* {"code","text","holder"?,"gives_way_in_s"?}. */
void encode_why(struct text *out, const struct why *why, const char *holder_name,
		const struct core_config *config);
/* "sentence": place, estimate and reason in one, see encode_sentence_text. */
void encode_sentence(struct text *out, const struct told *told, const struct why *why,
		     const char *holder_name, const struct core_config *config);

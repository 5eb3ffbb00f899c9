/* claim_words: see claim_words.h. */
#include "cli/claim_words.h"

#include <stdio.h>
#include <string.h>

#include "cli/field.h"
#include "cli/units.h"

void claim_words_name(const json_t *claim, char ret_words[CLAIM_WORDS_BYTES])
{
	const char *label = field_text(claim, "label", NULL);
	snprintf(ret_words, CLAIM_WORDS_BYTES, "%s%s%s%s", field_text(claim, "id", "?"),
		 label ? " (" : "", label ? label : "", label ? ")" : "");
}

void claim_words_gpus(const json_t *lease, char ret_words[CLAIM_WORDS_BYTES])
{
	size_t i;
	json_t *gpu;
	ret_words[0] = '\0';

	json_array_foreach (json_object_get(lease, "gpus"), i, gpu) {
		size_t length = strlen(ret_words);
		snprintf(ret_words + length, CLAIM_WORDS_BYTES - length, "%s%s", i ? "," : "",
			 field_text(gpu, "name", "?"));
	}
}

/* A revoked lease, until its GPU is free. */
static void stopping_words(const json_t *lease, char *text)
{
	char left[UNITS_BYTES];
	double stop_s = field_number(lease, "stop_in_s", -1);
	double free_s = field_number(json_object_get(lease, "yield"), "left_s", 0);

	if (stop_s > 0)
		snprintf(text, CLAIM_WORDS_BYTES, "being stopped, killed in %s",
			 units_duration(left, stop_s));
	else
		snprintf(text, CLAIM_WORDS_BYTES, "%s, free in %s at most",
			 stop_s == 0 ? "killed" : "revoked", units_duration(left, free_s));
}

/* Of a lease of which its holder was told something. */
static bool notice_words(const json_t *lease, const char *state, char *text)
{
	static const char *const words[][2] = {{"gpu_lost", "its GPU is lost"},
					       {"over", "over what it declared"},
					       {"other_gpu", "also on another GPU"},
					       {"idle", "idle"}};
	size_t i;
	json_t *code;

	for (size_t n = 0; n < sizeof(words) / sizeof(*words); n++)
		json_array_foreach (json_object_get(lease, "notices"), i, code)
			if (json_is_string(code) &&
			    strcmp(json_string_value(code), words[n][0]) == 0) {
				snprintf(text, CLAIM_WORDS_BYTES, "%s, %s", state, words[n][1]);
				return true;
			}
	return false;
}

/* What the holder, or whoever watches, should know. False: nothing. */
static bool warning_words(const json_t *lease, const char *state, char *text)
{
	char left[UNITS_BYTES];
	const json_t *yield = json_object_get(lease, "yield");
	const char *whom = field_text(yield, "for", NULL);
	double detached_s = field_number(lease, "detached_left_s", -1);
	bool expires = field_number(lease, "expires_in_s", -1) >= 0;

	if (yield)
		snprintf(text, CLAIM_WORDS_BYTES, "asked to yield: %s%s%s, %s left",
			 field_text(yield, "reason", ""), whom ? " for " : "", whom ? whom : "",
			 units_duration(left, field_number(yield, "left_s", 0)));
	else if (field_true(lease, "stopped"))
		snprintf(text, CLAIM_WORDS_BYTES, "%s, stopped", state);
	else if (field_true(lease, "parked"))
		snprintf(text, CLAIM_WORDS_BYTES, "frozen, keeps its memory");
	else if (detached_s >= 0)
		snprintf(text, CLAIM_WORDS_BYTES, "disconnected, %s left to come back",
			 units_duration(left, detached_s));
	else if (!expires && json_is_false(json_object_get(lease, "watched")))
		snprintf(text, CLAIM_WORDS_BYTES, "%s, unwatched", state);
	else
		return notice_words(lease, state, text);
	return true;
}

enum text_table_style claim_words_waiter(const json_t *waiter, char ret_words[CLAIM_WORDS_BYTES])
{
	char left[UNITS_BYTES];
	const char *why = field_text(json_object_get(waiter, "why"), "text", "");
	double detached_s = field_number(waiter, "detached_left_s", -1);
	const char *stands = field_true(waiter, "moved")    ? "off the GPU, in RAM"
			     : field_u64(waiter, "resumes") ? "frozen"
							    : "";

	ret_words[0] = '\0';
	if (detached_s >= 0)
		snprintf(ret_words, CLAIM_WORDS_BYTES, "disconnected, %s left to come back%s%s",
			 units_duration(left, detached_s), *stands ? "; " : "", stands);
	else
		snprintf(ret_words, CLAIM_WORDS_BYTES, "%s", stands);

	size_t length = strlen(ret_words);
	snprintf(ret_words + length, CLAIM_WORDS_BYTES - length, "%s%s", length && *why ? "; " : "",
		 why);
	return detached_s >= 0 ? STYLE_WARN : STYLE_PLAIN;
}

enum text_table_style claim_words_state(const json_t *lease, char ret_words[CLAIM_WORDS_BYTES])
{
	char state[64], left[UNITS_BYTES];
	double expires_s = field_number(lease, "expires_in_s", -1);

	if (field_true(json_object_get(lease, "yield"), "revoked")) {
		stopping_words(lease, ret_words);
		return STYLE_BAD;
	}

	snprintf(state, sizeof(state), "%.40s%s", field_text(lease, "state", "?"),
		 field_true(lease, "would_wait") ? ", would wait" : "");
	if (warning_words(lease, state, ret_words))
		return STYLE_WARN;

	if (expires_s >= 0)
		snprintf(ret_words, CLAIM_WORDS_BYTES, "%s, expires in %s", state,
			 units_duration(left, expires_s));
	else
		snprintf(ret_words, CLAIM_WORDS_BYTES, "%s", state);
	return STYLE_PLAIN;
}

/* bridge_decode: what the predecessor's tabs say on /ws/chat and /ws/embed, see "The predecessor's
 * sockets" in docs/protocol.md. Judges form; whose request it is, is the gateway's to judge. */
#pragma once
#include "json/json_span.h"
#include "wire/json_fields.h"

struct json;
struct text;

enum bridge_said {
	BRIDGE_NOTHING, /* none of these: passed over */
	BRIDGE_CHUNK,   /* some of a chat's answer, or, with a `message`, all of it */
	BRIDGE_RESULT,  /* the whole answer */
	BRIDGE_DONE,
	BRIDGE_ERROR
};

/* Texts and spans are borrowed from the message and `parsed`. */
struct bridge_message {
	enum bridge_said said;
	uint64_t request;         /* 0: none that Baton could have asked */
	struct json_span part;    /* of a chunk or result, as it came */
	const struct json *value; /* the same, read */
	const char *words;        /* of an error */
	struct parsed parsed;
};

/* What a page says first, which the predecessor's did not. Never to be logged. */
struct bridge_hello {
	const char *token, *model; /* model: of its own; may be NULL */
	struct parsed parsed;
};

/* 0, or a negative enum err with parsed.detail. Call the finish in any case. */
int bridge_decode(const char *text, size_t length, struct bridge_message *ret_message);
void bridge_message_finish(struct bridge_message *message);
int bridge_decode_hello(const char *text, size_t length, struct bridge_hello *ret_hello);
void bridge_hello_finish(struct bridge_hello *hello);

/* What such a tab hears. `type`: "chat" or "embedding"; `body` is valid JSON, and `model` (NULL:
 * null) stands in the place of its model. */
void bridge_encode_request(struct text *out, uint64_t request, const char *type,
			   struct json_span body, const char *model);
/* The predecessor's tabs pass it over. */
void bridge_encode_cancel(struct text *out, uint64_t request);

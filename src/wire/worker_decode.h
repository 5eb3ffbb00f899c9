/* worker_decode: what workers say, see protocol/worker. Judges form and range; whether a request is
 * theirs is the gateway's to judge. The other direction is worker_encode.h. */
#pragma once
#include "wire/json_fields.h"

enum {
	WORKER_VERSION = 1,
	WORKER_MODELS_MAX = 32,
	WORKER_MODEL_BYTES = 128,
	WORKER_PATHS_MAX = 32,
	WORKER_CONCURRENCY_MAX = 16,
	WORKER_MESSAGE_BYTES = 400, /* of an error, for the client */
};

enum worker_said {
	WORKER_HELLO,
	WORKER_MODELS,
	WORKER_HEAD,
	WORKER_PIECE,
	WORKER_TOOK,
	WORKER_END,
	WORKER_PONG
};

struct worker_model {
	const char *name;
	const struct json *paths; /* a list of texts */
	bool loaded;
	uint64_t vram_mb; /* 0: not said */
};

/* What the message does not have is zero. Texts are borrowed from `parsed`. */
struct worker_message {
	enum worker_said said;
	const char *name, *token; /* hello; token may be NULL; never to be logged */
	unsigned concurrency, model_count;
	struct worker_model models[WORKER_MODELS_MAX]; /* each name once */
	uint64_t request, bytes;
	int status;
	const char *content_type;
	const char *text; /* of a piece */
	size_t text_length;
	int err;           /* of an end: 0 or a positive enum err */
	const char *words; /* of it, for the client; may be NULL */
	struct parsed parsed;
};

/* 0, or a negative enum err with parsed.detail; -ERR_VERSION for another version's hello. Call
 * worker_message_finish in any case. */
int worker_decode(const char *text, size_t length, struct worker_message *ret_message);
void worker_message_finish(struct worker_message *message);

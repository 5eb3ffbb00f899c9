/* response_index: who asked for a stored response (/v1/responses), and which server has it. Each
 * key knows its own alone. Of all, and of each key, so many are remembered, the last ones; none
 * over a restart. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/list.h"

enum { RESPONSES_MAX = 2048, RESPONSES_MAX_PER_KEY = 256 };

struct response_note {
	const char *id, *principal, *server, *url;
};

struct response_index {
	struct list entries; /* oldest first */
	struct hash by_id;
	unsigned count;
};

void response_index_init(struct response_index *index);
void response_index_finish(struct response_index *index);
/* Copies it. What is too much is forgotten, the oldest first. */
void response_index_note(struct response_index *index, const struct response_note *note);
/* False: unknown, or another's. Borrowed until the next change. */
bool response_index_find(const struct response_index *index, const char *id, const char *principal,
			 struct response_note *ret_note);
/* Whether anybody's is known by that id. */
bool response_index_has(const struct response_index *index, const char *id);
void response_index_forget(struct response_index *index, const char *id, const char *principal);
void response_index_forget_all(struct response_index *index, const char *principal);
/* Whether it can stand in a path as it is. */
bool response_id_ok(const char *id, size_t length);

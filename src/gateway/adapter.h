/* adapter: what the gateway asks of a kind of model server: which models it has, to load one, to
 * give its memory back, whether it still works for somebody who left. One row per kind; calls that
 * a kind does not know are absent, and then nothing is promised that would need them. Sources: the
 * servers' own API documents, named in docs/gateway.md. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

/* A call: `%s` in the path or the body stands for the model, escaped for where it stands. */
struct adapter_call {
	const char *method, *path, *body; /* method NULL: there is no such call */
};

struct adapter_model {
	const char *name;
	uint64_t bytes; /* of its memory or, in `list`, its file; 0: not said */
};

/* One for each model in an answer; `ctx` as given. */
typedef void adapter_found(void *ctx, const struct adapter_model *model);

struct adapter {
	const char *kind;
	struct adapter_call list;   /* the models that could be served */
	struct adapter_call loaded; /* those that are in memory now */
	struct adapter_call load;   /* absent: the first request loads */
	struct adapter_call unload; /* absent: it keeps its memory until its process ends */
	struct adapter_call busy;   /* whether it works */
	/* Of one that people use by its pages, and whose one "model" is whatever it has loaded:
	 * which of their requests take a turn (rules of wire/turn_rule.h, up to NULL), and what
	 * ends the work that such a request began; `%s` in it is the prompt. */
	const char *const *turns;
	struct adapter_call stop;
	bool queues_prompts; /* it answers before it works, and names the prompt in its queue */
	struct adapter_call history; /* of such a one: what it has done; `%s` is the prompt */
	int64_t wait_ms; /* for a turn, at most, unless it is configured; 0: as other requests */
	/* What a name may leave out, behind ("a" is "a:latest") and in front; NULL, or up to NULL.
	 */
	const char *const *tags, *const *prefixes;
	bool says_words; /* of a name's ASCII only letters, digits, dots, dashes and underscores */
	bool sizes_itself; /* `list` and `loaded` say how large models are */
	/* It has one model at a time: a load puts another one out. `restarts`: with each load and
	 * unload, for which its answer does not wait, and nobody listens there meanwhile. */
	bool single, restarts;
	const char *ready;       /* the path that says that it has started; NULL: as `list` */
	const char *transcribes; /* in place of /v1/audio/transcriptions; or NULL */
	/* Reads the answers of `list` and `loaded`. False: it is none of that kind; of `loaded`,
	 * too, where one cannot be told, since what is not there counts as gone. */
	bool (*read_list)(const char *body, size_t length, adapter_found *found, void *ctx);
	bool (*read_loaded)(const char *body, size_t length, adapter_found *found, void *ctx);
	/* Of `loaded`, where that is an error without a model: whether it says so. */
	bool (*read_none)(const char *body, size_t length);
	/* Of `load` and `unload`: whether it does it. NULL: its status says so. */
	bool (*read_done)(const char *body, size_t length);
	/* 1: it works, 0: idle, -1: unreadable. With a prompt, whether on that one. */
	int (*read_busy)(const char *body, size_t length, const char *prompt);
};

const struct adapter *adapter_of(const char *kind); /* NULL: no such kind */
/* Whether two names mean one model to such a server. */
bool adapter_same_model(const struct adapter *adapter, const char *a, const char *b);
const struct adapter *adapter_table(unsigned *ret_count);
/* The call's path or body with the model in its place. */
void adapter_fill_path(struct text *out, const char *pattern, const char *model);
void adapter_fill_body(struct text *out, const char *pattern, const char *model);

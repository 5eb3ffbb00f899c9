/* swap: what a llama-swap configuration says, and where each of its models stands in Baton's.
 * Private to the import. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/settings.h"
#include "import/expand.h"
#include "import/split_words.h"

enum { SWAP_MODELS_MAX = 512, SWAP_ALIASES_MAX = 2048, SWAP_PORT_FIRST = 5800 };

struct swap_alias {
	char *text;
	const yaml_node_t *node;
};

/* Texts are filled in, but for ${PORT}. */
struct swap_model {
	const char *id; /* the tree's */
	const yaml_node_t *node;
	struct split_words cmd;
	struct split_words env;
	char *proxy, *ready, *use_name; /* NULL: not said; `ready` is "none" or a path */
	struct swap_alias *aliases;
	size_t alias_count;
	int64_t ttl_s;    /* 0: never unloaded */
	bool says_port;   /* cmd has ${PORT} */
	struct buf notes; /* lines: what Baton has not, or does otherwise */

	/* By swap_place: */
	const char *kind, *model, *alias; /* `alias` may be NULL */
	char name[SETTINGS_KEY_NAME_BYTES + 1];
	unsigned port;
	char refusal[128]; /* why Baton cannot have it; "": it can */
};

struct swap_file {
	struct yaml_tree tree;
	struct macros macros; /* of the whole file */
	struct swap_model *models;
	size_t model_count, alias_count;
	unsigned start_port;
	int64_t ttl_s;    /* of models that say none */
	struct buf notes; /* on the whole file */
};

/* Reads the tree. 0 or -ERR_CONFIG with the tree's detail set; swap_file_finish is due in both
 * cases. */
int swap_file_read(struct swap_file *file, expand_env *env);
void swap_file_finish(struct swap_file *file);

/* Gives each model a name, a kind and a port, or says why not. 0 or -ERR_CONFIG. */
int swap_file_place(struct swap_file *file);

/* Appends the lines of the configuration. */
void swap_file_print(const struct swap_file *file, struct buf *out);

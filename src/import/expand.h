/* expand: llama-swap's macros, as llama-swap fills them in: the last one that was defined first, so
 * one may use those above it. ${PORT} stays for later. Aborts without memory. */
#pragma once
#include "yaml/yaml_tree.h"

enum {
	EXPAND_MACROS_MAX = 256,      /* of the file, and of a model with those */
	EXPAND_BYTES_MAX = 16 * 1024, /* of a text once it is filled in */
};

struct macro {
	const char *name;
	char *value; /* NULL: it is a mapping, which no text can use */
};

struct macros {
	struct macro v[EXPAND_MACROS_MAX];
	size_t count;
};

/* What a variable of the environment has, or NULL. */
typedef const char *expand_env(const char *name);

/* Takes the mapping `node` (NULL: none) behind what is there; a name that is there already gets the
 * new value at its old place. */
int macros_add(struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
	       expand_env *env);
/* One macro that needs no check. */
void macros_set(struct macros *macros, const char *name, const char *value);
void macros_copy(struct macros *to, const struct macros *from);
void macros_finish(struct macros *macros);

/* Fills in `text`, which is said at `node` as `what`. Refuses what nobody has defined, and texts
 * that grow too long. The result is the caller's. */
int expand_text(const struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
		const char *what, const char *text, expand_env *env, char **ret_text);
/* The same, but what nobody has defined stays. */
int expand_known(const struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
		 const char *what, const char *text, expand_env *env, char **ret_text);

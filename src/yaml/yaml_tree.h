/* yaml_tree: a YAML text as libyaml's nodes, and what every reader of one refuses: with the file's
 * name and the line. Merge keys (<<) are followed; a node may be named at many places (*anchor), so
 * whoever walks the tree does so to a depth of its own. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

enum {
	YAML_TREE_BYTES_MAX = 256 * 1024, /* of the text */
	YAML_TREE_PAIRS_MAX = 1024,       /* of one mapping with all that it merges */
	YAML_TREE_SEEN_MAX = 65536,       /* pairs of all, one that is merged twice counted twice */
};

struct yaml_tree {
	const char *path; /* as it is said in errors */
	char *detail;     /* the error: "PATH:LINE: what" */
	size_t detail_size;
	yaml_document_t document;
	size_t seen; /* pairs so far */
};

struct yaml_pair {
	const char *key;
	const yaml_node_t *key_node, *value;
};

struct yaml_pairs {
	struct yaml_pair *v;
	size_t count;
};

/* Takes the first document. 0, and yaml_tree_finish is due; else -ERR_CONFIG with the detail set.
 */
int yaml_tree_load(struct yaml_tree *tree, const char *text, size_t length);
void yaml_tree_finish(struct yaml_tree *tree);

/* Sets the detail. Returns -ERR_CONFIG. */
__attribute__((format(printf, 3, 4))) int
yaml_tree_refuse(const struct yaml_tree *tree, const yaml_node_t *node, const char *format, ...);

/* NULL: the document is empty. */
const yaml_node_t *yaml_tree_root(struct yaml_tree *tree);
const yaml_node_t *yaml_tree_item(struct yaml_tree *tree, const yaml_node_t *list, size_t at);
size_t yaml_tree_length(const yaml_node_t *list);

/* Whether it says nothing: null, ~, or nothing at all, without quotes. */
bool yaml_tree_is_null(const yaml_node_t *node);
/* The pairs of a mapping in their order, merged ones behind, each key once; none of null. The
 * caller frees ret->v. `what` names it in errors. */
int yaml_tree_pairs(struct yaml_tree *tree, const yaml_node_t *node, const char *what,
		    struct yaml_pairs *ret);
const yaml_node_t *yaml_pairs_find(const struct yaml_pairs *pairs, const char *key);
/* A scalar's text, which lives as long as the tree; without a NUL in it. */
int yaml_tree_text(const struct yaml_tree *tree, const yaml_node_t *node, const char *what,
		   const char **ret_text);

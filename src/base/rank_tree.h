/* rank_tree: an intrusive ordered tree whose nodes know how many stand before them: insert, remove,
 * next, the n-th and the rank of one are all O(log n), the first is known. Ordered by (key, id); no
 * two nodes may have both alike. A treap: priorities are a hash of the id, so the shape depends on
 * the content alone and is the same in every run. Owns nothing. */
#pragma once
#include <stdint.h>

struct rank_node {
	struct rank_node *left, *right, *up; /* up of the root: NULL */
	int64_t key;
	uint64_t id;
	uint32_t count;    /* nodes in this subtree; 0: in no tree */
	uint32_t priority; /* never less than its children's */
};

struct rank_tree {
	struct rank_node *root, *first; /* NULL: it is empty */
};

void rank_tree_insert(struct rank_tree *tree, struct rank_node *node, int64_t key, uint64_t id);
void rank_tree_remove(struct rank_tree *tree, struct rank_node *node);
uint32_t rank_tree_count(const struct rank_tree *tree);
static inline struct rank_node *rank_tree_first(const struct rank_tree *tree)
{
	return tree->first;
}
struct rank_node *rank_tree_next(const struct rank_node *node); /* NULL: it was the last */
/* The node with `rank` nodes before it, or NULL. */
struct rank_node *rank_tree_at(const struct rank_tree *tree, uint32_t rank);
uint32_t rank_tree_rank(const struct rank_node *node);
/* The first node that is not before (key, id), or NULL. */
struct rank_node *rank_tree_from(const struct rank_tree *tree, int64_t key, uint64_t id);

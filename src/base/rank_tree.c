/* rank_tree: a treap with subtree counts, without recursion. Knows nothing of what it orders; the
 * core keeps its queue, holders and sessions in it. */
#include "base/rank_tree.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/contracts.h"
#include "base/hash.h"

static bool node_before(const struct rank_node *node, int64_t key, uint64_t id)
{
	return node->key != key ? node->key < key : node->id < id;
}

static uint32_t count_of(const struct rank_node *node)
{
	return node ? node->count : 0;
}

static void recount_node(struct rank_node *node)
{
	node->count = 1 + count_of(node->left) + count_of(node->right);
}

/* Where the tree holds the pointer to this node. */
static struct rank_node **link_of(struct rank_tree *tree, struct rank_node *node)
{
	if (!node->up)
		return &tree->root;
	return node->up->left == node ? &node->up->left : &node->up->right;
}

/* Lifts a node above its parent; the order stays as it was. */
static void rotate_up(struct rank_tree *tree, struct rank_node *node)
{
	struct rank_node *parent = node->up;
	struct rank_node *moved;

	PRE(parent != NULL);

	*link_of(tree, parent) = node;
	node->up = parent->up;

	if (parent->left == node) {
		moved = node->right;
		parent->left = moved;
		node->right = parent;
	} else {
		moved = node->left;
		parent->right = moved;
		node->left = parent;
	}

	if (moved)
		moved->up = parent;
	parent->up = node;

	recount_node(parent);
	recount_node(node);
}

void rank_tree_insert(struct rank_tree *tree, struct rank_node *node, int64_t key, uint64_t id)
{
	struct rank_node **link = &tree->root;
	struct rank_node *up = NULL;
	bool first = true;

	PRE(node->count == 0);

	while (*link) {
		bool behind;
		up = *link;
		PRE(up->key != key || up->id != id);
		up->count++;
		behind = node_before(up, key, id);
		first = first && !behind;
		link = behind ? &up->right : &up->left;
	}

	*node = (struct rank_node){.up = up, .key = key, .id = id, .count = 1};
	node->priority = (uint32_t)hash_u64(id);
	*link = node;
	tree->first = first ? node : tree->first;

	while (node->up && node->up->priority < node->priority)
		rotate_up(tree, node);

	POST(node->count > 0);
}

void rank_tree_remove(struct rank_tree *tree, struct rank_node *node)
{
	struct rank_node *child;

	PRE(node->count > 0);
	if (tree->first == node)
		tree->first = rank_tree_next(node);

	while (node->left && node->right)
		rotate_up(tree,
			  node->left->priority < node->right->priority ? node->right : node->left);

	child = node->left ? node->left : node->right;
	*link_of(tree, node) = child;
	if (child)
		child->up = node->up;

	for (struct rank_node *up = node->up; up; up = up->up)
		up->count--;

	*node = (struct rank_node){0};
}

uint32_t rank_tree_count(const struct rank_tree *tree)
{
	return count_of(tree->root);
}

struct rank_node *rank_tree_next(const struct rank_node *node)
{
	PRE(node->count > 0);
	if (node->right) {
		struct rank_node *next = node->right;
		while (next->left)
			next = next->left;
		return next;
	}

	while (node->up && node->up->right == node)
		node = node->up;
	return node->up;
}

struct rank_node *rank_tree_at(const struct rank_tree *tree, uint32_t rank)
{
	struct rank_node *node = tree->root;

	while (node && rank != count_of(node->left)) {
		if (rank < count_of(node->left)) {
			node = node->left;
		} else {
			rank -= count_of(node->left) + 1;
			node = node->right;
		}
	}
	return node;
}

uint32_t rank_tree_rank(const struct rank_node *node)
{
	uint32_t rank;

	PRE(node->count > 0);
	rank = count_of(node->left);

	/* What stands to the left is not looked at: in a large tree it lies far apart. */
	for (; node->up; node = node->up)
		if (node->up->right == node)
			rank += node->up->count - node->count;
	return rank;
}

struct rank_node *rank_tree_from(const struct rank_tree *tree, int64_t key, uint64_t id)
{
	struct rank_node *found = NULL;

	for (struct rank_node *node = tree->root; node;) {
		if (node_before(node, key, id)) {
			node = node->right;
		} else {
			found = node;
			node = node->left;
		}
	}
	return found;
}

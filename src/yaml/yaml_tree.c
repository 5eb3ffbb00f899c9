/* yaml_tree: see yaml_tree.h. */
#include "yaml/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "yaml/yaml_depth.h"

enum { MERGES_DEEP_MAX = 8, WHAT_BYTES = 384 };

static int refuse_line(const struct yaml_tree *tree, size_t line, const char *what)
{
	snprintf(tree->detail, tree->detail_size, "%s:%zu: %s", tree->path, line, what);
	return -ERR_CONFIG;
}

int yaml_tree_refuse(const struct yaml_tree *tree, const yaml_node_t *node, const char *format, ...)
{
	char what[WHAT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return refuse_line(tree, node ? node->start_mark.line + 1 : 1, what);
}

/* What is missing at the end is missing where it was begun; bytes that are no text have no mark. */
static size_t problem_line(const yaml_parser_t *parser, const char *text, size_t length)
{
	size_t line = 1;

	if (parser->error != YAML_READER_ERROR)
		return (parser->context && parser->problem_mark.index >= length
				? parser->context_mark.line
				: parser->problem_mark.line) +
		       1;
	for (size_t i = 0; i < parser->problem_offset && i < length; i++)
		line += text[i] == '\n';
	return line;
}

int yaml_tree_load(struct yaml_tree *tree, const char *text, size_t length)
{
	yaml_parser_t parser;
	size_t deep_line;
	int rc = 0;

	if (length > YAML_TREE_BYTES_MAX) {
		snprintf(tree->detail, tree->detail_size, "%s: larger than %d KiB", tree->path,
			 YAML_TREE_BYTES_MAX / 1024);
		return -ERR_CONFIG;
	}
	deep_line = yaml_depth_line(text, length);
	if (deep_line)
		return refuse_line(tree, deep_line, "nested too deep");
	if (!yaml_parser_initialize(&parser))
		abort();

	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	if (!yaml_parser_load(&parser, &tree->document)) {
		if (parser.error == YAML_MEMORY_ERROR)
			abort();
		rc = refuse_line(tree, problem_line(&parser, text, length),
				 parser.problem ? parser.problem : "not YAML");
	}
	yaml_parser_delete(&parser);
	return rc;
}

void yaml_tree_finish(struct yaml_tree *tree)
{
	yaml_document_delete(&tree->document);
}

const yaml_node_t *yaml_tree_root(struct yaml_tree *tree)
{
	return yaml_document_get_root_node(&tree->document);
}

size_t yaml_tree_length(const yaml_node_t *list)
{
	return (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

const yaml_node_t *yaml_tree_item(struct yaml_tree *tree, const yaml_node_t *list, size_t at)
{
	return yaml_document_get_node(&tree->document, list->data.sequence.items.start[at]);
}

bool yaml_tree_is_null(const yaml_node_t *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

	if (!node)
		return true;
	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(*nulls); i++)
		if (strcmp((const char *)node->data.scalar.value, nulls[i]) == 0)
			return true;
	return false;
}

int yaml_tree_text(const struct yaml_tree *tree, const yaml_node_t *node, const char *what,
		   const char **ret_text)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return yaml_tree_refuse(tree, node, "%.100s is not a text", what);
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length)
		return yaml_tree_refuse(tree, node, "%.100s has a zero byte", what);

	*ret_text = text;
	return 0;
}

const yaml_node_t *yaml_pairs_find(const struct yaml_pairs *pairs, const char *key)
{
	for (size_t i = 0; i < pairs->count; i++)
		if (strcmp(pairs->v[i].key, key) == 0)
			return pairs->v[i].value;
	return NULL;
}

/* Of one mapping, whose own keys begin at `first`: a key of a mapping that is merged is not taken
 * when it is there already. */
static int add_pair(struct yaml_tree *tree, struct yaml_pairs *pairs, size_t first, bool merged,
		    const struct yaml_pair *pair)
{
	for (size_t i = 0; i < pairs->count; i++) {
		if (strcmp(pairs->v[i].key, pair->key) != 0)
			continue;
		if (i >= first || !merged)
			return yaml_tree_refuse(tree, pair->key_node, "repeated key '%.60s'",
						pair->key);
		return 0;
	}
	if (pairs->count == YAML_TREE_PAIRS_MAX)
		return yaml_tree_refuse(tree, pair->key_node, "more than %d keys in one mapping",
					YAML_TREE_PAIRS_MAX);
	pairs->v[pairs->count++] = *pair;
	return 0;
}

struct merging {
	struct yaml_tree *tree;
	struct yaml_pairs *pairs;
};

static int add_mapping(struct merging *merging, const yaml_node_t *node, const char *what,
		       unsigned depth);

/* The value of <<: a mapping, or a list of them. */
static int add_merged(struct merging *merging, const yaml_node_t *value, unsigned depth)
{
	static const char what[] = "what << merges";

	if (depth == MERGES_DEEP_MAX)
		return yaml_tree_refuse(merging->tree, value, "<< goes deeper than %d",
					MERGES_DEEP_MAX);
	if (value->type != YAML_SEQUENCE_NODE)
		return add_mapping(merging, value, what, depth + 1);

	for (size_t i = 0; i < yaml_tree_length(value); i++) {
		int rc = add_mapping(merging, yaml_tree_item(merging->tree, value, i), what,
				     depth + 1);
		if (rc)
			return rc;
	}
	return 0;
}

static int add_mapping(struct merging *merging, const yaml_node_t *node, const char *what,
		       unsigned depth)
{
	struct yaml_tree *tree = merging->tree;
	size_t first = merging->pairs->count;
	int rc = 0;

	if (node->type != YAML_MAPPING_NODE)
		return yaml_tree_refuse(tree, node, "%.100s is not a mapping (key: value)", what);

	for (int merges = 0; merges < 2; merges++)
		for (const yaml_node_pair_t *at = node->data.mapping.pairs.start;
		     at < node->data.mapping.pairs.top && !rc; at++) {
			struct yaml_pair pair = {
				.key_node = yaml_document_get_node(&tree->document, at->key),
				.value = yaml_document_get_node(&tree->document, at->value)};

			if (++tree->seen > YAML_TREE_SEEN_MAX)
				return yaml_tree_refuse(tree, node, "too many keys in all");
			rc = yaml_tree_text(tree, pair.key_node, "a key", &pair.key);
			if (rc)
				return rc;
			if ((strcmp(pair.key, "<<") == 0) != merges)
				continue;
			rc = merges ? add_merged(merging, pair.value, depth)
				    : add_pair(tree, merging->pairs, first, depth > 0, &pair);
		}
	return rc;
}

int yaml_tree_pairs(struct yaml_tree *tree, const yaml_node_t *node, const char *what,
		    struct yaml_pairs *ret)
{
	struct merging merging = {.tree = tree, .pairs = ret};
	int rc;

	*ret = (struct yaml_pairs){0};
	if (yaml_tree_is_null(node))
		return 0;
	ret->v = calloc(YAML_TREE_PAIRS_MAX, sizeof(*ret->v));
	if (!ret->v)
		abort();

	rc = add_mapping(&merging, node, what, 0);
	if (rc) {
		free(ret->v);
		*ret = (struct yaml_pairs){0};
	}
	return rc;
}

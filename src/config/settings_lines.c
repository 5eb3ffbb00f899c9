/* settings_lines: the configuration file as libyaml's tree, for what libcyaml cannot say: the line
 * of an unknown or repeated key, and of a value that is well-formed but out of range. Takes no
 * values. Called by settings_load.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/err.h"
#include "config/settings_impl.h"
#include "yaml/yaml_depth.h"

struct tree {
	yaml_document_t document;
	char *detail;
	size_t detail_size;
};

static int refuse_line(const struct tree *tree, size_t line, const char *what, const char *name)
{
	snprintf(tree->detail, tree->detail_size, "%zu: %s%s%.60s%s", line + 1, what,
		 name ? " '" : "", name ? name : "", name ? "'" : "");
	return -ERR_CONFIG;
}

static const char *scalar_text(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
						      : NULL;
}

static bool is_left_empty(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const cyaml_schema_field_t *field_of(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

/* The schema is two levels deep at most and so is this recursion; a deeper tree is a wrong type,
 * which libcyaml refuses. */
static int check_node(struct tree *tree, int index, const cyaml_schema_value_t *schema)
{
	yaml_node_t *node = yaml_document_get_node(&tree->document, index);
	if (node && node->type == YAML_SEQUENCE_NODE && schema->type == CYAML_SEQUENCE) {
		for (yaml_node_item_t *i = node->data.sequence.items.start;
		     i < node->data.sequence.items.top; i++) {
			int rc = check_node(tree, *i, schema->sequence.entry);
			if (rc)
				return rc;
		}
	}

	if (!node || node->type != YAML_MAPPING_NODE || schema->type != CYAML_MAPPING)
		return 0;
	yaml_node_pair_t *first = node->data.mapping.pairs.start;
	for (yaml_node_pair_t *p = first; p < node->data.mapping.pairs.top; p++) {
		yaml_node_t *key_node = yaml_document_get_node(&tree->document, p->key);
		const char *key = scalar_text(key_node);
		const cyaml_schema_field_t *field =
			key ? field_of(schema->mapping.fields, key) : NULL;
		if (!field)
			return refuse_line(tree, key_node->start_mark.line, "unknown key",
					   key ? key : "?");
		for (yaml_node_pair_t *q = first; q < p; q++) {
			const char *other =
				scalar_text(yaml_document_get_node(&tree->document, q->key));
			if (other && strcmp(other, key) == 0)
				return refuse_line(tree, key_node->start_mark.line, "repeated key",
						   key);
		}
		if (is_left_empty(yaml_document_get_node(&tree->document, p->value)))
			return refuse_line(tree, key_node->start_mark.line, "no value for", key);
		int rc = check_node(tree, p->value, &field->value);
		if (rc)
			return rc;
	}

	return 0;
}

/* 0: parsed, the caller deletes the document. */
static int tree_parse(struct tree *tree, const char *text, size_t length)
{
	yaml_parser_t parser;
	size_t deep_line = yaml_depth_line(text, length);
	if (deep_line)
		return refuse_line(tree, deep_line - 1, "nested too deep", NULL);
	if (!yaml_parser_initialize(&parser))
		return refuse_line(tree, 0, "out of memory", NULL);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	int rc = 0;
	if (!yaml_parser_load(&parser, &tree->document)) {
		/* What is missing at the end is missing where it was begun. */
		bool at_end = parser.context && parser.problem_mark.index >= length;
		rc = refuse_line(tree, at_end ? parser.context_mark.line : parser.problem_mark.line,
				 parser.problem ? parser.problem : "not YAML", NULL);
	}
	yaml_parser_delete(&parser);
	return rc;
}

int settings_tree_check(const char *text, size_t length, char *detail, size_t detail_size)
{
	struct tree tree = {.detail = detail, .detail_size = detail_size};
	int rc = tree_parse(&tree, text, length);
	if (rc)
		return rc;
	yaml_node_t *root = yaml_document_get_root_node(&tree.document);
	if (root && root->type != YAML_MAPPING_NODE)
		rc = refuse_line(&tree, root->start_mark.line, "the file is not a list of keys",
				 NULL);
	else if (root)
		rc = check_node(&tree, 1, &settings_schema);
	yaml_document_delete(&tree.document);
	return rc;
}

/* The child of a node by one step of a path, or NULL. */
static yaml_node_t *child_of(yaml_document_t *document, yaml_node_t *node, const char *step)
{
	if (node->type == YAML_SEQUENCE_NODE) {
		long at = strtol(step, NULL, 10);
		yaml_node_item_t *item = node->data.sequence.items.start + at;
		return item < node->data.sequence.items.top
			       ? yaml_document_get_node(document, *item)
			       : NULL;
	}

	if (node->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
	     p++) {
		const char *key = scalar_text(yaml_document_get_node(document, p->key));
		if (key && strcmp(key, step) == 0)
			return yaml_document_get_node(document, p->value);
	}

	return NULL;
}

unsigned settings_tree_line(const char *text, size_t length, const char *path)
{
	char detail[128], steps[128], *save = NULL;
	struct tree tree = {.detail = detail, .detail_size = sizeof(detail)};

	if (tree_parse(&tree, text, length))
		return 0;
	yaml_node_t *node = yaml_document_get_root_node(&tree.document);
	unsigned line = 0;
	snprintf(steps, sizeof(steps), "%s", path);

	for (char *step = strtok_r(steps, "/", &save); step && node;
	     step = strtok_r(NULL, "/", &save)) {
		node = child_of(&tree.document, node, step);
		if (node)
			line = (unsigned)node->start_mark.line + 1;
	}

	yaml_document_delete(&tree.document);
	return line;
}

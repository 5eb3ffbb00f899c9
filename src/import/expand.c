/* expand: see expand.h. */
#include "import/expand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "yaml/yaml_text.h"

enum { NAME_BYTES_MAX = 63, SLUG_BYTES = NAME_BYTES_MAX + 4 };

static const char name_letters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

static struct macro *find_macro(const struct macros *macros, const char *name, size_t length)
{
	for (size_t i = 0; i < macros->count; i++)
		if (strlen(macros->v[i].name) == length &&
		    strncmp(macros->v[i].name, name, length) == 0)
			return (struct macro *)&macros->v[i];
	return NULL;
}

static void set_value(struct macros *macros, const char *name, char *value)
{
	struct macro *macro = find_macro(macros, name, strlen(name));

	if (!macro)
		macro = &macros->v[macros->count++];
	free(macro->value);
	*macro = (struct macro){.name = name, .value = value};
}

void macros_set(struct macros *macros, const char *name, const char *value)
{
	set_value(macros, name, yaml_copy_text(value, strlen(value)));
}

void macros_copy(struct macros *to, const struct macros *from)
{
	to->count = from->count;
	for (size_t i = 0; i < from->count; i++) {
		const char *value = from->v[i].value;
		to->v[i] = (struct macro){.name = from->v[i].name,
					  .value = value ? yaml_copy_text(value, strlen(value))
							 : NULL};
	}
}

void macros_finish(struct macros *macros)
{
	for (size_t i = 0; i < macros->count; i++)
		free(macros->v[i].value);
	macros->count = 0;
}

/* Takes `text` and returns it with `slug` replaced. NULL: that is too long, and `text` is freed. */
static char *replace_all(char *text, const char *slug, const char *value)
{
	struct buf out = {0};
	const char *from = text;

	if (!strstr(text, slug))
		return text;
	for (const char *at; (at = strstr(from, slug)) && out.length <= EXPAND_BYTES_MAX;) {
		yaml_put(&out, "%.*s%s", (int)(at - from), from, value);
		from = at + strlen(slug);
	}
	yaml_put(&out, "%s", from);

	free(text);
	text = out.length <= EXPAND_BYTES_MAX ? yaml_copy_text(buf_data(&out), out.length) : NULL;
	buf_finish(&out);
	return text;
}

static int refuse_length(const struct yaml_tree *tree, const yaml_node_t *node, const char *what)
{
	return yaml_tree_refuse(tree, node, "%.100s has more than %d bytes once it is filled in",
				what, EXPAND_BYTES_MAX);
}

static bool is_text(const char *value)
{
	return !strpbrk(value, "\r\n") && utf8_is_valid(value, strlen(value));
}

/* ${env.NAME}, first of all, and in the order of the text. */
static int fill_environment(const struct yaml_tree *tree, const yaml_node_t *node, const char *what,
			    const char *text, expand_env *env, char **ret_text)
{
	static const char begin[] = "${env.";
	char name[128], *copy;
	struct buf out = {0};
	int rc = 0;

	for (const char *at; (at = strstr(text, begin)) && !rc;) {
		const char *from = at + sizeof(begin) - 1;
		size_t length = strspn(from, name_letters);
		const char *value = NULL;

		yaml_put(&out, "%.*s", (int)(at - text), text);
		text = from + length + (from[length] == '}');
		snprintf(name, sizeof(name), "%.*s", (int)length, from);
		if (length == 0 || length >= sizeof(name) || from[length] != '}')
			rc = yaml_tree_refuse(tree, node,
					      "%.100s has a ${env. without a name and }", what);
		else if (!(value = env(name)))
			rc = yaml_tree_refuse(tree, node,
					      "%.100s needs the environment variable %s, which is "
					      "not set here; set it as for llama-swap",
					      what, name);
		else if (!is_text(value))
			rc = yaml_tree_refuse(
				tree, node,
				"%.100s needs the environment variable %s, which is not "
				"one line of UTF-8",
				what, name);
		else
			yaml_put(&out, "%s", value);
		if (!rc && out.length > EXPAND_BYTES_MAX)
			rc = refuse_length(tree, node, what);
	}

	yaml_put(&out, "%s", text);
	copy = yaml_copy_text(buf_data(&out), out.length);
	buf_finish(&out);
	if (rc)
		free(copy);
	else
		*ret_text = copy;
	return rc;
}

static int check_name(const struct yaml_tree *tree, const struct yaml_pair *pair)
{
	const char *name = pair->key;

	if (!*name || strlen(name) > NAME_BYTES_MAX || name[strspn(name, name_letters)])
		return yaml_tree_refuse(tree, pair->key_node,
					"'%.70s' is not a macro's name: letters, digits, _ and -, "
					"at most %d",
					name, NAME_BYTES_MAX);
	if (strcmp(name, "PORT") == 0 || strcmp(name, "MODEL_ID") == 0)
		return yaml_tree_refuse(tree, pair->key_node, "the macro %s is llama-swap's own",
					name);
	return 0;
}

/* A macro may be used in one below it only; one that uses itself never ends. */
static int take_value(struct yaml_tree *tree, const struct yaml_pair *pair, expand_env *env,
		      char **ret_value)
{
	char what[NAME_BYTES_MAX + 16], slug[SLUG_BYTES];
	const char *text;
	int rc;

	*ret_value = NULL;
	if (pair->value->type == YAML_MAPPING_NODE)
		return 0;

	snprintf(what, sizeof(what), "macro '%s'", pair->key);
	rc = yaml_tree_text(tree, pair->value, what, &text);
	if (rc == 0)
		rc = fill_environment(tree, pair->value, what, text, env, ret_value);
	if (rc)
		return rc;

	snprintf(slug, sizeof(slug), "${%s}", pair->key);
	if (strstr(*ret_value, slug)) {
		free(*ret_value);
		return yaml_tree_refuse(tree, pair->value, "%s uses itself", what);
	}
	return 0;
}

int macros_add(struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
	       expand_env *env)
{
	struct yaml_pairs pairs;
	int rc = yaml_tree_pairs(tree, node, "macros", &pairs);

	for (size_t i = 0; i < pairs.count && !rc; i++) {
		const struct yaml_pair *pair = &pairs.v[i];
		char *value = NULL;

		rc = check_name(tree, pair);
		if (rc == 0 && macros->count == EXPAND_MACROS_MAX)
			rc = yaml_tree_refuse(tree, pair->key_node, "more than %d macros",
					      EXPAND_MACROS_MAX);
		if (rc == 0)
			rc = take_value(tree, pair, env, &value);
		if (rc == 0)
			set_value(macros, pair->key, value);
	}
	free(pairs.v);
	return rc;
}

/* What is left of ${NAME}. */
static int check_rest(const struct macros *macros, const struct yaml_tree *tree,
		      const yaml_node_t *node, const char *what, const char *text)
{
	for (const char *at = strstr(text, "${"); at; at = strstr(at + 2, "${")) {
		const char *name = at + 2;
		size_t length = strspn(name, name_letters);
		const struct macro *macro = find_macro(macros, name, length);

		if (length == 0 || name[length] != '}')
			continue;
		if (length == 4 && strncmp(name, "PORT", 4) == 0)
			continue;
		if (macro && !macro->value)
			return yaml_tree_refuse(tree, node,
						"%.100s uses the macro '%s', which is a mapping",
						what, macro->name);
		if (macro)
			return yaml_tree_refuse(
				tree, node,
				"%.100s needs the macro '%s' in one that is defined above it; "
				"a macro may use those above it, and none in a circle",
				what, macro->name);
		return yaml_tree_refuse(tree, node, "%.100s has the unknown macro '${%.*s}'", what,
					(int)(length < 64 ? length : 64), name);
	}
	return 0;
}

int expand_known(const struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
		 const char *what, const char *text, expand_env *env, char **ret_text)
{
	char slug[SLUG_BYTES], *filled;
	int rc = fill_environment(tree, node, what, text, env, &filled);

	if (rc)
		return rc;
	for (size_t i = macros->count; i-- > 0 && filled;) {
		snprintf(slug, sizeof(slug), "${%s}", macros->v[i].name);
		if (macros->v[i].value)
			filled = replace_all(filled, slug, macros->v[i].value);
	}
	if (!filled)
		return refuse_length(tree, node, what);

	*ret_text = filled;
	return 0;
}

int expand_text(const struct macros *macros, struct yaml_tree *tree, const yaml_node_t *node,
		const char *what, const char *text, expand_env *env, char **ret_text)
{
	char *filled;
	int rc = expand_known(macros, tree, node, what, text, env, &filled);

	if (rc)
		return rc;
	rc = check_rest(macros, tree, node, what, filled);
	if (rc)
		free(filled);
	else
		*ret_text = filled;
	return rc;
}

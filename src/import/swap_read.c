/* swap_read: the keys of a llama-swap configuration. What has no counterpart gets a line that says
 * so; what nobody knows, too. Places nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/swap.h"
#include "yaml/yaml_text.h"

enum { WHAT_BYTES = 128, TTL_DEFAULT = -1, TTL_S_MAX = 1 << 30 };

/* What Baton has instead; NULL: the key is read here. */
struct counterpart {
	const char *key, *text;
};

static const struct counterpart file_keys[] = {
	{"models", NULL},
	{"macros", NULL},
	{"startPort", NULL},
	{"globalTTL", NULL},
	{"healthCheckTimeout", NULL},
	{"groups", "Baton keeps what fits, and unloads idle models when others need the room"},
	{"matrix", "Baton keeps what fits, and unloads idle models when others need the room"},
	{"routing", "Baton keeps what fits, and unloads idle models when others need the room"},
	{"profiles", "Baton keeps what fits, and unloads idle models when others need the room"},
	{"hooks", "nothing is loaded before it is asked for"},
	{"apiKeys", "Baton's own are under `keys`, each in a file"},
	{"peers", "name each under `upstreams`, with kind: openai and gpu: none"},
	{"logLevel", "Baton's own is log_level"},
	{"logRequests", "Baton logs no requests"},
	{"logTimeFormat", "Baton's log has its own"},
	{"logToStdout", "what servers print is in Baton's log: baton logs"},
	{"metricsMaxInMemory", "Baton's metrics are at /metrics"},
	{"captureBuffer", "Baton keeps no requests"},
	{"sendLoadingState", "Baton tells a waiting stream what it waits for in comments"},
	{"includeAliasesInList", "Baton lists an alias in place of its model's name"},
	{"unloadTimeout", "Baton sends SIGTERM, and SIGKILL after 4.5 s"},
};

static const struct counterpart model_keys[] = {
	{"cmd", NULL},
	{"env", NULL},
	{"proxy", NULL},
	{"checkEndpoint", NULL},
	{"ttl", NULL},
	{"aliases", NULL},
	{"useModelName", NULL},
	{"macros", NULL},
	{"name", "Baton lists models by name and alias alone"},
	{"description", "Baton lists models by name and alias alone"},
	{"metadata", "Baton lists models by name and alias alone"},
	{"capabilities", "Baton lists models by name and alias alone"},
	{"unlisted", "Baton lists it"},
	{"cmdStop", "Baton sends cmd and all that it started SIGTERM, and SIGKILL after 4.5 s"},
	{"filters",
	 "requests are passed on unchanged; names that only a filter defines do not exist"},
	{"concurrencyLimit", "set it in the server, such as by --parallel"},
	{"sendLoadingState", "Baton tells a waiting stream what it waits for in comments"},
	{"timeouts", "Baton's is silence_s"},
	{"unloadTimeout", "Baton sends SIGTERM, and SIGKILL after 4.5 s"},
};

/* A line for each key that is not read. */
static void note_keys(const struct yaml_pairs *pairs, const struct counterpart *known, size_t count,
		      struct buf *notes)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const char *text = "not a key that is known here; left out";

		for (size_t row = 0; row < count; row++)
			if (strcmp(known[row].key, pairs->v[i].key) == 0)
				text = known[row].text;
		if (!text || yaml_tree_is_null(pairs->v[i].value))
			continue;
		yaml_put_scalar(notes, pairs->v[i].key);
		yaml_put(notes, ": %s\n", text);
	}
}

/* ---- values ---- */

struct reading {
	struct swap_file *file;
	expand_env *env;
	const struct macros *macros; /* of the model, or of the file */
	const struct yaml_pairs *pairs;
	const char *where; /* the model's name; "": the file */
};

/* "'MODEL': KEY", for errors. */
static const char *say_where(const struct reading *reading, const char *key, char ret[WHAT_BYTES])
{
	if (*reading->where)
		snprintf(ret, WHAT_BYTES, "'%.60s': %s", reading->where, key);
	else
		snprintf(ret, WHAT_BYTES, "%s", key);
	return ret;
}

/* The caller's; NULL when it is absent. */
static int read_text(const struct reading *reading, const char *key, char **ret_text)
{
	const yaml_node_t *node = yaml_pairs_find(reading->pairs, key);
	struct yaml_tree *tree = &reading->file->tree;
	char what[WHAT_BYTES];
	const char *text;
	int rc;

	*ret_text = NULL;
	if (yaml_tree_is_null(node))
		return 0;
	rc = yaml_tree_text(tree, node, say_where(reading, key, what), &text);
	if (rc)
		return rc;
	return expand_text(reading->macros, tree, node, what, text, reading->env, ret_text);
}

/* Leaves ret alone when it is absent. */
static int read_number(const struct reading *reading, const char *key, int64_t min, int64_t max,
		       int64_t *ret)
{
	char what[WHAT_BYTES], *end, *text;
	int rc = read_text(reading, key, &text);
	long long number;
	bool ok;

	if (rc || !text)
		return rc;
	errno = 0;
	number = strtoll(text, &end, 10);
	ok = errno == 0 && end != text && !*end && number >= min && number <= max;
	free(text);
	if (!ok)
		return yaml_tree_refuse(&reading->file->tree, yaml_pairs_find(reading->pairs, key),
					"%s is not a whole number from %lld to %lld",
					say_where(reading, key, what), (long long)min,
					(long long)max);
	*ret = number;
	return 0;
}

static int find_list(const struct reading *reading, const char *key, const yaml_node_t **ret_list)
{
	const yaml_node_t *node = yaml_pairs_find(reading->pairs, key);
	char what[WHAT_BYTES];

	*ret_list = NULL;
	if (yaml_tree_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return yaml_tree_refuse(&reading->file->tree, node, "%s is not a list",
					say_where(reading, key, what));
	*ret_list = node;
	return 0;
}

/* ---- a model ---- */

static int read_cmd(const struct reading *reading, struct swap_model *model)
{
	const yaml_node_t *node = yaml_pairs_find(reading->pairs, "cmd");
	struct yaml_tree *tree = &reading->file->tree;
	char what[WHAT_BYTES], *lines, *filled = NULL;
	const char *text, *problem;
	int rc;

	say_where(reading, "cmd", what);
	if (yaml_tree_is_null(node))
		return yaml_tree_refuse(tree, model->node, "'%.60s' has no cmd", model->id);
	rc = yaml_tree_text(tree, node, what, &text);
	if (rc)
		return rc;

	lines = split_words_uncomment(text);
	rc = expand_text(reading->macros, tree, node, what, lines, reading->env, &filled);
	free(lines);
	if (rc)
		return rc;

	problem = split_words(filled, &model->cmd);
	free(filled);
	if (problem)
		return yaml_tree_refuse(tree, node, "%s %s", what, problem);
	for (size_t i = 0; i < model->cmd.count; i++)
		model->says_port |= strstr(model->cmd.v[i], "${PORT}") != NULL;
	return 0;
}

/* llama-swap fills in no macro there; no variable is lost by it, and what is left over is seen
 * later. */
static int read_env(const struct reading *reading, struct swap_model *model)
{
	struct yaml_tree *tree = &reading->file->tree;
	char what[WHAT_BYTES];
	const yaml_node_t *list;
	int rc = find_list(reading, "env", &list);

	if (rc || !list)
		return rc;
	say_where(reading, "env", what);
	model->env.v = calloc(yaml_tree_length(list) + 1, sizeof(char *));
	if (!model->env.v)
		abort();

	for (size_t i = 0; i < yaml_tree_length(list) && !rc; i++) {
		const yaml_node_t *node = yaml_tree_item(tree, list, i);
		const char *text;

		rc = yaml_tree_text(tree, node, what, &text);
		if (rc == 0)
			rc = expand_known(reading->macros, tree, node, what, text, reading->env,
					  &model->env.v[i]);
		model->env.count += !rc;
	}
	return rc;
}

static int read_alias(const struct reading *reading, const yaml_node_t *node, char **ret_text)
{
	struct yaml_tree *tree = &reading->file->tree;
	struct yaml_pairs pairs = {0};
	char what[WHAT_BYTES];
	const yaml_node_t *id = node;
	const char *text;
	int rc = 0;

	say_where(reading, "aliases", what);
	if (node->type == YAML_MAPPING_NODE) {
		rc = yaml_tree_pairs(tree, node, what, &pairs);
		id = yaml_pairs_find(&pairs, "id");
	}
	if (rc == 0 && yaml_tree_is_null(id))
		rc = yaml_tree_refuse(tree, node, "%s has one without an id", what);
	if (rc == 0)
		rc = yaml_tree_text(tree, id, what, &text);
	free(pairs.v);
	return rc ? rc
		  : expand_text(reading->macros, tree, node, what, text, reading->env, ret_text);
}

/* Each may stand at one model only. */
static int check_alias(const struct swap_file *file, const char *text, const yaml_node_t *node)
{
	for (size_t m = 0; m < file->model_count; m++)
		for (size_t i = 0; i < file->models[m].alias_count; i++)
			if (strcmp(file->models[m].aliases[i].text, text) == 0)
				return yaml_tree_refuse(&file->tree, node,
							"the alias '%.60s' is that of '%.60s' too",
							text, file->models[m].id);
	return 0;
}

static int read_aliases(const struct reading *reading, struct swap_model *model)
{
	struct swap_file *file = reading->file;
	const yaml_node_t *list;
	int rc = find_list(reading, "aliases", &list);

	if (rc || !list)
		return rc;
	file->alias_count += yaml_tree_length(list);
	if (file->alias_count > SWAP_ALIASES_MAX)
		return yaml_tree_refuse(&file->tree, list, "more than %d aliases in all",
					SWAP_ALIASES_MAX);
	model->aliases = calloc(yaml_tree_length(list) + 1, sizeof(*model->aliases));
	if (!model->aliases)
		abort();

	for (size_t i = 0; i < yaml_tree_length(list) && !rc; i++) {
		struct swap_alias alias = {.node = yaml_tree_item(&file->tree, list, i)};

		rc = read_alias(reading, alias.node, &alias.text);
		if (rc)
			break;
		rc = check_alias(file, alias.text, alias.node);
		model->aliases[model->alias_count++] = alias;
	}
	return rc;
}

static int read_values(const struct reading *reading, struct swap_model *model)
{
	int64_t ttl_s = TTL_DEFAULT;
	int rc = read_cmd(reading, model);

	if (rc == 0)
		rc = read_env(reading, model);
	if (rc == 0)
		rc = read_text(reading, "proxy", &model->proxy);
	if (rc == 0)
		rc = read_text(reading, "checkEndpoint", &model->ready);
	if (rc == 0)
		rc = read_text(reading, "useModelName", &model->use_name);
	if (rc == 0)
		rc = read_number(reading, "ttl", TTL_DEFAULT, TTL_S_MAX, &ttl_s);
	if (rc == 0)
		rc = read_aliases(reading, model);

	model->ttl_s = ttl_s == TTL_DEFAULT ? reading->file->ttl_s : ttl_s;
	return rc;
}

static int read_model(struct swap_file *file, const struct yaml_pair *pair, expand_env *env)
{
	struct swap_model *model = &file->models[file->model_count++];
	struct macros macros = {0};
	struct yaml_pairs pairs;
	struct reading reading = {
		.file = file, .env = env, .macros = &macros, .pairs = &pairs, .where = pair->key};
	int rc;

	model->id = pair->key;
	model->node = pair->key_node;
	rc = yaml_tree_pairs(&file->tree, pair->value, "a model", &pairs);
	if (rc)
		return rc;

	macros_copy(&macros, &file->macros);
	macros_set(&macros, "MODEL_ID", model->id);
	rc = macros_add(&macros, &file->tree, yaml_pairs_find(&pairs, "macros"), env);
	if (rc == 0)
		rc = read_values(&reading, model);
	if (rc == 0)
		note_keys(&pairs, model_keys, sizeof(model_keys) / sizeof(*model_keys),
			  &model->notes);

	macros_finish(&macros);
	free(pairs.v);
	return rc;
}

static int read_models(struct swap_file *file, const yaml_node_t *node, expand_env *env)
{
	struct yaml_pairs pairs;
	int rc = yaml_tree_pairs(&file->tree, node, "models", &pairs);

	if (rc)
		return rc;
	if (pairs.count == 0)
		rc = yaml_tree_refuse(&file->tree, node, "there are no models");
	if (pairs.count > SWAP_MODELS_MAX)
		rc = yaml_tree_refuse(&file->tree, node, "more than %d models", SWAP_MODELS_MAX);
	file->models = calloc(pairs.count + 1, sizeof(*file->models));
	if (!file->models)
		abort();

	for (size_t i = 0; i < pairs.count && !rc; i++)
		rc = read_model(file, &pairs.v[i], env);
	free(pairs.v);
	return rc;
}

/* ---- the file ---- */

static int read_globals(struct swap_file *file, const struct yaml_pairs *pairs, expand_env *env)
{
	const struct reading reading = {
		.file = file, .env = env, .macros = &file->macros, .pairs = pairs, .where = ""};
	int64_t port = SWAP_PORT_FIRST, load_s = 0;
	int rc;

	macros_set(&file->macros, "MODEL_ID", "");
	rc = macros_add(&file->macros, &file->tree, yaml_pairs_find(pairs, "macros"), env);
	if (rc == 0)
		rc = read_number(&reading, "startPort", 1, UINT16_MAX, &port);
	if (rc == 0)
		rc = read_number(&reading, "globalTTL", 0, TTL_S_MAX, &file->ttl_s);
	if (rc == 0)
		rc = read_number(&reading, "healthCheckTimeout", 0, TTL_S_MAX, &load_s);

	file->start_port = (unsigned)port;
	if (load_s > 0)
		yaml_put(&file->notes,
			 "healthCheckTimeout: it was %lld; Baton has timing.load_max_s, for all "
			 "servers\n",
			 (long long)load_s);
	return rc;
}

int swap_file_read(struct swap_file *file, expand_env *env)
{
	const yaml_node_t *root = yaml_tree_root(&file->tree);
	struct yaml_pairs pairs;
	int rc = yaml_tree_pairs(&file->tree, root, "the file", &pairs);

	if (rc)
		return rc;
	rc = read_globals(file, &pairs, env);
	if (rc == 0)
		rc = read_models(file, yaml_pairs_find(&pairs, "models"), env);
	if (rc == 0)
		note_keys(&pairs, file_keys, sizeof(file_keys) / sizeof(*file_keys), &file->notes);
	free(pairs.v);
	return rc;
}

static void finish_model(struct swap_model *model)
{
	split_words_finish(&model->cmd);
	split_words_finish(&model->env);
	for (size_t i = 0; i < model->alias_count; i++)
		free(model->aliases[i].text);
	free(model->aliases);
	free(model->proxy);
	free(model->ready);
	free(model->use_name);
	buf_finish(&model->notes);
}

void swap_file_finish(struct swap_file *file)
{
	for (size_t i = 0; i < file->model_count; i++)
		finish_model(&file->models[i]);
	free(file->models);
	macros_finish(&file->macros);
	buf_finish(&file->notes);
}

/* swap_place: each model of a llama-swap configuration as a server of Baton's: its name, its kind,
 * its port, and what Baton cannot take. Reads nothing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/swap.h"
#include "yaml/yaml_text.h"

static const char port_slug[] = "${PORT}";

/* The first reason stands. */
__attribute__((format(printf, 2, 3))) static void refuse_model(struct swap_model *model,
							       const char *format, ...)
{
	va_list args;

	if (model->refusal[0])
		return;
	va_start(args, format);
	vsnprintf(model->refusal, sizeof(model->refusal), format, args);
	va_end(args);
}

/* ---- names ---- */

static bool is_name_taken(const struct swap_file *file, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(file->models[i].name, name) == 0)
			return true;
	return false;
}

/* A name of Baton's is of few letters, and nobody else's. */
static void name_server(struct swap_file *file, size_t at)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	struct swap_model *model = &file->models[at];
	char fit[SETTINGS_KEY_NAME_BYTES + 1];

	snprintf(fit, sizeof(fit), "%s", *model->id ? model->id : "model");
	for (char *letter = fit; *letter; letter++)
		if (!strchr(letters, *letter))
			*letter = '-';

	snprintf(model->name, sizeof(model->name), "%s", fit);
	for (unsigned number = 2; is_name_taken(file, at, model->name); number++)
		snprintf(model->name, sizeof(model->name), "%.*s-%u", SETTINGS_KEY_NAME_BYTES - 5,
			 fit, number);
	if (strcmp(model->name, model->id) != 0)
		yaml_put(&model->notes,
			 "the server's name was made to fit: letters, digits and ._-, at "
			 "most %d of them, each name once\n",
			 SETTINGS_KEY_NAME_BYTES);
}

static const struct swap_model *find_model(const struct swap_file *file, const char *id)
{
	for (size_t i = 0; i < file->model_count; i++)
		if (strcmp(file->models[i].id, id) == 0)
			return &file->models[i];
	return NULL;
}

static void drop_alias(struct swap_model *model, const char *alias, const char *why)
{
	yaml_put(&model->notes, "the alias ");
	yaml_put_scalar(&model->notes, alias);
	yaml_put(&model->notes, " is left out: %s\n", why);
}

/* The server is asked for `useModelName`; then clients need the model's own name as the alias. */
static void name_model(const struct swap_file *file, struct swap_model *model)
{
	bool renamed =
		model->use_name && model->use_name[0] && strcmp(model->use_name, model->id) != 0;

	model->model = renamed ? model->use_name : model->id;
	model->alias = renamed ? model->id : NULL;
	for (size_t i = 0; i < model->alias_count; i++) {
		const char *alias = model->aliases[i].text;

		if (find_model(file, alias))
			drop_alias(model, alias, "it is a model's name");
		else if (!*alias || strlen(alias) > LIMIT_ID_BYTES)
			drop_alias(model, alias, "an alias of Baton's has 1 to 128 bytes");
		else if (model->alias)
			drop_alias(model, alias, "a model of Baton's has one");
		else
			model->alias = alias;
	}

	if (!*model->model || strlen(model->model) > LIMIT_ID_BYTES ||
	    (renamed && strlen(model->id) > LIMIT_ID_BYTES))
		refuse_model(model, "a model's name in Baton has 1 to %d bytes", LIMIT_ID_BYTES);
}

/* ---- what it runs ---- */

static const char *program_of(const struct swap_model *model)
{
	const char *slash = strrchr(model->cmd.v[0], '/');

	return slash ? slash + 1 : model->cmd.v[0];
}

static void judge_words(struct swap_model *model, const struct split_words *words, const char *what)
{
	size_t bytes = 0;

	for (size_t i = 0; i < words->count; i++) {
		bytes += strlen(words->v[i]) + 1;
		for (const char *at = words->v[i]; (at = strstr(at, "${")); at += 2)
			if (strncmp(at, port_slug, sizeof(port_slug) - 1) != 0)
				refuse_model(model, "%s has a ${..} that Baton does not fill in",
					     what);
	}
	if (words->count > SETTINGS_CMD_COUNT || bytes > SETTINGS_CMD_BYTES)
		refuse_model(model, "%s has more than %d words or %d bytes", what,
			     SETTINGS_CMD_COUNT, SETTINGS_CMD_BYTES);
}

static void judge_program(struct swap_model *model)
{
	const char *program = program_of(model);
	const struct split_words *cmd = &model->cmd;

	model->kind = strncmp(program, "llama-server", 12) == 0 ? "llama-server" : "openai";
	if (!cmd->v[0][0])
		refuse_model(model, "cmd has no program");
	if (cmd->shell) {
		yaml_put(&model->notes, "cmd: no shell reads it, just as in llama-swap, so ");
		yaml_put_scalar(&model->notes, cmd->v[cmd->shell_at]);
		yaml_put(&model->notes,
			 " does not %s; if it must, call a script, or sh -c with all of it as "
			 "one word\n",
			 cmd->shell);
	}
	if (strchr(cmd->v[0], '/') && cmd->v[0][0] != '/')
		yaml_put(&model->notes, "cmd: a path without / at its start is looked up in the "
					"broker's folder\n");
	if (strcmp(program, "docker") == 0 || strcmp(program, "podman") == 0)
		yaml_put(&model->notes,
			 "cmd: a container is no child of Baton's: keep it in the "
			 "foreground, with --rm and --init, so that both end together\n");
}

static void judge_env(struct swap_model *model)
{
	for (size_t i = 0; i < model->env.count; i++) {
		const char *word = model->env.v[i];

		if (word[0] == '=' || !strchr(word, '='))
			refuse_model(model, "env is not NAME=VALUE");
		if (strncmp(word, "CUDA_VISIBLE_DEVICES=", 21) == 0)
			yaml_put(&model->notes,
				 "env: Baton leaves CUDA_VISIBLE_DEVICES as it is here; name "
				 "the same GPU in `gpu`, or take it out and let Baton choose\n");
	}
}

static void judge_times(struct swap_model *model)
{
	enum { IDLE_S_MAX = 604800 }; /* as the configuration has it */

	if (model->ttl_s > IDLE_S_MAX) {
		yaml_put(&model->notes, "ttl: idle_s is at most %d; it was %lld\n", IDLE_S_MAX,
			 (long long)model->ttl_s);
		model->ttl_s = IDLE_S_MAX;
	}
	if (model->ready && strcmp(model->ready, "none") == 0)
		yaml_put(&model->notes, "checkEndpoint: Baton asks for /v1/models until it is "
					"answered by 200\n");
	else if (model->ready && strlen(model->ready) >= SETTINGS_ADDRESS_BYTES)
		refuse_model(model, "checkEndpoint has more than %d bytes", SETTINGS_ADDRESS_BYTES);
}

/* ---- ports ---- */

static bool is_loopback(const char *host, size_t length)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1", "0.0.0.0"};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
		if (strlen(hosts[i]) == length && strncmp(host, hosts[i], length) == 0)
			return true;
	return false;
}

/* "" or "/". */
static bool is_no_path(const char *rest)
{
	return !rest[0] || (rest[0] == '/' && !rest[1]);
}

/* The port that `proxy` names; 0: it is ${PORT}, or the model is refused. */
static unsigned proxy_port(struct swap_model *model)
{
	const char *proxy = model->proxy, *host = proxy + 7;
	size_t length;
	unsigned long port;
	char *end;

	if (!proxy)
		return 0;
	if (strncmp(proxy, "http://", 7) != 0 || !is_loopback(host, length = strcspn(host, ":/"))) {
		refuse_model(model,
			     "its proxy is not on http://127.0.0.1, as what Baton starts is");
		return 0;
	}

	host += length;
	if (strncmp(host, ":${PORT}", 8) == 0 && is_no_path(host + 8))
		return 0;
	port = *host == ':' ? strtoul(host + 1, &end, 10) : 80;
	if (*host != ':')
		end = (char *)host;
	if (port < 1 || port > UINT16_MAX || (*host == ':' && end == host + 1)) {
		refuse_model(model, "its proxy has no port");
		return 0;
	}
	if (!is_no_path(end)) {
		refuse_model(model, "its proxy has a path, or no port; a url of Baton's has none");
		return 0;
	}
	return (unsigned)port;
}

static const struct swap_model *port_owner(const struct swap_file *file, unsigned port)
{
	for (size_t i = 0; i < file->model_count; i++)
		if (file->models[i].port == port && !file->models[i].refusal[0])
			return &file->models[i];
	return NULL;
}

/* Makes "--port 9000" and "--port=9000" of the command follow `url`. */
static bool free_port(struct swap_model *model, unsigned port)
{
	char number[16];
	bool done = false;

	snprintf(number, sizeof(number), "%u", port);
	for (size_t i = 1; i < model->cmd.count; i++) {
		char **word = &model->cmd.v[i];
		const char *before = model->cmd.v[i - 1];
		bool alone = strcmp(before, "--port") == 0 && strcmp(*word, number) == 0;
		bool joined = strncmp(*word, "--port=", 7) == 0 && strcmp(*word + 7, number) == 0;
		struct buf text = {0};

		if (!alone && !joined)
			continue;
		yaml_put(&text, "%s%s", joined ? "--port=" : "", port_slug);
		free(*word);
		*word = yaml_copy_text(buf_data(&text), text.length);
		buf_finish(&text);
		done = true;
	}
	return done;
}

/* The first model keeps a port that is said; one more with the same needs another. */
static int take_said_port(struct swap_file *file, struct swap_model *model)
{
	unsigned port = proxy_port(model);
	const struct swap_model *owner;

	if (model->refusal[0])
		return 0;
	if (port == 0) {
		if (!model->says_port)
			return yaml_tree_refuse(
				&file->tree, model->node,
				"'%.60s': cmd does not have ${PORT}, and proxy does "
				"not say another port",
				model->id);
		return 0;
	}

	if (model->says_port)
		yaml_put(&model->notes, "cmd: ${PORT} is that of url\n");
	owner = port_owner(file, port);
	if (!owner) {
		model->port = port;
	} else if (free_port(model, port)) {
		yaml_put(&model->notes, "its port was %u, as that of ", port);
		yaml_put_scalar(&model->notes, owner->id);
		yaml_put(&model->notes, "; each has its own now\n");
	} else {
		refuse_model(model,
			     "its port %u is another model's, and cmd does not say it as --port",
			     port);
	}
	return 0;
}

static int number_ports(struct swap_file *file)
{
	unsigned port = file->start_port;

	for (size_t i = 0; i < file->model_count; i++) {
		struct swap_model *model = &file->models[i];

		if (model->refusal[0] || model->port)
			continue;
		while (port <= UINT16_MAX && port_owner(file, port))
			port++;
		if (port > UINT16_MAX)
			return yaml_tree_refuse(
				&file->tree, model->node,
				"no port is left for '%.60s', counted from startPort %u", model->id,
				file->start_port);
		model->port = port;
	}
	return 0;
}

static void keep_to_limit(struct swap_file *file)
{
	size_t count = 0;

	for (size_t i = 0; i < file->model_count; i++) {
		struct swap_model *model = &file->models[i];

		if (!model->refusal[0] && count == SETTINGS_UPSTREAM_COUNT)
			refuse_model(model, "Baton takes %d servers in all",
				     SETTINGS_UPSTREAM_COUNT);
		count += !model->refusal[0];
	}
}

int swap_file_place(struct swap_file *file)
{
	int rc = 0;

	for (size_t i = 0; i < file->model_count && !rc; i++) {
		struct swap_model *model = &file->models[i];

		name_server(file, i);
		name_model(file, model);
		judge_program(model);
		judge_env(model);
		judge_times(model);
		rc = take_said_port(file, model);
		judge_words(model, &model->cmd, "cmd");
		judge_words(model, &model->env, "env");
	}
	if (rc)
		return rc;

	keep_to_limit(file);
	return number_ports(file);
}

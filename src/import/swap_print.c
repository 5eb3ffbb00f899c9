/* swap_print: the models of a llama-swap configuration as lines of Baton's. One that Baton cannot
 * have is printed all the same, as comments. */
#include <stdio.h>
#include <string.h>

#include "import/swap.h"
#include "yaml/yaml_text.h"

/* Each line of `text` behind `before`. */
static void put_lines(struct buf *out, const char *before, const struct buf *text)
{
	const char *at = buf_data(text), *end = at + text->length;

	for (const char *line_end; at < end; at = line_end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		line_end = line ? line + 1 : end;
		yaml_put(out, "%s%.*s", before, (int)(line_end - at), at);
	}
}

/* A list between brackets; an option begins a line. */
static void put_words(struct buf *out, const char *key, const struct split_words *words)
{
	if (words->count == 0)
		return;
	yaml_put(out, "    %s: [", key);
	for (size_t i = 0; i < words->count; i++) {
		if (i > 0)
			yaml_put(out, words->v[i][0] == '-' ? ",\n      " : ", ");
		yaml_put_scalar(out, words->v[i]);
	}
	yaml_put(out, "]\n");
}

static void put_text(struct buf *out, const char *before, const char *key, const char *text)
{
	yaml_put(out, "%s%s: ", before, key);
	yaml_put_scalar(out, text);
	yaml_put(out, "\n");
}

static void put_ready(struct buf *out, const char *ready)
{
	struct buf path = {0};

	if (ready && strcmp(ready, "none") == 0)
		return;
	yaml_put(&path, "%s%s", ready && ready[0] != '/' ? "/" : "", ready ? ready : "/health");
	buf_data(&path)[path.length] = '\0';
	put_text(out, "    ", "ready", buf_data(&path));
	buf_finish(&path);
}

static void put_model(struct buf *out, const struct swap_model *model)
{
	put_text(out, "  - ", "name", model->name);
	put_lines(out, "    # ", &model->notes);
	yaml_put(out, "    kind: %s\n    url: http://127.0.0.1:", model->kind);
	yaml_put(out, model->port ? "%u\n" : "PORT\n", model->port);
	put_words(out, "cmd", &model->cmd);
	put_words(out, "env", &model->env);
	put_ready(out, model->ready);
	if (model->ttl_s > 0)
		yaml_put(out, "    idle_s: %lld\n", (long long)model->ttl_s);

	yaml_put(out, "    models:\n");
	put_text(out, "      - ", "name", model->model);
	if (model->alias)
		put_text(out, "        ", "alias", model->alias);
	yaml_put(out, "        vram_mb: # fill in: the MiB that it needs\n");
}

/* Without its first character each line is what it would be. */
static void put_refused(struct buf *out, const struct swap_model *model)
{
	struct buf lines = {0};

	put_model(&lines, model);
	yaml_put(out, "# Left out: %s.\n", model->refusal);
	put_lines(out, "#", &lines);
	buf_finish(&lines);
}

void swap_file_print(const struct swap_file *file, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < file->model_count; i++)
		any = any || !file->models[i].refusal[0];

	yaml_put(out,
		 "# From a llama-swap configuration, which does not say how much memory a model "
		 "needs.\n# Baton starts no server without that: fill in each vram_mb.\n");
	put_lines(out, "# ", &file->notes);
	yaml_put(out, any ? "upstreams:\n" : "upstreams: []\n");

	for (size_t i = 0; i < file->model_count; i++)
		if (file->models[i].refusal[0])
			put_refused(out, &file->models[i]);
		else
			put_model(out, &file->models[i]);
}

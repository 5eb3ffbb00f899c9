/* llama_swap: see llama_swap.h. Reads, places, and prints, in this order. */
#include "import/llama_swap.h"

#include <stdlib.h>

#include "import/swap.h"
#include "yaml/yaml_text.h"

static unsigned count_lines(const struct buf *text)
{
	unsigned count = 0;

	for (size_t i = 0; i < text->length; i++)
		count += buf_data(text)[i] == '\n';
	return count;
}

static void put_warning(struct buf *out, const struct swap_file *file,
			const struct swap_model *model)
{
	yaml_put(out, "%s:%zu: ", file->tree.path, model->node->start_mark.line + 1);
	yaml_put_scalar(out, model->id);
	yaml_put(out, " is left out, as comments: %s\n", model->refusal);
}

static void print_file(const struct swap_file *file, struct llama_swap_lines *ret)
{
	swap_file_print(file, &ret->lines);
	ret->remarks = count_lines(&file->notes);
	for (size_t i = 0; i < file->model_count; i++) {
		const struct swap_model *model = &file->models[i];

		ret->remarks += count_lines(&model->notes);
		if (model->refusal[0])
			put_warning(&ret->warnings, file, model);
		else
			ret->servers++;
	}

	if (ret->lines.length >= SETTINGS_FILE_BYTES)
		yaml_put(&ret->warnings,
			 "%s:1: its lines are more than the %d KiB that a configuration may have; "
			 "take out comments\n",
			 file->tree.path, SETTINGS_FILE_BYTES / 1024);
}

int llama_swap_import(const struct llama_swap_source *from, struct llama_swap_lines *ret,
		      char *detail, size_t detail_size)
{
	struct swap_file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file)
		abort();
	file->tree = (struct yaml_tree){
		.path = from->path, .detail = detail, .detail_size = detail_size};
	rc = yaml_tree_load(&file->tree, from->text, from->length);
	if (rc) {
		free(file);
		return rc;
	}

	rc = swap_file_read(file, from->env);
	if (rc == 0)
		rc = swap_file_place(file);
	if (rc == 0)
		print_file(file, ret);

	swap_file_finish(file);
	yaml_tree_finish(&file->tree);
	free(file);
	return rc;
}

void llama_swap_finish(struct llama_swap_lines *lines)
{
	buf_finish(&lines->lines);
	buf_finish(&lines->warnings);
}

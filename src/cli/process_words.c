/* process_words: see process_words.h. */
#include "cli/process_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/units.h"

enum { SHORT_ID = 12 };

__attribute__((format(printf, 2, 3))) static void add_words(char *words, const char *format, ...)
{
	size_t length = strlen(words);
	va_list args;
	va_start(args, format);
	(void)vsnprintf(words + length, PROCESS_WORDS_BYTES - length, format, args);
	va_end(args);
}

/* As the runtimes shorten it: a name is left whole. */
static void add_container(char *words, const json_t *process)
{
	const json_t *container = json_object_get(process, "container");
	const char *id = field_text(container, "id", "");
	size_t length = strlen(id);

	if (length > 0)
		add_words(words, ", in %.15s %.*s", field_text(container, "runtime", "container"),
			  length == 64 ? SHORT_ID : (int)length, id);
}

static const char *condition_words(const char *condition)
{
	static const struct {
		const char *name, *words;
	} conditions[] = {{"vram_swap", "VRAM as swap"},
			  {"zombie", "dead, not collected"},
			  {"dead", "dead"},
			  {"stuck", "stuck in the kernel"}};

	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (strcmp(condition, conditions[i].name) == 0)
			return conditions[i].words;
	return condition;
}

enum text_table_style process_words_holder(const json_t *process,
					   char ret_words[PROCESS_WORDS_BYTES])
{
	const char *client = field_text(process, "client", NULL);
	const char *condition = field_text(process, "condition", NULL);
	uint64_t lease = field_u64(process, "lease");

	ret_words[0] = '\0';
	if (client && lease)
		add_words(ret_words, "%.200s, lease %" PRIu64, client, lease);
	else if (client)
		add_words(ret_words, "%.200s, without a lease here", client);
	else
		add_words(ret_words, "unmanaged");

	add_container(ret_words, process);
	if (condition)
		add_words(ret_words, ", %.40s", condition_words(condition));
	if (condition && strcmp(condition, "vram_swap") != 0)
		return STYLE_BAD;
	return client && lease ? STYLE_GOOD : STYLE_WARN;
}

void process_words_name(const json_t *process, char ret_words[PROCESS_WORDS_BYTES])
{
	char size[UNITS_BYTES];
	double mb = field_number(process, "vram_mb", -1);

	ret_words[0] = '\0';
	add_words(ret_words, "%.31s (%" PRIu64 ")", field_text(process, "command", "process"),
		  field_u64(process, "pid"));
	if (mb >= 0)
		add_words(ret_words, ", %s", units_mb(size, mb));
	add_container(ret_words, process);
}

void process_words_odd(const json_t *gpus, struct text_table *sheet)
{
	char words[PROCESS_WORDS_BYTES];
	size_t i, j;
	json_t *gpu, *process;

	json_array_foreach (gpus, i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		json_array_foreach (json_object_get(measured, "processes"), j, process) {
			if (!field_text(process, "condition", NULL))
				continue;
			process_words_name(process, words);
			text_table_add(sheet, "%c%s: %s: %s", STYLE_WARN,
				       field_text(gpu, "name", "?"), words,
				       field_text(process, "condition_text", ""));
		}
	}
}

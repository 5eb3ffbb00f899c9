/* split_words: see split_words.h. */
#include "import/split_words.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "yaml/yaml_text.h"

enum { WORDS_MAX = 1024 };

static const char blanks[] = " \t\r\n\v\f";

char *split_words_uncomment(const char *text)
{
	struct buf out = {0};
	char *copy;

	while (*text) {
		size_t length = strcspn(text, "\n");
		size_t line = length + (text[length] == '\n');

		if (text[strspn(text, " \t\r\v\f")] != '#')
			yaml_put(&out, "%.*s", (int)line, text);
		text += line;
	}

	copy = yaml_copy_text(out.length ? buf_data(&out) : "", out.length);
	buf_finish(&out);
	return copy;
}

/* A backslash at the end of a line becomes a blank, in place. */
static void join_lines(char *text)
{
	for (char *line = text; *line;) {
		size_t length = strcspn(line, "\n"), end = length;

		while (end > 0 && strchr(blanks, line[end - 1]))
			end--;
		if (end > 0 && line[end - 1] == '\\')
			line[end - 1] = ' ';
		line += length + (line[length] == '\n');
	}
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

/* What a shell would do with a word, of whose characters `quoted` were between quotes; NULL:
 * nothing. */
static const char *shell_meaning(const char *word, bool quoted, bool is_first)
{
	static const char *const operators[] = {"|",  "||", "&&", "&", ";",
						"|&", ";;", "{",  "}", NULL};
	static const char *const redirections[] = {">",    ">>", "<",   "<<",   "2>",
						   "2>&1", "&>", ">&2", "1>&2", NULL};
	const char *dollar = strchr(word, '$');
	const char *equals = strchr(word, '=');

	if (quoted)
		return NULL;
	if (is_one_of(word, operators))
		return "join commands";
	if (is_one_of(word, redirections))
		return "redirect";
	if (strstr(word, "$(") || strchr(word, '`'))
		return "run a command for it";
	if (dollar && (dollar[1] == '_' || (dollar[1] >= 'A' && dollar[1] <= 'Z')))
		return "fill in a variable";
	if (word[0] == '#')
		return "begin a comment";
	if (word[0] == '~' && (word[1] == '/' || word[1] == '\0'))
		return "fill in the home folder";
	if (is_first && equals && equals > word && !memchr(word, '/', (size_t)(equals - word)))
		return "set a variable";
	return NULL;
}

struct splitting {
	struct buf word;
	bool begun, quoted; /* a word has begun; something of it was quoted */
	char quote;         /* the open one, or 0 */
};

static void end_word(struct splitting *splitting, struct split_words *words)
{
	char *word;
	const char *shell;

	if (!splitting->begun)
		return;
	word = yaml_copy_text(splitting->word.length ? buf_data(&splitting->word) : "",
			      splitting->word.length);
	shell = shell_meaning(word, splitting->quoted, words->count == 0);
	if (shell && !words->shell) {
		words->shell = shell;
		words->shell_at = words->count;
	}
	words->v[words->count++] = word;
	buf_clear(&splitting->word, SIZE_MAX);
	splitting->begun = splitting->quoted = false;
}

/* Takes one character, and one behind a backslash with it. Returns how many. */
static size_t take_character(struct splitting *splitting, const char *at)
{
	bool escapes = *at == '\\' && at[1] && splitting->quote != '\'' &&
		       (!splitting->quote || strchr("\\\"$`", at[1]));

	if (!escapes && splitting->quote && *at == splitting->quote) {
		splitting->quote = 0;
		return 1;
	}
	splitting->begun = true;
	if (!escapes && !splitting->quote && (*at == '"' || *at == '\'')) {
		splitting->quote = *at;
		splitting->quoted = true;
		return 1;
	}

	splitting->quoted = splitting->quoted || escapes;
	yaml_put(&splitting->word, "%c", at[escapes]);
	return 1u + escapes;
}

const char *split_words(const char *text, struct split_words *ret)
{
	struct splitting splitting = {0};
	char *lines = split_words_uncomment(text);
	const char *problem = NULL;

	*ret = (struct split_words){.v = calloc(WORDS_MAX, sizeof(char *))};
	if (!ret->v)
		abort();
	join_lines(lines);

	for (const char *at = lines; *at && ret->count < WORDS_MAX;) {
		if (!splitting.quote && strchr(blanks, *at)) {
			end_word(&splitting, ret);
			at++;
		} else {
			at += take_character(&splitting, at);
		}
	}
	if (ret->count < WORDS_MAX)
		end_word(&splitting, ret);

	if (splitting.quote)
		problem = splitting.quote == '"' ? "has a \" without its second one"
						 : "has a ' without its second one";
	else if (ret->count == 0)
		problem = "has no program";
	else if (ret->count == WORDS_MAX)
		problem = "has a thousand words";

	buf_finish(&splitting.word);
	free(lines);
	if (problem)
		split_words_finish(ret);
	return problem;
}

void split_words_finish(struct split_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->v[i]);
	free(words->v);
	*words = (struct split_words){0};
}

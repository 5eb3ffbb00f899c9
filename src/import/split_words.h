/* split_words: a command in one text as its words, split as llama-swap does: quotes and backslashes
 * as a POSIX shell has them, lines that begin with # are left out, a line's end (after a backslash,
 * too) parts words. Nothing is run or filled in. Pure. Aborts without memory. */
#pragma once
#include <stddef.h>

struct split_words {
	char **v;
	size_t count;
	const char *shell; /* of the first word that only a shell would take for something else:
			    * what that would be; NULL: there is none */
	size_t shell_at;
};

/* NULL, or what is wrong with the text, and nothing is to be finished. */
const char *split_words(const char *text, struct split_words *ret);
void split_words_finish(struct split_words *words);

/* The text without its comment lines, the caller's. */
char *split_words_uncomment(const char *text);

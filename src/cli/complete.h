/* complete: completion of an unfinished command line, for every shell alike. */
#pragma once
#include "cli/cli.h"

/* `words` follow "baton" on the line; the last one is being typed and may be empty. Prints in its
 * first line how to complete it: "words": the lines that follow, each a word, a tab and what it is;
 * "files"; "folders"; "command N": words[N] on are the command line of another program. Before a
 * file or folder stays what stands before the word's '='. */
void complete_print(const struct cli *cli, int count, char **words);

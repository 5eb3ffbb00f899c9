/* complete: completion of an unfinished command line, for every shell alike. */
#pragma once

struct cli;

/* `words` follow "baton" on the line; the last one is being typed and may be empty. The first line
 * printed says how to complete it. "words": from the lines that follow, each a word, a tab and what
 * it is; "files"; "folders"; "command N": words[N] onwards are the command line of another program.
 * The part of a word up to its '=' stays in front of a file or folder. */
void complete_print(const struct cli *cli, int count, char **words);

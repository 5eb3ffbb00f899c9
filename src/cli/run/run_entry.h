/* run_entry: jobs of `baton run` where device files of GPUs are closed to all but one group. */
#pragma once

/* The command by way of baton-gpu-exec, which lets it into that group; NULL where that is not set
 * up: the command as it is. The caller frees it; its words are those of argv and the environment.
 */
char **run_entry_wrap(char **argv);

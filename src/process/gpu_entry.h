/* gpu_entry: the program beside this one that lets a job into the group that may open GPUs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* The path of a program beside this one; false: it is not there. */
bool gpu_entry_beside(const char *name, char *ret_path, size_t size);
/* Its path; false: it is not there. */
bool gpu_entry_find(char *ret_path, size_t size);
/* Whether an administrator gave it the right to. */
bool gpu_entry_works(const char *path);

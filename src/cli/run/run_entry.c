/* run_entry: see run_entry.h. */
#include "cli/run/run_entry.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/gpu_entry.h"

enum { PATH_BYTES = 4096 };

/* What the loader takes out of the environment of a program with a capability, and so of all that
 * this starts (ld.so(8), "secure-execution mode"). Not what has no value: nothing could set it
 * again. */
static bool is_taken(const char *entry)
{
	static const char *const names[] = {
		"GCONV_PATH",  "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES", "LOCALDOMAIN",
		"LOCPATH",     "MALLOC_",     "NIS_PATH",       "NLSPATH",     "RESOLV_HOST_CONF",
		"RES_OPTIONS", "TMPDIR",      "TZDIR",          "LD_"};
	for (size_t i = 0; strchr(entry, '=') && i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static size_t count_words(char *const *words)
{
	size_t count = 0;
	while (words[count])
		count++;
	return count;
}

char **run_entry_wrap(char **argv)
{
	static char path[PATH_BYTES], parent[24];
	if (!gpu_entry_find(path, sizeof(path)) || !gpu_entry_works(path))
		return NULL;

	char **words = calloc(count_words(argv) + count_words(environ) + 5, sizeof(*words));
	size_t count = 0;
	if (!words)
		abort();
	(void)snprintf(parent, sizeof(parent), "%ld", (long)getpid());
	words[count++] = path;
	words[count++] = (char *)"--parent";
	words[count++] = parent;

	for (char **entry = environ; *entry; entry++)
		if (is_taken(*entry))
			words[count++] = *entry;
	words[count++] = (char *)"--";
	memcpy(words + count, argv, count_words(argv) * sizeof(*argv));
	return words;
}

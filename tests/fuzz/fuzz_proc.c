/* Goal: no text crashes what reads the files of /proc/PID, and what it takes from one can be found
 * there. Method: libFuzzer, or the corpus as a plain test. Each input is read as each of the files.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "process/container.h"
#include "process/proc_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(char *text)
{
	struct proc_status status = PROC_STATUS_NONE;
	for (char *rest, *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char path[32];
		proc_parse_status(line, &status);
		if (proc_parse_cgroup(line, path, sizeof path))
			assert(path[0] == '/' && strcmp(path, line + 3) == 0);
	}
	assert(status.uid >= -1 && status.uid < UINT32_MAX);
	assert(status.inner_pid >= 0 && status.waits >= -1);
}

static void read_container(const char *text)
{
	struct container container;
	if (container_parse(text, &container))
		assert(container.runtime[0] && container.id[0] && strstr(text, container.id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_stat stat;
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';

	if (proc_parse_stat(text, &stat)) {
		assert(stat.parent >= 0 && stat.threads >= 0);
		assert(strchr(text, ')') && strchr(text, stat.state));
	}
	read_container(text);
	read_lines(text);

	free(text);
	return 0;
}

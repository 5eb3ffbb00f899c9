/* import: the configuration of another program as lines of Baton's. Reads one file, and prints. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/regular_file.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "import/llama_swap.h"

enum { FILE_BYTES_MAX = 256 * 1024, DETAIL_BYTES = 1024 };

/* Reads no more than one byte past the limit, which the import refuses then. -1 with errno. */
static ssize_t read_bounded(int fd, char *bytes)
{
	size_t length = 0;

	while (length <= FILE_BYTES_MAX) {
		ssize_t n = read(fd, bytes + length, FILE_BYTES_MAX + 1 - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

static const char *environment_value(const char *name)
{
	return getenv(name);
}

/* The warnings one by one, as other errors look. */
static void print_warnings(const struct command *command, struct buf *warnings)
{
	char *save = NULL;

	if (warnings->length == 0)
		return;
	for (char *line = strtok_r(buf_data(warnings), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		(void)cli_fail(command, 0, "%s", line);
}

static int print_import(const struct command *command, const char *path, const char *text,
			size_t length)
{
	const struct llama_swap_source source = {
		.path = path, .text = text, .length = length, .env = environment_value};
	struct llama_swap_lines lines = {0};
	char detail[DETAIL_BYTES];

	if (llama_swap_import(&source, &lines, detail, sizeof(detail)) != 0)
		return cli_fail(command, EX_CONFIG, "%s", detail);

	fwrite(buf_data(&lines.lines), 1, lines.lines.length, stdout);
	fflush(stdout);
	print_warnings(command, &lines.warnings);
	(void)cli_fail(command, 0,
		       "%s: servers: %u, remarks in the lines: %u; fill in each vram_mb, then: "
		       "baton serve --check",
		       path, lines.servers, lines.remarks);
	llama_swap_finish(&lines);
	return 0;
}

static int run_import(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	int rc = cli_parse(cli, command, &argc, argv, NULL);
	if (rc >= 0)
		return rc;
	if (strcmp(argv[1], "llama-swap") != 0)
		return cli_fail(command, EX_USAGE,
				"unknown format '%.60s'; there is llama-swap only", argv[1]);

	bool from_input = strcmp(argv[2], "-") == 0;
	const char *path = from_input ? "standard input" : argv[2];
	cleanup_free char *text = malloc(FILE_BYTES_MAX + 1);
	cleanup_close int file = from_input ? -1 : regular_file_open(path, O_RDONLY, 0);
	if (!text)
		return cli_fail(command, EX_OSERR, "out of memory");
	if (!from_input && file < 0)
		return cli_fail(command, EX_NOINPUT, "%s: %s", path, regular_file_error(errno));

	ssize_t length = read_bounded(from_input ? STDIN_FILENO : file, text);
	if (length < 0)
		return cli_fail(command, EX_IOERR, "%s: %s", path, strerror(errno));
	return print_import(command, path, text, (size_t)length);
}

const struct command command_import = {
	.name = "import",
	.summary = "Print another program's configuration as Baton's.",
	.usage = "llama-swap FILE",
	.details =
		"Reads a llama-swap configuration (FILE, or - for standard input) and prints its\n"
		"models as `upstreams` that Baton starts. How much memory each needs is to be "
		"filled\n"
		"in; what Baton lacks or does otherwise is said in comments. Nothing is\n"
		"changed or run.",
	.arguments = ARGUMENTS_FORMAT_FILE,
	.run = run_import,
};

/* open: the broker's pages in a browser, by a link that the broker makes and that works once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "baton/baton.h"
#include "cli/cli.h"
#include "cli/reach.h"

struct values {
	bool print;
	const char *page;
};

static const char *const pages[] = {"dashboard", "console", "mic", "dreamer", "logs", NULL};

static const struct option_spec options[] = {
	{.letter = 'P',
	 .name = "page",
	 .kind = OPTION_CHOICE,
	 .argument = "PAGE",
	 .help = "dashboard, console, mic, dreamer or logs (dashboard)",
	 .offset = offsetof(struct values, page),
	 .choices = pages},
	{.letter = 'p',
	 .name = "print",
	 .kind = OPTION_FLAG,
	 .help = "only print the address",
	 .offset = offsetof(struct values, print)},
};

/* Returns once the opener has passed the address on. */
static int start_browser(const char *url)
{
	char *const argv[] = {"xdg-open", (char *)url, NULL};
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {0};
	struct baton *baton;
	char url[1024], words[1024];
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	r = baton_connect(NULL, &baton);
	if (r == 0) {
		r = baton_page_link(baton, url, sizeof(url));
		baton_close(baton);
	}
	if (r == BATON_E_UNREACHABLE)
		reach_words(words, sizeof(words));
	if (r < 0)
		return cli_fail(command, baton_exit_code(r), "no address of the pages: %s",
				r == BATON_E_UNREACHABLE ? words : baton_strerror(r));
	if (values.page) {
		size_t length = strlen(url);
		snprintf(url + length, sizeof(url) - length, "&page=%s", values.page);
	}
	if (values.print || start_browser(url) < 0)
		puts(url);
	return 0;
}

const struct command command_open = {
	.name = "open",
	.summary = "Open the broker's pages in a browser.",
	.usage = "[--page PAGE] [--print]",
	.details = "The link works once and signs the browser in. Where no browser can be started "
		   "it is\n"
		   "printed.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_NONE,
	.run = run,
};

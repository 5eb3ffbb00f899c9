/* open: opens the broker's pages in a browser, by a link that the broker makes and that works once.
 */
#include "cli/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "baton/baton.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/reach.h"

struct open_options {
	bool print;
	const char *page;
};

static const char *const pages[] = {"dashboard", "console", "mic", "dreamer",
				    "models",    "logs",    NULL};

static const struct option_spec option_specs[] = {
	{.letter = 'P',
	 .name = "page",
	 .kind = OPTION_CHOICE,
	 .argument = "PAGE",
	 .help = "dashboard, console, mic, dreamer, models or logs (dashboard)",
	 .offset = offsetof(struct open_options, page),
	 .choices = pages},
	{.letter = 'p',
	 .name = "print",
	 .kind = OPTION_FLAG,
	 .help = "only print the address",
	 .offset = offsetof(struct open_options, print)},
};

/* Returns once xdg-open has passed the address on. */
static int start_browser(const char *url)
{
	char *const argv[] = {"xdg-open", (char *)url, NULL};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* Without a browser it complains at length; the link is printed instead. */
		int nothing = open("/dev/null", O_WRONLY);
		dup2(nothing, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}

	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int open_page(const struct command *command, const char *page, bool print)
{
	struct baton *baton;
	char url[1024], words[1024];
	int rc = baton_connect(NULL, &baton);
	if (rc == 0) {
		rc = baton_page_link(baton, url, sizeof(url));
		baton_close(baton);
	}

	if (rc == BATON_E_UNREACHABLE)
		reach_words(words, sizeof(words));
	if (rc < 0)
		return cli_fail(command, baton_exit_code(rc), "no address of the pages: %s",
				rc == BATON_E_UNREACHABLE ? words : baton_strerror(rc));

	if (page) {
		size_t length = strlen(url);
		snprintf(url + length, sizeof(url) - length, "&page=%s", page);
	}

	if (print || start_browser(url) < 0)
		puts(url);
	return 0;
}

static int run_open(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct open_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	return rc >= 0 ? rc : open_page(command, options.page, options.print);
}

const struct command command_open = {
	.name = "open",
	.summary = "Open the broker's pages in a browser.",
	.usage = "[--page PAGE] [--print]",
	.details = "The link works once and signs the browser in. Where no browser can be started "
		   "it is\n"
		   "printed.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_open,
};

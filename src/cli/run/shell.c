/* shell: `baton shell`: a shell under a lease, whose prompt says so. */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/run/run.h"
#include "cli/run/run_hold.h"
#include "cli/run/run_options.h"
#include "cli/run/run_scope.h"
#include "cli/run/run_state.h"
#include <baton/baton.h>

enum { WORDS_MAX = 6, FD_PATH_BYTES = 32 };

#define PROMPT "(baton $BATON_GPU, lease $BATON_LEASE) "

static const char fish_prompt_words[] =
	"functions -c fish_prompt baton_fish_prompt; function fish_prompt; "
	"printf '(baton %s, lease %s) ' $BATON_GPU $BATON_LEASE; baton_fish_prompt; end";

static const char *find_shell(void)
{
	const char *shell = getenv("SHELL");
	const struct passwd *user = shell && *shell ? NULL : getpwuid(getuid());
	if (user && user->pw_shell && *user->pw_shell)
		shell = user->pw_shell;
	return shell && *shell ? shell : "/bin/sh";
}

/* The user's own settings come first, as they may set the prompt. False: no descriptor. */
static bool write_bash_settings(char ret_path[FD_PATH_BYTES])
{
	char words[256];
	int fd = memfd_create("baton-shell", 0); /* bash inherits it, and closes it */
	if (fd < 0)
		return false;

	int length = snprintf(
		words, sizeof(words),
		"exec %d<&-\n[ -f ~/.bashrc ] && . ~/.bashrc\nPS1=\"" PROMPT "$PS1\"\n", fd);
	if (write(fd, words, (size_t)length) != length || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return false;
	}
	snprintf(ret_path, FD_PATH_BYTES, "/dev/fd/%d", fd);
	return true;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Other shells take PS1 from the environment, unless their settings say otherwise. */
static void fill_words(char *words[WORDS_MAX], char settings[FD_PATH_BYTES])
{
	const char *name = name_of(words[0]);
	setenv("PS1", PROMPT "$ ", 1);
	words[1] = NULL;

	if (strcmp(name, "bash") == 0 && write_bash_settings(settings)) {
		words[1] = (char *)"--rcfile";
		words[2] = settings;
		words[3] = (char *)"-i";
		words[4] = NULL;
	} else if (strcmp(name, "fish") == 0) {
		words[1] = (char *)"-C";
		words[2] = (char *)fish_prompt_words;
		words[3] = NULL;
	}
}

static int shell_run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct run_options options = RUN_OPTIONS_DEFAULT;
	char *words[WORDS_MAX] = {(char *)find_shell()}, settings[FD_PATH_BYTES];
	struct run run;

	signal(SIGCHLD, SIG_DFL);
	options.on_yield = ON_YIELD_FREEZE; /* an interactive shell ignores SIGTERM */
	options.name = "shell";
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (options.scope)
		run_scope_enter(options.quiet);
	fill_words(words, settings);
	run_begin(&run, command, &options, words);
	return run_command(&run);
}

const struct command command_shell = {
	.name = "shell",
	.summary = "Open a shell under a lease.",
	.usage = "[OPTION]...",
	.details =
		"What is started there has the GPU as long as the shell is open. When others need "
		"it "
		"the\n"
		"shell and all in it is frozen until the turn comes again (--on-yield freeze). The "
		"prompt\n"
		"names the GPU and the lease. Exit status: as of `baton run`.",
	.options = run_option_specs,
	.option_count = RUN_OPTION_COUNT,
	.arguments = ARGUMENTS_NONE,
	.run = shell_run,
};

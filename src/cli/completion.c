/* completion: shell scripts from the tables of commands and options. The build writes them for
 * installation; a shell can also do: source <(baton completion bash). */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/api.h"
#include "cli/field.h"

static void bash_words_of_options(const struct command *command)
{
	for (size_t i = 0; i < command->option_count; i++)
		printf("--%s ", command->options[i].name);
	fputs("--socket --help", stdout);
}

/* What may follow an option that takes a value. */
static void bash_values(const struct command *command)
{
	for (size_t i = 0; i < command->option_count; i++) {
		const struct option_spec *spec = &command->options[i];
		if (spec->kind == OPTION_FLAG)
			continue;
		printf("\t\t\"%s --%s\") ", command->name, spec->name);
		if (spec->kind == OPTION_CHOICE) {
			fputs("COMPREPLY=($(compgen -W '", stdout);
			for (const char *const *choice = spec->choices; *choice; choice++)
				printf("%s%s", choice == spec->choices ? "" : " ", *choice);
			fputs("' -- \"$cur\"));", stdout);
		} else if (spec->kind == OPTION_SIGNAL) {
			fputs("COMPREPLY=($(compgen -A signal -- \"$cur\"));", stdout);
		} else {
			fputs("COMPREPLY=();", stdout);
		}
		fputs(" return ;;\n", stdout);
	}
}

static void print_names(const struct cli *cli)
{
	for (size_t i = 0; i < cli->command_count; i++)
		printf("%s ", cli->commands[i]->name);
}

static void bash_arguments(const struct cli *cli, const struct command *command)
{
	switch (command->arguments) {
	case ARGUMENTS_CLAIM:
	case ARGUMENTS_CLAIM_OR_NONE:
		fputs("words+=\" $(baton completion claims 2>/dev/null)\"", stdout);
		break;
	case ARGUMENTS_SHELL:
		fputs("words+=' bash zsh'", stdout);
		break;
	case ARGUMENTS_RAW:
		fputs("COMPREPLY=($(compgen -f -- \"$cur\"))", stdout);
		break;
	case ARGUMENTS_COMMAND_NAME:
		fputs("words+=' ", stdout);
		print_names(cli);
		fputs("'", stdout);
		break;
	case ARGUMENTS_COMMAND:
	case ARGUMENTS_WORDS:
	case ARGUMENTS_NONE:
		putchar(':');
		break;
	}
}

static void print_bash(const struct cli *cli)
{
	fputs("# bash completion of baton, made by: baton completion bash\n"
	      "_baton()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal command= words= i\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [[ $prev == --socket ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -f -- \"$cur\")); return\n\tfi\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t--socket) ((i++)) ;;\n\t\t-*) ;;\n"
	      "\t\t*) command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n"
	      "\tif [[ -z $command ]]; then\n\t\tCOMPREPLY=($(compgen -W '",
	      stdout);
	print_names(cli);
	fputs("--socket --help --version' -- \"$cur\")); return\n\tfi\n"
	      "\tif [[ $command == run ]]; then\n"
	      "\t\tfor ((i++; i < COMP_CWORD; i++)); do\n"
	      "\t\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
	      "\t\t\t\t_command_offset $((i + 1)) 2>/dev/null; return\n"
	      "\t\t\tfi\n\t\tdone\n\tfi\n"
	      "\tcase \"$command $prev\" in\n",
	      stdout);
	for (size_t i = 0; i < cli->command_count; i++)
		bash_values(cli->commands[i]);
	fputs("\tesac\n\tcase $command in\n", stdout);
	for (size_t i = 0; i < cli->command_count; i++) {
		const struct command *command = cli->commands[i];
		printf("\t%s) ", command->name);
		if (command->arguments == ARGUMENTS_RAW) {
			/* It has a table of its own, and shows it. */
			printf("words=$(baton %s --help 2>/dev/null | grep -oE -- "
			       "'--[a-z][a-z-]+'); ",
			       command->name);
		} else {
			fputs("words='", stdout);
			bash_words_of_options(command);
			fputs("'; ", stdout);
		}
		fputs("[[ $cur == -* ]] || { ", stdout);
		bash_arguments(cli, command);
		fputs("; } ;;\n", stdout);
	}
	fputs("\tesac\n\t[[ ${#COMPREPLY[@]} -gt 0 ]] || "
	      "COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
	      "complete -F _baton baton\n",
	      stdout);
}

/* Text inside a bracketed zsh description, in single quotes. */
static void zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void zsh_option(const struct option_spec *spec)
{
	fputs(" \\\n\t\t\t'--", stdout);
	printf("%s%s[", spec->name, spec->kind == OPTION_FLAG ? "" : "=");
	zsh_text(spec->help);
	putchar(']');
	if (spec->kind == OPTION_CHOICE) {
		printf(":%s:(", spec->argument);
		for (const char *const *choice = spec->choices; *choice; choice++)
			printf("%s%s", choice == spec->choices ? "" : " ", *choice);
		putchar(')');
	} else if (spec->kind == OPTION_SIGNAL) {
		printf(":%s:_signals -s", spec->argument);
	} else if (spec->kind != OPTION_FLAG) {
		printf(":%s: ", spec->argument);
	}
	putchar('\'');
}

static void zsh_command(const struct cli *cli, const struct command *command)
{
	printf("\t\t%s)\n\t\t\t_arguments", command->name);
	for (size_t i = 0; i < command->option_count; i++)
		zsh_option(&command->options[i]);
	fputs(" \\\n\t\t\t'--socket=[socket of the broker]:PATH:_files' '--help[show the help]'",
	      stdout);
	switch (command->arguments) {
	case ARGUMENTS_COMMAND:
		fputs(" \\\n\t\t\t'*::command:_normal'", stdout);
		break;
	case ARGUMENTS_CLAIM:
	case ARGUMENTS_CLAIM_OR_NONE:
		fputs(" \\\n\t\t\t'1:claim:($(baton completion claims 2>/dev/null))'", stdout);
		break;
	case ARGUMENTS_SHELL:
		fputs(" \\\n\t\t\t'1:shell:(bash zsh)'", stdout);
		break;
	case ARGUMENTS_COMMAND_NAME:
		fputs(" \\\n\t\t\t'1:command:(", stdout);
		print_names(cli);
		fputs(")'", stdout);
		break;
	case ARGUMENTS_RAW:
		fputs(" \\\n\t\t\t'*:file:_files'", stdout);
		break;
	case ARGUMENTS_WORDS:
	case ARGUMENTS_NONE:
		break;
	}
	fputs(" ;;\n", stdout);
}

static void print_zsh(const struct cli *cli)
{
	fputs("#compdef baton\n# zsh completion of baton, made by: baton completion zsh\n"
	      "_baton() {\n\tlocal context state line\n\tlocal -a commands=(\n",
	      stdout);
	for (size_t i = 0; i < cli->command_count; i++) {
		printf("\t\t'%s:", cli->commands[i]->name);
		zsh_text(cli->commands[i]->summary);
		fputs("'\n", stdout);
	}
	fputs("\t)\n\t_arguments -C '--socket=[socket of the broker]:PATH:_files' \\\n"
	      "\t\t'--help[show the help]' '--version[show the version]' \\\n"
	      "\t\t'1:command:->command' '*::argument:->argument'\n"
	      "\tcase $state in\n\tcommand) _describe command commands ;;\n"
	      "\targument)\n\t\tcase $words[1] in\n",
	      stdout);
	for (size_t i = 0; i < cli->command_count; i++)
		zsh_command(cli, cli->commands[i]);
	fputs("\t\tesac ;;\n\tesac\n}\n_baton \"$@\"\n", stdout);
}

/* For the scripts above: what `release` and `why` may name. Silent when no broker answers. */
static int print_claims(void)
{
	char error[512];
	json_t *status, *row;
	size_t i;
	if (api_try("GET", "/v1/gpu/status", NULL, &status, error, sizeof(error)) < 0)
		return 0;
	static const char *const lists[] = {"leases", "waiting"};
	for (size_t list = 0; list < 2; list++)
		json_array_foreach(json_object_get(status, lists[list]), i, row)
		{
			const char *name = field_text(row, "id", "");
			if (name[strcspn(name, " \t'\"$`\\*?[](){};&|<>")] == '\0')
				puts(name);
		}
	json_decref(status);
	return 0;
}

struct values {
	bool unused;
};

static int run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {0};
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	if (strcmp(argv[1], "bash") == 0)
		print_bash(cli);
	else if (strcmp(argv[1], "zsh") == 0)
		print_zsh(cli);
	else if (strcmp(argv[1], "claims") == 0)
		return print_claims();
	else
		return cli_fail(command, EX_USAGE,
				"no completion for '%.40s'; bash and zsh are known", argv[1]);
	return 0;
}

const struct command command_completion = {
	.name = "completion",
	.summary = "Print the completion script of a shell.",
	.usage = "bash|zsh",
	.details = "For this shell alone: source <(baton completion bash)",
	.arguments = ARGUMENTS_SHELL,
	.run = run,
};

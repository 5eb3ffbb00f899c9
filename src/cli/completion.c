/* completion: the completion scripts for shells. They are short: at each Tab they ask this program
 * what may follow (complete.c). The build writes them for installation; a shell can also run:
 * source <(baton completion bash). */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/complete.h"

static const char bash_script[] =
	"# bash completion of baton, made by: baton completion bash\n"
	"_baton()\n"
	"{\n"
	"\tlocal rest=${COMP_LINE:0:COMP_POINT} word trimmed how i\n"
	"\tlocal -a words=() at=() lines=()\n"
	"\t# Readline cuts --class=voice and a:b at their marks; here they are one word again.\n"
	"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"\t\ttrimmed=${rest#\"${rest%%[![:space:]]*}\"}\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\t((i < COMP_CWORD)) || word=$trimmed\n"
	"\t\tif ((i > 0)) && [[ $trimmed == \"$rest\" ]]; then\n"
	"\t\t\twords[${#words[@]}-1]+=$word\n"
	"\t\telse\n"
	"\t\t\twords+=(\"$word\") at+=(\"$i\")\n"
	"\t\tfi\n"
	"\t\trest=${trimmed#\"$word\"}\n"
	"\tdone\n"
	"\tlocal cur=${words[${#words[@]}-1]} cut=\n"
	"\t[[ $COMP_WORDBREAKS == *=* && $cur == *=* ]] && cut=${cur%\"${cur##*=}\"}\n"
	"\t[[ $COMP_WORDBREAKS == *:* && ${cur#\"$cut\"} == *:* ]] && cut=${cur%\"${cur##*:}\"}\n"
	"\tmapfile -t lines < <(\"${words[0]/#~\\//$HOME/}\" completion words \"${words[@]:1}\" "
	"2>/dev/null)\n"
	"\thow=${lines[0]-}\n"
	"\tCOMPREPLY=()\n"
	"\tcase $how in\n"
	"\twords)\n"
	"\t\tfor word in \"${lines[@]:1}\"; do\n"
	"\t\t\tword=${word%%$'\\t'*}\n"
	"\t\t\tCOMPREPLY+=(\"${word#\"$cut\"}\")\n"
	"\t\tdone ;;\n"
	"\tfiles | folders)\n"
	"\t\thow=${how/#files/-f} how=${how/#folders/-d}\n"
	"\t\tif [[ $cur != -*=* || -n $cut ]]; then\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\t[[ $cur == -*=* ]] && cur=${cur#*=}\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen \"$how\" -- \"$cur\")\n"
	"\t\t\treturn\n"
	"\t\tfi\n"
	"\t\tmapfile -t lines < <(compgen \"$how\" -- \"${cur#*=}\")\n"
	"\t\tfor word in \"${lines[@]}\"; do\n"
	"\t\t\t[[ -d $word ]] && word+=/ && compopt -o nospace\n"
	"\t\t\tprintf -v word %q \"$word\"\n"
	"\t\t\tCOMPREPLY+=(\"${cur%%=*}=$word\")\n"
	"\t\tdone ;;\n"
	"\tcommand\\ *)\n"
	"\t\ti=$((${how#command } + 1))\n"
	"\t\tif declare -F _comp_command_offset >/dev/null; then\n"
	"\t\t\t_comp_command_offset \"${at[i]}\"\n"
	"\t\telif declare -F _command_offset >/dev/null; then\n"
	"\t\t\t_command_offset \"${at[i]}\"\n"
	"\t\telif ((i == ${#words[@]} - 1)) && [[ $cur != */* ]]; then\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	"\t\telse\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\t\tfi ;;\n"
	"\tesac\n"
	"}\n"
	"complete -F _baton baton\n";

static const char zsh_script[] =
	"#compdef baton\n"
	"# zsh completion of baton, made by: baton completion zsh\n"
	"_baton() {\n"
	"\tlocal how line program=${(Q)words[1]}\n"
	"\tlocal -a lines values shown\n"
	"\tprogram=${program/#\\~\\//$HOME/}\n"
	"\tlines=(\"${(@f)$($program completion words \"${(@Q)words[2,CURRENT-1]}\" "
	"\"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
	"\thow=$lines[1]\n"
	"\tshift lines\n"
	"\tcase $how in\n"
	"\twords)\n"
	"\t\tfor line in $lines; do\n"
	"\t\t\tvalues+=(\"${line%%$'\\t'*}\")\n"
	"\t\t\tshown+=(\"${(r:24:: :)${line%%$'\\t'*}} ${line#*$'\\t'}\")\n"
	"\t\tdone\n"
	"\t\t(( $#values )) && compadd -l -d shown -a values ;;\n"
	"\tfiles | folders)\n"
	"\t\tcompset -P '-*='\n"
	"\t\tif [[ $how == folders ]]; then _files -/; else _files; fi ;;\n"
	"\tcommand\\ *)\n"
	"\t\tshift $(( ${how#command } + 1 )) words\n"
	"\t\t(( CURRENT -= ${how#command } + 1 ))\n"
	"\t\t_normal ;;\n"
	"\tesac\n"
	"}\n"
	"if [[ $funcstack[1] == _baton ]]; then\n"
	"\t_baton \"$@\"\n"
	"else\n"
	"\t(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D -i; }\n"
	"\tcompdef _baton baton\n"
	"fi\n";

static const char fish_script[] =
	"# fish completion of baton, made by: baton completion fish\n"
	"function __baton_words\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l current (commandline -ct)\n"
	"\tset -l program $words[1]\n"
	"\tset -e words[1]\n"
	"\tset -l lines ($program completion words $words \"$current\" 2>/dev/null)\n"
	"\tswitch \"$lines[1]\"\n"
	"\t\tcase words\n"
	"\t\t\ttest (count $lines) -gt 1; and printf '%s\\n' $lines[2..-1]\n"
	"\t\tcase files folders\n"
	"\t\t\tset -l option (string match -r -- '^-[^=]*=' \"$current\")\n"
	"\t\t\tset -l rest (string replace -r -- '^-[^=]*=' '' \"$current\")\n"
	"\t\t\tif test $lines[1] = folders\n"
	"\t\t\t\tprintf \"$option%s\\n\" (__fish_complete_directories \"$rest\" '')\n"
	"\t\t\telse\n"
	"\t\t\t\tprintf \"$option%s\\n\" (__fish_complete_path \"$rest\")\n"
	"\t\t\tend\n"
	"\t\tcase 'command *'\n"
	"\t\t\tset -l first (math (string replace 'command ' '' $lines[1]) + 1)\n"
	"\t\t\tset -l command\n"
	"\t\t\ttest $first -le (count $words); and set command (string escape -- "
	"$words[$first..-1])\n"
	"\t\t\tcomplete -C (string join ' ' -- $command \"$current\")\n"
	"\tend\n"
	"end\n"
	"complete -c baton -f -a '(__baton_words)'\n";

static const struct {
	const char *shell, *script;
} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

struct completion_options {
	bool unused;
};

static int run_completion(const struct cli *cli, const struct command *command, int argc,
			  char **argv)
{
	struct completion_options options = {0};
	if (argc > 1 && strcmp(argv[1], "words") == 0) { /* for the scripts, not for people */
		complete_print(cli, argc - 2, argv + 2);
		return 0;
	}

	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
		if (strcmp(argv[1], scripts[i].shell) == 0) {
			fputs(scripts[i].script, stdout);
			return 0;
		}
	return cli_fail(command, EX_USAGE,
			"no completion for '%.40s'; bash, zsh and fish are known", argv[1]);
}

const struct command command_completion = {
	.name = "completion",
	.summary = "Print the completion script of a shell.",
	.usage = "bash|zsh|fish",
	.details = "For this shell alone: source <(baton completion bash), the same with zsh, or\n"
		   "baton completion fish | source",
	.arguments = ARGUMENTS_SHELL,
	.run = run_completion,
};

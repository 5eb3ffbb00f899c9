/* commands: the client's half of the command table. main.c puts the server's before it. */
#include "cli/commands.h"

extern const struct command command_up, command_doctor, command_down, command_run, command_attach,
	command_shell, command_status, command_gpus, command_models, command_top, command_why,
	command_history, command_release, command_cancel, command_pause, command_resume,
	command_reload, command_reset, command_force_release, command_events, command_logs,
	command_open, command_sites, command_keys, command_discover, command_connect,
	command_disconnect, command_import, command_mcp, command_help, command_version,
	command_completion;

static const struct command *const commands[] = {
	&command_up,       &command_down,   &command_run,           &command_attach,
	&command_shell,    &command_status, &command_gpus,          &command_models,
	&command_top,      &command_doctor, &command_why,           &command_history,
	&command_release,  &command_cancel, &command_pause,         &command_resume,
	&command_reload,   &command_reset,  &command_force_release, &command_events,
	&command_logs,     &command_open,   &command_sites,         &command_keys,
	&command_discover, &command_import, &command_connect,       &command_disconnect,
	&command_mcp,      &command_help,   &command_version,       &command_completion,
};

const struct command *const *cli_commands(size_t *ret_count)
{
	*ret_count = sizeof(commands) / sizeof(*commands);
	return commands;
}

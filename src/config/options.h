/* options: the command line of `baton serve`. */
#pragma once
#include <stdio.h>

#include "config/settings.h"

struct options {
	uint32_t listen_count, gpu_count;
	const char *listen[SETTINGS_LISTEN_COUNT]; /* all strings are borrowed from argv */
	const char *gpus[LIMIT_GPUS];
	const char *socket_path, *state_dir, *config_path; /* NULL: not given */
	const char *web_dir, *models_dir;
	const char *nvml, *sysfs,
		*procfs; /* of tests: where GPUs are looked for; NULL: not given */
	int log_level;   /* -1: not given */
	int ready_fd;    /* -1: not given */
	bool bridge, observe, allow_remote, dev, check, help;
};

/* 0 or -ERR_BAD_FIELD; `detail` then says what is wrong. */
int options_parse(int argc, char **argv, struct options *ret_options, char *detail,
		  size_t detail_size);
void options_help(FILE *out);
/* Row i of the help, for completion; false past the last. The argument is NULL for flags. */
bool options_row(size_t i, const char **ret_name, const char **ret_argument, const char **ret_help);
/* What the command line says, over what the file said. 0 or -ERR_BAD_FIELD. */
int options_apply(const struct options *options, struct settings *settings, char *detail,
		  size_t detail_size);

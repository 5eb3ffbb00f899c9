/* options: the command line of `baton serve`, and the paths that follow from it and from the
 * environment. */
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

/* Where things lie, whole paths. 0 or -ERR_CONFIG with detail (no HOME, too long). */
struct paths {
	char state_dir[SETTINGS_PATH_BYTES + 1];
	char config[SETTINGS_PATH_BYTES + 1]; /* "": no file */
	bool config_given;                    /* then it must exist */
	char web[SETTINGS_PATH_BYTES + 1];    /* has vendor/ and models/ */
	char dev[SETTINGS_PATH_BYTES + 1];    /* --dev: the sources of pages; "": compiled in */
};
int paths_find(const struct options *options, struct paths *ret_paths, char *detail,
	       size_t detail_size);
/* No file was there at the start; looks again. */
void paths_find_config(struct paths *paths);
/* The default socket, when neither the command line nor the file names one. */
int paths_socket(struct settings *settings, char *detail, size_t detail_size);
/* A folder and its parents; the last one 0700. 0 or -ERR_IO with detail. */
int paths_make_private(const char *dir, char *detail, size_t detail_size);

/* paths: where things lie, by the command line and the environment. */
#pragma once
#include "config/settings.h"

struct options;

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

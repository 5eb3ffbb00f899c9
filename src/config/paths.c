/* paths: where the daemon's files lie, by the XDG rules. Makes folders, opens no file. Called by
 * serve.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "config/options.h"
#include "config/paths.h"

/* $variable/tail, or $HOME/fallback/tail; relative values do not count (XDG). */
static bool find_path(char *out, size_t size, const char *variable, const char *fallback,
		      const char *tail)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	int n;
	if (base && base[0] == '/')
		n = snprintf(out, size, "%s/%s", base, tail);
	else if (fallback && home && home[0] == '/')
		n = snprintf(out, size, "%s/%s/%s", home, fallback, tail);
	else
		return false;
	return n > 0 && (size_t)n < size;
}

/* PATH/web beside the executable, as the build lays it out; else where `meson install` puts it. */
static void find_web(char *out, size_t size)
{
	static const char tail[] = "/web";
	ssize_t length = readlink("/proc/self/exe", out, size - sizeof(tail));
	char *slash = NULL;
	if (length > 0) {
		out[length] = 0;
		slash = strrchr(out, '/');
	}
	if (slash) {
		memcpy(slash, tail, sizeof(tail));
		if (access(out, X_OK) == 0)
			return;
	}
	snprintf(out, size, "%s", BATON_WEB_DIR);
}

static int find_pages(const struct options *options, struct paths *p, char *detail, size_t size)
{
	const char *web = options->web_dir, *own = options->models_dir;

	find_web(p->web, sizeof(p->web));
	if (web && (access(web, X_OK) != 0 || strlen(web) >= sizeof(p->web))) {
		snprintf(detail, size, "--web: no such folder: '%.200s'", web);
		return -ERR_CONFIG;
	}

	if (web)
		snprintf(p->web, sizeof(p->web), "%s", web);
	if (own && access(own, X_OK) != 0) {
		snprintf(detail, size, "--models: no such folder: '%.200s'", own);
		return -ERR_CONFIG;
	}

	if (options->dev && access("web/pages", X_OK) != 0) {
		snprintf(detail, size,
			 "--dev: there is no ./web/pages here; start it in Baton's source tree");
		return -ERR_CONFIG;
	}

	if (options->dev)
		snprintf(p->dev, sizeof(p->dev), "web");
	return 0;
}

void paths_find_config(struct paths *paths)
{
	char *config = paths->config;

	if (config[0])
		return;
	if (!find_path(config, sizeof(paths->config), "XDG_CONFIG_HOME", ".config",
		       "baton/config.yaml") ||
	    access(config, F_OK) != 0)
		config[0] = 0;
}

int paths_find(const struct options *options, struct paths *ret_paths, char *detail,
	       size_t detail_size)
{
	struct paths p = {.config_given = options->config_path != NULL};
	size_t size = sizeof(p.state_dir);

	if (options->state_dir) {
		if ((size_t)snprintf(p.state_dir, size, "%s", options->state_dir) >= size)
			p.state_dir[0] = 0;
	} else {
		find_path(p.state_dir, size, "XDG_STATE_HOME", ".local/state", "baton");
	}

	if (!p.state_dir[0]) {
		snprintf(detail, detail_size, "no state folder: set HOME or give --state DIR");
		return -ERR_CONFIG;
	}

	if (options->config_path)
		snprintf(p.config, sizeof(p.config), "%s", options->config_path);
	else
		paths_find_config(&p);

	int rc = find_pages(options, &p, detail, detail_size);
	if (rc)
		return rc;

	*ret_paths = p;
	return 0;
}

int paths_socket(struct settings *settings, char *detail, size_t detail_size)
{
	char fallback[64];
	struct stat st;
	size_t size = sizeof(settings->socket_path);

	if (settings->socket_path[0])
		return 0;
	if (find_path(settings->socket_path, size, "XDG_RUNTIME_DIR", NULL, "baton/baton.sock"))
		return 0;

	/* No session manager told us: the same places, in the same order, as the clients try. */
	snprintf(fallback, sizeof(fallback), "/run/user/%ld", (long)geteuid());
	if (lstat(fallback, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		snprintf(fallback, sizeof(fallback), "/tmp/baton-%ld", (long)geteuid());

	const char *folder = strncmp(fallback, "/run/", 5) == 0 ? "/baton" : "";
	if ((size_t)snprintf(settings->socket_path, size, "%s%s/baton.sock", fallback, folder) <
	    size)
		return 0;

	snprintf(detail, detail_size, "the socket's path is too long; give --socket PATH");
	return -ERR_CONFIG;
}

static int make_folder(const char *dir, mode_t mode)
{
	struct stat st;
	if (mkdir(dir, mode) == 0)
		return 0;
	if (errno != EEXIST && errno != EROFS && errno != EACCES)
		return -1;
	int saved = errno;
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	errno = saved == EEXIST ? ENOTDIR : saved;
	return -1;
}

int paths_make_private(const char *dir, char *detail, size_t detail_size)
{
	char path[SETTINGS_PATH_BYTES + 1];
	struct stat st;
	int rc = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path)) {
		snprintf(detail, detail_size, "%.80s..: path too long", dir);
		return -ERR_IO;
	}

	for (char *slash = path + 1; rc == 0 && (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		rc = make_folder(path, 0755);
		*slash = '/';
	}

	if (!rc)
		rc = make_folder(path, 0700);
	if (rc || stat(path, &st) != 0) {
		snprintf(detail, detail_size, "%s: %s", dir, strerror(errno));
		return -ERR_IO;
	}

	/* What lies in /tmp may have been made by somebody else before us. */
	if (st.st_uid != geteuid()) {
		snprintf(detail, detail_size, "%s: belongs to user %ld", dir, (long)st.st_uid);
		return -ERR_IO;
	}

	/* Anyone who can write there can replace our socket or journal. */
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(detail, detail_size, "%s: others may write there; try: chmod go-w %s", dir,
			 dir);
		return -ERR_IO;
	}

	return 0;
}

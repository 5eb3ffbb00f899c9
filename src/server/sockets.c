/* sockets: see sockets.h. Sessions are not touched by any of this: a connection outlives the name
 * that it came by. What is bound there by somebody else who listens is left alone. */
#include "server/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/where.h"
#include "config/paths.h"
#include "net/listen.h"
#include "net/loop.h"
#include "server/active_config.h"
#include "server/endpoints.h"
#include "server/run_state.h"
#include "server/taken.h"

static int find_paths(struct sockets *sockets, const char *path, char *detail, size_t size)
{
	snprintf(sockets->path, sizeof(sockets->path), "%s", path);
	snprintf(sockets->folder, sizeof(sockets->folder), "%s", path);
	char *slash = strrchr(sockets->folder, '/');
	if (!slash || slash == sockets->folder) {
		snprintf(detail, size, "%s: the socket needs a folder of its own", path);
		return -ERR_CONFIG;
	}
	*slash = 0;
	if (!where_http(path, sockets->http, sizeof(sockets->http))) {
		snprintf(detail, size, "%s: the path is too long", path);
		return -ERR_CONFIG;
	}
	return 0;
}

static int listen_on(struct net *net, const char *path, bool http, char *detail, size_t size)
{
	int rc = net_listen_unix(net, path, http, detail, size);
	if (rc == -ERR_ALREADY_RUNNING)
		taken_socket(path, detail, size);
	return rc;
}

int sockets_listen(struct sockets *sockets, char *detail, size_t detail_size)
{
	int rc = find_paths(sockets, sockets->active->settings.socket_path, detail, detail_size);
	if (!rc)
		rc = paths_make_private(sockets->folder, detail, detail_size);
	if (!rc)
		rc = listen_on(sockets->endpoints->net, sockets->path, false, detail, detail_size);
	if (rc)
		return rc;

	return listen_on(sockets->endpoints->net, sockets->http, true, detail, detail_size);
}

static bool write_note(int fd, const struct where_note *note)
{
	char text[WHERE_NOTE_BYTES];
	ssize_t length = where_note_write(note, text);
	return length > 0 && write(fd, text, (size_t)length) == length;
}

/* For clients that look elsewhere and for the next start's refusal. On a full disk there is none.
 */
static void write_down(struct sockets *sockets)
{
	const char *dir = sockets->active->paths.state_dir;
	char path[SETTINGS_PATH_BYTES + 32], fresh[SETTINGS_PATH_BYTES + 32];
	struct where_note note = {.pid = getpid()};

	if (!realpath(sockets->folder, path) ||
	    (size_t)snprintf(note.socket, sizeof(note.socket), "%s%s", path,
			     sockets->path + strlen(sockets->folder)) >= sizeof(note.socket))
		return;

	snprintf(note.http, sizeof(note.http), "%s", sockets->home);
	snprintf(path, sizeof(path), "%s/%s", dir, where_note_name);
	snprintf(fresh, sizeof(fresh), "%s/%s.new", dir, where_note_name);
	(void)unlink(fresh);
	cleanup_close int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	sockets->noted = fd >= 0 && write_note(fd, &note) && rename(fresh, path) == 0;
	if (fd >= 0 && !sockets->noted)
		(void)unlink(fresh);
}

void sockets_forget(const struct sockets *sockets)
{
	const char *dir = sockets->active->paths.state_dir;
	char path[SETTINGS_PATH_BYTES + 32];
	struct where_note note;
	/* The folder may have been replaced, and another broker may have written its own there. */
	if (!sockets->noted || !where_note_read(dir, &note) || note.pid != getpid())
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, where_note_name);
	(void)unlink(path);
}

static int put_back(const struct sockets *sockets, const char *path, char *detail, size_t size)
{
	int rc = net_listen_again(sockets->endpoints->net, path, detail, size);
	if (rc > 0)
		log_event(sockets->log, LOG_WARN,
			  "the socket was gone from its place and was bound again",
			  log_str("path", path));
	return rc < 0 ? rc : 0;
}

static void try_again_later(struct sockets *sockets, const char *why)
{
	sockets->retry_ms = sockets->retry_ms ? 2 * sockets->retry_ms : SOCKETS_RETRY_MS_MIN;
	if (sockets->retry_ms > SOCKETS_RETRY_MS_MAX)
		sockets->retry_ms = SOCKETS_RETRY_MS_MAX;
	sockets->due = mono_after(loop_now(), sockets->retry_ms);
	if (strncmp(sockets->said, why, sizeof(sockets->said) - 1) != 0)
		log_event(sockets->log, LOG_ERROR,
			  "the sockets cannot be bound again; clients do not find the broker",
			  log_str("error", why));
	snprintf(sockets->said, sizeof(sockets->said), "%s", why);
}

/* 0: what happens to the folder is seen at once; else an errno. */
static int look_at_sockets(struct sockets *sockets)
{
	char detail[512] = "";

	sockets->due = MONO_NEVER;
	int rc = paths_make_private(sockets->folder, detail, sizeof(detail));
	/* Watched before they are looked at, so that nothing is missed in between. */
	int rc_watch = trail_follow(&sockets->trail);
	int unwatched = rc_watch == 0 ? 0 : errno ? errno : EIO;
	if (!rc)
		rc = put_back(sockets, sockets->path, detail, sizeof(detail));
	if (!rc)
		rc = put_back(sockets, sockets->http, detail, sizeof(detail));

	if (rc) {
		try_again_later(sockets, detail);
		return unwatched;
	}

	sockets->retry_ms = 0;
	sockets->said[0] = 0;
	if (unwatched) /* no inotify to be had: by looking now and then */
		sockets->due = mono_after(loop_now(), SOCKETS_RETRY_MS_MIN);
	return unwatched;
}

void sockets_look(struct sockets *sockets)
{
	if (!sockets->state->draining)
		(void)look_at_sockets(sockets);
}

static void on_changed(void *ctx)
{
	struct sockets *sockets = ctx;
	struct mono_ms soon = mono_after(loop_now(), SOCKETS_SETTLE_MS);
	sockets->due = mono_min(sockets->due, soon);
}

void sockets_watch(struct sockets *sockets, struct loop *loop)
{
	write_down(sockets);
	trail_init(&sockets->trail, loop, sockets->folder, on_changed, sockets);
	int unwatched = look_at_sockets(sockets);
	if (unwatched)
		log_event(sockets->log, LOG_WARN,
			  "cannot watch the folder of the sockets; looking now and then",
			  log_str("error", strerror(unwatched)));
}

struct mono_ms sockets_when_due(struct sockets *sockets, struct mono_ms now)
{
	if (mono_due(sockets->due, now))
		sockets_look(sockets);
	return sockets->due;
}

void sockets_end(struct sockets *sockets)
{
	trail_end(&sockets->trail);
	sockets->due = MONO_NEVER;
}

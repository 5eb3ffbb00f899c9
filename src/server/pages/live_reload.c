/* live_reload: inotify on the folders of web/ that are served, later ones too; says to
 * each tab what has changed, by the URL under which it was served. What a page does then is its own
 * affair: no lease, place or setting is touched here (CASES.md P11). Called by serve.c. */
#include "server/pages/live_reload.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "net/loop.h"
#include "server/pages/static_files.h"

enum { WATCHED = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR };

static const char everything[] = "/"; /* too much changed to say it one by one */

static void note_change(struct live_reload *dev, const char *url)
{
	if (!mono_before(dev->due, MONO_NEVER))
		dev->due = mono_after(loop_now(), DEV_SETTLE_MS);
	for (unsigned i = 0; i < dev->change_count; i++)
		if (strcmp(dev->changes[i], url) == 0 || strcmp(dev->changes[i], everything) == 0)
			return;
	if (dev->change_count == DEV_CHANGES_MAX)
		url = everything;
	if (strcmp(url, everything) == 0)
		dev->change_count = 0;
	snprintf(dev->changes[dev->change_count++], sizeof(dev->changes[0]), "%s", url);
}

static void note_file(struct live_reload *dev, const char *path)
{
	char url[DEV_PATH_BYTES + 1];
	if (static_files_url(path, url, sizeof(url)))
		note_change(dev, url);
}

/* "pages" and "mic" make "pages/mic". False: too long, or a name that is not served. */
static bool join_path(const char *folder, const char *name, char ret_path[DEV_PATH_BYTES + 1])
{
	size_t size = DEV_PATH_BYTES + 1;
	if (name[0] == '.' || strcmp(name, "node_modules") == 0)
		return false;
	return (size_t)snprintf(ret_path, size, "%s%s%s", folder, folder[0] ? "/" : "", name) <
	       size;
}

static int add_folder(struct live_reload *dev, const char *path)
{
	char whole[SETTINGS_PATH_BYTES + DEV_PATH_BYTES + 2];

	snprintf(whole, sizeof(whole), "%s/%s", dev->root, path);
	if (dev->folder_count == DEV_FOLDERS_MAX) {
		errno = ENOSPC;
		return -1;
	}

	int wd = inotify_add_watch(dev->fd, whole, WATCHED);
	if (wd < 0)
		return -1;

	for (unsigned i = 0; i < dev->folder_count; i++)
		if (dev->folders[i].wd == wd)
			return 0;
	dev->folders[dev->folder_count].wd = wd;
	snprintf(dev->folders[dev->folder_count++].path, sizeof(dev->folders->path), "%s", path);
	return 0;
}

static void warn_unwatched(struct live_reload *dev, const char *path)
{
	log_event(dev->log, LOG_WARN, "cannot watch a folder of the pages", log_str("folder", path),
		  log_str("error", strerror(errno)));
}

/* A folder and all below it. `told`: what already lies in it was not there a moment ago. Breadth
 * first: the list of watched folders is the list of those still to look into. */
static void add_tree(struct live_reload *dev, const char *path, bool told)
{
	char below[DEV_PATH_BYTES + 1], whole[SETTINGS_PATH_BYTES + DEV_PATH_BYTES + 2];
	unsigned next = dev->folder_count;

	if (add_folder(dev, path) != 0) {
		warn_unwatched(dev, path);
		return;
	}

	for (; next < dev->folder_count; next++) {
		const char *folder = dev->folders[next].path;
		snprintf(whole, sizeof(whole), "%s/%s", dev->root, folder);
		DIR *open_dir = opendir(whole);
		for (struct dirent *entry; open_dir && (entry = readdir(open_dir));) {
			if (!join_path(folder, entry->d_name, below))
				continue;
			if (entry->d_type == DT_DIR && static_files_url(below, NULL, 0) &&
			    add_folder(dev, below) != 0)
				warn_unwatched(dev, below);
			if (entry->d_type == DT_REG && told)
				note_file(dev, below);
		}
		if (open_dir)
			(void)closedir(open_dir);
	}
}

static void forget_folder(struct live_reload *dev, int wd)
{
	for (unsigned i = 0; i < dev->folder_count; i++) {
		if (dev->folders[i].wd != wd)
			continue;
		dev->folders[i] = dev->folders[--dev->folder_count];
		return;
	}
}

static void on_event(struct live_reload *dev, const struct inotify_event *event)
{
	char path[DEV_PATH_BYTES + 1];

	if (event->mask & IN_Q_OVERFLOW)
		note_change(dev, everything);
	if (event->mask & IN_IGNORED)
		forget_folder(dev, event->wd);
	for (unsigned i = 0; i < dev->folder_count && event->len > 0; i++) {
		if (dev->folders[i].wd != event->wd ||
		    !join_path(dev->folders[i].path, event->name, path))
			continue;
		if ((event->mask & IN_ISDIR) && static_files_url(path, NULL, 0))
			add_tree(dev, path, true);
		else if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
			note_file(dev, path);
		return;
	}
}

static void on_inotify(void *ctx, int fd)
{
	struct live_reload *dev = ctx;
	char bytes[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got = read(fd, bytes, sizeof(bytes));
	for (char *at = bytes; got > 0 && at < bytes + got;) {
		const struct inotify_event *event = (const struct inotify_event *)(void *)at;
		on_event(dev, event);
		at += sizeof(*event) + event->len;
	}
}

void live_reload_begin(struct live_reload *dev, struct loop *loop, const char *root,
		       struct log *log, void (*changed)(void *ctx, const char *url), void *ctx)
{
	*dev = (struct live_reload){.root = root,
				    .log = log,
				    .changed = changed,
				    .ctx = ctx,
				    .fd = -1,
				    .due = MONO_NEVER};
	if (!root[0])
		return;

	dev->folders = calloc(DEV_FOLDERS_MAX, sizeof(*dev->folders));
	dev->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!dev->folders || dev->fd < 0 ||
	    loop_watch(loop, dev->fd, on_inotify, dev, &dev->watch)) {
		warn_unwatched(dev, dev->root);
		live_reload_end(dev);
		return;
	}
	add_tree(dev, "", false);
	log_event(dev->log, LOG_INFO, "serving and watching the sources of the pages",
		  log_int("folders", dev->folder_count));
}

struct mono_ms live_reload_when_due(struct live_reload *dev, struct mono_ms now)
{
	if (!mono_due(dev->due, now))
		return dev->due;
	for (unsigned i = 0; i < dev->change_count; i++) {
		log_event(dev->log, LOG_INFO, "a source of the pages changed",
			  log_str("path", dev->changes[i]));
		dev->changed(dev->ctx, dev->changes[i]);
	}
	dev->change_count = 0;
	dev->due = MONO_NEVER;
	return dev->due;
}

void live_reload_end(struct live_reload *dev)
{
	loop_unwatch(dev->watch);
	if (dev->fd >= 0)
		(void)close(dev->fd);
	free(dev->folders);
	*dev = (struct live_reload){.fd = -1, .due = MONO_NEVER};
}

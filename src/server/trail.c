/* trail: see trail.h. A folder tells by itself when it is moved or removed; of the folders that
 * hold a link, or the end, the one name is watched. Called by reload.c and sockets.c. */
#include "server/trail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "net/loop.h"

enum {
	ITSELF = IN_DELETE_SELF | IN_MOVE_SELF,
	ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE,
	PATH_BYTES = SETTINGS_PATH_BYTES + TRAIL_NAME_BYTES + 2,
};

/* Where the walk is: no link is in `at`, `rest` is still to be gone. */
struct walk {
	struct trail *trail;
	char at[PATH_BYTES], rest[PATH_BYTES];
	int links;
};

/* A folder that cannot be read cannot be watched; the others still are. */
static void add_step(struct trail *trail, const char *folder, const char *name, bool any)
{
	if (trail->count == TRAIL_STEPS_MAX)
		return;
	struct trail_step *step = &trail->steps[trail->count];
	uint32_t mask = name || any ? ENTRIES : ITSELF;
	step->wd = inotify_add_watch(trail->fd, folder, mask | IN_ONLYDIR | IN_MASK_ADD);
	if (step->wd < 0)
		return;
	step->any = any;
	snprintf(step->name, sizeof(step->name), "%s", name ? name : "");
	trail->count++;
}

static bool take_name(struct walk *walk, char *ret_name)
{
	const char *begin = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(begin, "/");
	if (length == 0 || length > TRAIL_NAME_BYTES)
		return false;
	memcpy(ret_name, begin, length);
	ret_name[length] = 0;
	memmove(walk->rest, begin + length, strlen(begin + length) + 1);
	return true;
}

static void go_up(struct walk *walk)
{
	char *slash = strrchr(walk->at, '/');
	if (slash)
		*slash = 0;
}

/* False: it leads nowhere, or too far. */
static bool follow_link(struct walk *walk, const char *link)
{
	char target[PATH_BYTES], rest[PATH_BYTES];
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	if (length <= 0 || ++walk->links > TRAIL_LINKS_MAX)
		return false;
	target[length] = 0;
	if ((size_t)snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest) >= sizeof(rest))
		return false;
	memcpy(walk->rest, rest, sizeof(rest));
	if (target[0] == '/')
		walk->at[0] = 0;
	return true;
}

/* One name further. False: the way ends here. */
static bool go_on(struct walk *walk)
{
	char name[TRAIL_NAME_BYTES + 1], path[PATH_BYTES];
	struct stat st;

	if (!take_name(walk, name))
		return false;
	if (strcmp(name, ".") == 0)
		return true;
	if (strcmp(name, "..") == 0) {
		go_up(walk);
		return true;
	}

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", walk->at, name) >= sizeof(path))
		return false;
	bool there = lstat(path, &st) == 0;
	if (there && S_ISDIR(st.st_mode)) {
		memcpy(walk->at, path, sizeof(path));
		add_step(walk->trail, path, NULL, false);
		if (!walk->rest[strspn(walk->rest, "/")])
			add_step(walk->trail, path, NULL, true);
		return true;
	}

	add_step(walk->trail, walk->at[0] ? walk->at : "/", name, false);
	return there && S_ISLNK(st.st_mode) && follow_link(walk, path);
}

static bool concerns_us(const struct trail *trail, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW)
		return true;
	for (unsigned i = 0; i < trail->count; i++) {
		const struct trail_step *step = &trail->steps[i];
		if (step->wd != event->wd)
			continue;
		if (event->len == 0 || step->any || strcmp(step->name, event->name) == 0)
			return true;
	}
	return false;
}

static void on_inotify(void *ctx, int fd)
{
	struct trail *trail = ctx;
	char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool ours = false;
	ssize_t got = read(fd, bytes, sizeof(bytes));
	for (char *at = bytes; got > 0 && at < bytes + got;) {
		const struct inotify_event *event = (const struct inotify_event *)(void *)at;
		ours |= concerns_us(trail, event);
		at += sizeof(*event) + event->len;
	}
	if (ours)
		trail->fn(trail->ctx);
}

void trail_init(struct trail *trail, struct loop *loop, const char *path, void (*fn)(void *ctx),
		void *ctx)
{
	*trail = (struct trail){.loop = loop, .fd = -1, .fn = fn, .ctx = ctx};
	snprintf(trail->path, sizeof(trail->path), "%s", path);
}

int trail_follow(struct trail *trail)
{
	struct walk walk = {.trail = trail};

	trail_end(trail);
	trail->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (trail->fd < 0 ||
	    loop_watch(trail->loop, trail->fd, on_inotify, trail, &trail->watch) != 0) {
		int saved = errno;
		trail_end(trail);
		errno = saved;
		return -ERR_IO;
	}

	if (trail->path[0] != '/' && !getcwd(walk.at, sizeof(walk.at)))
		walk.at[0] = 0;
	snprintf(walk.rest, sizeof(walk.rest), "%s", trail->path);
	while (go_on(&walk))
		;
	if (trail->count > 0)
		return 0;

	trail_end(trail);
	return -ERR_IO;
}

void trail_end(struct trail *trail)
{
	loop_unwatch(trail->watch);
	trail->watch = NULL;
	if (trail->fd >= 0)
		(void)close(trail->fd);
	trail->fd = -1;
	trail->count = 0;
}

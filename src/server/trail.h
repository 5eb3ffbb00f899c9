/* trail: watches all that a path goes through: its folders, the links in it and where they lead,
 * the place of what is missing yet, and what lies at its end. So a link that is switched, a folder
 * that is moved away, and a file that an editor renames into place are all seen. */
#pragma once
#include <stdbool.h>

#include "config/settings.h"

enum { TRAIL_STEPS_MAX = 64, TRAIL_LINKS_MAX = 16, TRAIL_NAME_BYTES = 255 };

struct loop;
struct loop_watch;

struct trail_step {
	int wd;
	bool any;                        /* every entry of the folder counts */
	char name[TRAIL_NAME_BYTES + 1]; /* else this one; "": only the folder itself */
};

struct trail {
	struct loop *loop;
	struct loop_watch *watch;
	int fd; /* inotify; -1: nothing is watched */
	unsigned count;
	struct trail_step steps[TRAIL_STEPS_MAX];
	char path[SETTINGS_PATH_BYTES + 1];
	void (*fn)(void *ctx);
	void *ctx;
};

/* `fn` whenever something on the way to `path` changed, or in it when it is a folder; it may come
 * for what turns out to be nothing. Watches nothing before trail_follow. */
void trail_init(struct trail *trail, struct loop *loop, const char *path, void (*fn)(void *ctx),
		void *ctx);
/* Goes the way as it is now: first, and again after each `fn`, before looking at what lies at its
 * end. Not from inside `fn`. 0, or -ERR_IO: then nothing is watched. */
int trail_follow(struct trail *trail);
void trail_end(struct trail *trail); /* no-op when nothing is watched */

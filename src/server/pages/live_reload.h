/* live_reload: under --dev, watches the sources of pages. */
#pragma once
#include <limits.h>

#include "base/mono.h"

struct log;
struct loop;
struct loop_watch;

enum {
	DEV_SETTLE_MS = 50, /* an editor that saves all its files makes one wave of it */
	DEV_FOLDERS_MAX = 256,
	DEV_CHANGES_MAX = 32, /* of one wave; more are one change of everything */
	DEV_PATH_BYTES = 511,
};

struct live_reload {
	const char *root; /* the source tree's web/, borrowed like the log */
	struct log *log;
	void (*changed)(void *ctx, const char *url); /* "/": everything */
	void *ctx;
	struct loop_watch *watch;
	int fd;
	struct {
		int wd;                        /* of inotify; 0: free */
		char path[DEV_PATH_BYTES + 1]; /* "" for the root, else "pages/mic" */
	} * folders;
	unsigned folder_count, change_count;
	char changes[DEV_CHANGES_MAX][DEV_PATH_BYTES + 1]; /* as in URLs */
	struct mono_ms due; /* MONO_NEVER: nothing changed since it was told */
};

/* Watches `root`; nothing when it is "". A folder that cannot be watched is logged, and its pages
 * are reloaded by hand. `changed` is called by live_reload_when_due. */
void live_reload_begin(struct live_reload *dev, struct loop *loop, const char *root,
		       struct log *log, void (*changed)(void *ctx, const char *url), void *ctx);
/* Calls `changed` for each change if that is due; returns when to ask again. Touches no lease. */
struct mono_ms live_reload_when_due(struct live_reload *dev, struct mono_ms now);
void live_reload_end(struct live_reload *dev);

/* logfile: keeps the file that standard error goes to within bounds, where `baton up` gave one. */
#pragma once
#include "base/mono.h"

enum {
	LOGFILE_BYTES_MAX = 8 * 1024 * 1024, /* then it becomes NAME.1, over an older one */
	LOGFILE_LOOK_MS = 10 * 1000,
};

struct logfile {
	const char *path; /* $BATON_LOG_FILE, if standard error is that file; else NULL */
	int64_t bytes_max;
	struct mono_ms due; /* not looked at before */
};

void logfile_begin(struct logfile *logfile, struct mono_ms now);
/* Once a turn; it wakes nobody. */
void logfile_step(struct logfile *logfile, struct mono_ms now);

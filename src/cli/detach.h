/* detach: starts the broker so that it outlives the terminal it was started from. */
#pragma once
#include <sys/types.h>

struct detach {
	char log_path[4096]; /* of its log, which is appended to */
	long log_offset;     /* where the log of this broker starts */
	pid_t pid;
	int ready_fd; /* one line once it listens; end of file without one: it did not start */
};

/* Takes the options of `baton serve` that follow `baton up --`. 0 or an errno, with what failed in
 * *ret_what. */
int detach_broker(struct detach *detach, int argc, char *const *argv, const char **ret_what);
/* The last line logged by a broker that did not start; "" if there is none. */
void detach_last_words(const struct detach *detach, char *ret_line, size_t size);
/* The value of --NAME among options of `baton serve`, or NULL. */
const char *detach_option(int argc, char *const *argv, const char *name);

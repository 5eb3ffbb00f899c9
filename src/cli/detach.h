/* detach: starts the broker so that it outlives the terminal it was started from. */
#pragma once
#include <sys/types.h>

struct detach {
	char log_path[4096]; /* of what it says, appended to */
	long log_offset;     /* where what this one says begins */
	pid_t pid;
	int ready_fd; /* a line comes once it listens; the end without a line: it did not start */
};

/* Options of `baton serve`, as they stand behind `baton up --`. 0 or an errno, with what failed in
 * *ret_what. */
int detach_broker(struct detach *detach, int argc, char *const *argv, const char **ret_what);
/* The last line that a broker which did not start has said; "" when it said nothing. */
void detach_last_words(const struct detach *detach, char *ret_line, size_t size);
/* The value of --NAME among options of `baton serve`, or NULL. */
const char *detach_option(int argc, char *const *argv, const char *name);

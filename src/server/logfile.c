/* logfile: a broker in the background lives for months, and its log must not fill the disk that its
 * journal is on. Two files, the newer one open. Called by serve.c; what systemd or a terminal takes
 * is not its business. */
#include "server/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/regular_file.h"

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void logfile_begin(struct logfile *logfile, struct mono_ms now)
{
	const char *path = getenv("BATON_LOG_FILE");
	struct stat named, open_one;
	*logfile = (struct logfile){.bytes_max = LOGFILE_BYTES_MAX, .due = now};
	if (path && path[0] == '/' && stat(path, &named) == 0 &&
	    fstat(STDERR_FILENO, &open_one) == 0 && S_ISREG(named.st_mode) &&
	    is_same_file(&named, &open_one))
		logfile->path = path;
}

/* Each step leaves a file that is written to, whichever of them fails. */
static void turn_over(const char *path)
{
	char old[4096];
	struct stat out, err;
	int n = snprintf(old, sizeof(old), "%s.1", path);

	if (n < 0 || (size_t)n >= sizeof(old))
		return;
	/* Gone: somebody removed it, or it was renamed before and no new one could be made. */
	if (rename(path, old) < 0 && errno != ENOENT)
		return;

	int fd = regular_file_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;

	bool both = fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
		    is_same_file(&out, &err);
	if (both)
		(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
}

void logfile_step(struct logfile *logfile, struct mono_ms now)
{
	struct stat st;
	if (!logfile->path || !mono_due(logfile->due, now))
		return;
	logfile->due = mono_after(now, LOGFILE_LOOK_MS);
	if (fstat(STDERR_FILENO, &st) == 0 && st.st_size > logfile->bytes_max)
		turn_over(logfile->path);
}

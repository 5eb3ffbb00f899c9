/* output: checks once, at the end, that everything printed has arrived. Prints nothing but its own
 * error. */
#include "cli/output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"

void output_begin(void)
{
	/* The wrong direction: a read of standard input or a write to the others fails as before.
	 */
	static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", flags[fd]); /* the lowest free one: fd itself */
}

bool output_is_lost(void)
{
	return fflush(stdout) != 0 || ferror(stdout);
}

static bool reader_is_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

int output_end(int status)
{
	if (!output_is_lost() || status != 0)
		return status;
	if (reader_is_gone())
		return EX_IOERR;
	return cli_fail(NULL, EX_IOERR, "standard output is full or closed; some of it is lost");
}

/* notify: see notify.h. The protocol is one datagram of KEY=VALUE lines, so no library is needed
 * for it. Called by serve.c. */
#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* "/path", or "@name" in the abstract namespace. 0: it cannot be one. */
static socklen_t address_of(const char *name, struct sockaddr_un *ret_address)
{
	size_t length = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || length < 2 ||
	    length >= sizeof(ret_address->sun_path))
		return 0;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, name, length);
	if (name[0] == '@')
		ret_address->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
}

static int write_state(char *out, size_t size, enum notify_state state, const char *status)
{
	struct timespec now;
	int length = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	switch (state) {
	case NOTIFY_READY:
		length = snprintf(out, size, "READY=1\n");
		break;
	case NOTIFY_RELOADING:
		length = snprintf(out, size, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
				  (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
		break;
	case NOTIFY_STOPPING:
		length = snprintf(out, size, "STOPPING=1\n");
		break;
	}

	if (status)
		length += snprintf(out + length, size - (size_t)length, "STATUS=%.400s\n", status);
	return length;
}

void notify_send(enum notify_state state, const char *status)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	char text[512];
	socklen_t length = name ? address_of(name, &address) : 0;
	if (length == 0)
		return;
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int bytes = write_state(text, sizeof(text), state, status);
	if (fd >= 0)
		(void)sendto(fd, text, (size_t)bytes, MSG_NOSIGNAL, (struct sockaddr *)&address,
			     length);
}

void notify_descriptor(int fd, const char *line)
{
	char text[1024];
	if (fd < 0)
		return;
	int length = snprintf(text, sizeof(text), "%.1000s\n", line);
	while (write(fd, text, (size_t)length) < 0 && errno == EINTR)
		;
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

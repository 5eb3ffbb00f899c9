/* peer: SO_PEERCRED and the start time that tells a process from a later one with its pid. The pid
 * is the one of connect(); whether it may speak for that process still is the server's to decide.
 * Called by listen.c. */
#include "net/peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* The command in field 2 may hold spaces and parentheses: count from the last one. */
uint64_t peer_parse_start(const char *stat)
{
	const char *at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static uint64_t read_start(int64_t pid)
{
	char path[48], stat[1024];
	(void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
	if (n <= 0)
		return 0;
	stat[n] = '\0';
	return peer_parse_start(stat);
}

void peer_of_socket(int fd, bool is_unix, struct net_peer *ret_peer)
{
	struct ucred cred;
	socklen_t length = sizeof cred;
	*ret_peer = (struct net_peer){.is_unix = is_unix, .uid = -1, .pidfd = -1};
	if (!is_unix || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) != 0)
		return;
	ret_peer->pid = cred.pid;
	ret_peer->uid = cred.uid;
	ret_peer->pid_start = cred.pid > 0 ? read_start(cred.pid) : 0;
}

int peer_pidfd(int fd)
{
	int pidfd = -1;
	socklen_t length = sizeof pidfd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0)
		return -1;
	return pidfd;
}

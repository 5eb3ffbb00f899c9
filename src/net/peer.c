/* peer: SO_PEERCRED, and the start time that tells a process from a later one with its pid. The pid
 * is that of the process that called connect(); the server decides whether the peer may still act
 * for it. */
#include "net/peer.h"

#include <sys/socket.h>

#include "net/net.h"
#include "process/proc.h"

void peer_of_socket(int fd, bool is_unix, struct net_peer *ret_peer)
{
	struct ucred cred;
	socklen_t length = sizeof(cred);
	*ret_peer = (struct net_peer){.is_unix = is_unix, .uid = -1, .pidfd = -1};

	if (!is_unix || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) != 0)
		return;

	ret_peer->pid = cred.pid;
	ret_peer->uid = cred.uid;
	ret_peer->pid_start = cred.pid > 0 ? proc_start(cred.pid) : 0;
}

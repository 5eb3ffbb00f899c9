/* operator_name: see operator_name.h. The kernel's word counts more than what a client shows. */
#include "server/access/operator_name.h"
#include "net/net.h"

#include <inttypes.h>
#include <stdio.h>

void operator_name(const struct net_peer *peer, const char *principal, char *ret_name, size_t size)
{
	if (peer->is_unix)
		snprintf(ret_name, size, "uid=%" PRId64 " pid=%" PRId64, peer->uid, peer->pid);
	else
		snprintf(ret_name, size, "%s", principal);
}

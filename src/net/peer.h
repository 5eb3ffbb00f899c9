/* peer: who is on the other end of a socket. Private to src/net. */
#pragma once
#include "net/net.h"

/* pid 0 and uid -1 where the kernel does not know. */
void peer_of_socket(int fd, bool is_unix, struct net_peer *ret_peer);

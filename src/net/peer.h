/* peer: the process at the other end of a socket. Private to src/net. */
#pragma once
#include <stdbool.h>

struct net_peer;

/* pid 0 and uid -1 if unknown. */
void peer_of_socket(int fd, bool is_unix, struct net_peer *ret_peer);

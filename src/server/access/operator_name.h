/* operator_name: who acted, as the audit and the log name it. */
#pragma once
#include <stddef.h>

struct net_peer;

/* "uid=1000 pid=4242" of a Unix peer, else the principal. */
void operator_name(const struct net_peer *peer, const char *principal, char *ret_name, size_t size);

/* handshake: the head of a server's answer to a WebSocket's request, which goes on to the client as
 * it is: so it must be one that cannot be read in two ways. Pure. */
#pragma once
#include <stddef.h>

enum { HANDSHAKE_BYTES_MAX = 16 * 1024 };

/* The status, and how long the head is; 0: more must come; -1: it is none, or too long. */
int handshake_read(const char *bytes, size_t length, size_t *ret_length);

/* refusal: how a session is told no: once, or for good. */
#pragma once
#include <stdint.h>

struct endpoints;
struct net;

/* `ref` is of the request, or 0; `detail` may be NULL. */
void session_deny(struct net *net, uint64_t conn, uint64_t ref, int err, const char *detail);
/* Denies and closes with `code`; what it says from here on is not heard. */
void session_turn_away(struct endpoints *endpoints, uint64_t conn, int err, const char *detail,
		       int code);

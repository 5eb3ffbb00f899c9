/* ws_key: the response to a handshake's Sec-WebSocket-Key. A file of its own because OpenSSL's
 * headers use the prefix ERR_. */
#pragma once
#include <stdbool.h>

bool ws_accept_key(const char *key, char ret_accept[29]);

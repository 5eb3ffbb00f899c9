/* ws_key: the answer to a handshake's Sec-WebSocket-Key. Apart because OpenSSL's headers
 * claim the prefix ERR_. */
#pragma once
#include <stdbool.h>

bool ws_accept_key(const char *key, char ret_accept[29]);

/* margin: the 2:1 rule between a broker and a client that cannot hear each other (CASES.md R3). The
 * broker gives away what a silent client holds after its linger; the client has stopped after half
 * of it, so clocks may run apart by a factor of two and nobody meets. */
#pragma once
#include <stdint.h>

/* From the break of a connection, by the client's clock. 0: at once. */
static inline int64_t margin_stop_after_ms(int64_t linger_ms)
{
	return linger_ms > 0 ? linger_ms / 2 : 0;
}

/* How often to look, when counting from the moment the connection was last seen open. */
static inline int64_t margin_look_every_ms(int64_t linger_ms)
{
	return linger_ms >= 8 ? linger_ms / 8 : 1;
}

/* When to kill what the client has asked to stop, if it is still there: half of the remaining time
 * is for stopping, the other half separates it from the next holder. */
static inline int64_t margin_kill_after_ms(int64_t linger_ms)
{
	return linger_ms > 0 ? linger_ms / 4 * 3 : 0;
}

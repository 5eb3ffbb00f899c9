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

/* How often somebody who counts from when the connection was last seen open has to look. */
static inline int64_t margin_look_every_ms(int64_t linger_ms)
{
	return linger_ms >= 8 ? linger_ms / 8 : 1;
}

/* By when what the client stopped then has to be killed if it did not go by itself: half of what
 * is left goes to the stopping, the other half stays between it and whoever comes next. */
static inline int64_t margin_kill_after_ms(int64_t linger_ms)
{
	return linger_ms > 0 ? linger_ms / 4 * 3 : 0;
}

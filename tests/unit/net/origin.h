/* origin: a server by hand for tests of the HTTP client: it says what the test says, when the test
 * says it, so it can stall, flood, lie and reset. Nothing sleeps; waiting is turning the loop. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum { ORIGIN_BYTES = 64 * 1024, ORIGIN_WAIT_MS = 10000 };

struct origin {
	struct loop *loop;
	int fd;
	uint16_t port;
	char path[96]; /* of a Unix socket; else "" */
};

/* One connection of the client. */
struct visit {
	struct origin *origin;
	int fd;
	char in[ORIGIN_BYTES];
	size_t length, total; /* of `in`; of all that came */
	bool ended;
};

struct origin origin_open(struct loop *loop);
struct origin origin_open_unix(struct loop *loop);
void origin_close(struct origin *origin);
/* Its queue takes one more; the rest of `count` connections, and whoever comes, waits. */
void origin_fill(struct origin *origin, int *ret_fds, size_t count);
bool origin_has_visitor(const struct origin *origin);

void origin_turn(struct loop *loop);
struct visit *origin_accept(struct origin *origin); /* waits for one */
void visit_pump(struct visit *visit);               /* one turn, and reads what has come */
void visit_wait_text(struct visit *visit, const char *text);
void visit_wait_unread(struct visit *visit); /* something came, and lies there */
void visit_wait_end(struct visit *visit);
void visit_forget(struct visit *visit); /* what has come */
void visit_say(struct visit *visit, const char *text);
/* Sends all of it, or until the client is gone: how many bytes it took. */
size_t visit_flood(struct visit *visit, const char *bytes, size_t length, unsigned turns_max);
void visit_leave(struct visit *visit, bool reset); /* closes and frees */

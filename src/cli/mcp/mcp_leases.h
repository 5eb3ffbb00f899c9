/* mcp_leases: the leases of one MCP connection: one session with the broker, which ends with it.
 * The work under a lease runs elsewhere, in programs that we do not know; so a revoked lease is
 * given back when the client says so, at the latest just before the broker would kill us. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct baton;
struct baton_claim;
struct baton_request;

enum { MCP_LEASES_KEPT = 64, MCP_WORDS_BYTES = 160 };

struct mcp_lease {
	struct mcp_lease *next; /* mcp_leases.first */
	struct mcp_leases *all;
	struct baton_claim *claim; /* NULL: over */
	json_t *call;              /* id of the call that waits for it; NULL: answered */
	json_t *progress;          /* its progress token, or NULL */
	json_int_t told;           /* how often it was told of its place */
	uint64_t id, fence;
	bool lost;
	int64_t stop_by_ms; /* of a lost one whose work may go on */
	char reason[MCP_WORDS_BYTES], whom[MCP_WORDS_BYTES]; /* why it is to yield, or was lost */
};

struct mcp_leases {
	struct baton *baton; /* NULL: not connected */
	struct mcp_lease *first;
	char name[129];
	uint64_t parent; /* the lease that we were started under, or 0 */
};

void mcp_leases_init(struct mcp_leases *leases);
/* Tells the broker that all is over. */
void mcp_leases_finish(struct mcp_leases *leases);
/* How lists call us: of the client's own name. */
void mcp_leases_name(struct mcp_leases *leases, const char *client);

/* Asks, connecting first if need be; answers `call` once it is decided. */
void mcp_leases_acquire(struct mcp_leases *leases, const struct baton_request *request,
			json_t *call, json_t *progress);
/* Takes back the question of that call, which gets no answer. */
void mcp_leases_cancel(struct mcp_leases *leases, const json_t *call);
/* The one with this number; NULL: it never was, or is forgotten. */
struct mcp_lease *mcp_leases_find(struct mcp_leases *leases, uint64_t id);
/* True: it was ours until now. */
bool mcp_lease_release(struct mcp_lease *lease);
bool mcp_lease_is_held(const struct mcp_lease *lease);

/* What to poll, or -1, and for how long at most, or -1. */
int mcp_leases_fd(const struct mcp_leases *leases);
int mcp_leases_wait_ms(const struct mcp_leases *leases);
void mcp_leases_dispatch(struct mcp_leases *leases);

/* host: leases inside which other leases run. A *guest* asked for a place of a lease that offers
 * some: it waits for it in the host's own queue, computes on the host's turn, and ends with it. A
 * *loan* is the turn of a holder that waits for another claim of its own: when the lender leaves,
 * the borrower goes on in its place, with its clock. Both are charged only for memory beyond what
 * the host has. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct claim;
struct claim_record;
struct core;
struct group;
struct session;

enum { GUESTS_MAX = 64 };

/* What is wrong with the parent and the host that a claim names; 0: nothing. A parent that has
 * ended is cleared. */
int host_judge(const struct core *core, struct claim_record *rec, const struct session *session,
	       const char **ret_detail);
/* The GPUs of the host on which the claim could run now; 0: it has to wait. */
uint32_t host_gpus(const struct core *core, const struct claim *host, const struct claim *claim);
/* Beyond its host's it needs memory that these GPUs have not. */
bool host_lacks_memory(const struct core *core, const struct claim *claim, uint32_t gpus);
/* The queue that the waiting guest joins; created if it is not there. */
struct group *host_queue(struct core *core, const struct claim *guest);
/* Admits the guests that fit. At a full host, guests past their hold limit are asked to leave for
 * the first waiter. */
void host_run(struct core *core);

/* After an import: puts the claim inside the host that its record names, or in that host's queue.
 * False: impossible. */
bool host_join(struct core *core, struct claim *claim);
/* Takes a place inside its host; does not touch the host's turn. */
void host_seat(struct claim *guest);
/* Takes capacity inside its host, or gives it back. */
void host_enter(struct core *core, struct claim *guest);
void host_leave(struct core *core, struct claim *guest);
/* The lender returns its capacity during a loan: the borrower takes over the turn. */
void host_inherit(struct core *core, struct claim *lender);
/* The host is over: claims waiting to run inside it are denied, guests are revoked. */
void host_over(struct core *core, struct claim *host);
/* Iterates over everything inside, at any depth, in a fixed order; NULL: no more. */
struct claim *host_next_inside(const struct claim *root, const struct claim *at);
void host_sweep(struct core *core);

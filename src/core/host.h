/* host: leases inside whose room others run. A *guest* asked for a place of a lease that offers
 * some: it waits for it in the host's own queue, computes on the host's turn, and ends with it. A
 * *loan* is the turn of a holder that waits for another claim of its own: when the lender leaves,
 * the borrower goes on in its place, with its clock. Both are charged only for memory beyond the
 * host's. */
#pragma once
#include "core/state.h"

enum { GUESTS_MAX = 64 };

/* What is wrong with the parent and the host that a claim names; 0: nothing. A parent that is no
 * more is forgotten. */
int host_judge(const struct core *core, struct claim_record *rec, const struct session *session,
	       const char **ret_detail);
/* The GPUs of the host on which the claim could run now; 0: it has to wait. */
uint32_t host_gpus(const struct core *core, const struct claim *host, const struct claim *claim);
/* Whom the waiting guest would join; NULL: none. */
struct group *host_queue(struct core *core, const struct claim *guest);
/* Those who may go in, do; the first of a full host has guests asked whose time is over. */
void host_run(struct core *core);

/* After a restart, or out of an export: its own words say whom it is inside of, or waits for.
 * False: that cannot be. */
bool host_join(struct core *core, struct claim *claim);
/* It has its place inside its host, whatever that means for the host's turn. */
void host_seat(struct claim *guest);
/* It takes room inside its host, or gives it back. */
void host_enter(struct core *core, struct claim *guest);
void host_leave(struct core *core, struct claim *guest);
/* Gives its room back with a loan inside: the borrower goes on. */
void host_inherit(struct core *core, struct claim *lender);
/* It is over: who waits to run inside it waits no more, who does is revoked. */
void host_over(struct core *core, struct claim *host);
/* Everybody inside, at any depth, in a fixed order; NULL: no more. */
struct claim *host_next_inside(const struct claim *root, const struct claim *at);
void host_sweep(struct core *core);

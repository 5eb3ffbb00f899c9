/* trick: what adversaries do. Each function is called where an honest client would act, and returns
 * true if the adversary acted instead. With all faults off they are honest, too. */
#pragma once
#include "client.h"

/* Its new job, after the honest draw. */
void trick_draw(struct world *w, const struct client *client, struct job *job);
bool trick_offered(struct world *w, struct client *client, struct job *job);
void trick_granted(struct world *w, struct client *client, struct job *job);
bool trick_asked(struct world *w, struct client *client, struct job *job, int64_t grace_ms);
/* What it loads is there. */
bool trick_ready(struct world *w, struct client *client, const struct job *job);
void trick_renewed(struct world *w, struct client *client, const struct job *job);
void trick_lent(struct world *w, struct client *client, struct job *job);
/* Whether it comes back after a yield, whatever it has done already. */
bool trick_returns(const struct world *w, const struct client *client);

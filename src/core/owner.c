/* owner: finding the claim that an event names, if it is the sender's. Changes nothing. For the
 * handlers of client events. */
#include "core/owner.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/session.h"
#include "core/state.h"

struct claim *owner_claim(const struct core *core, uint64_t conn, uint64_t lease)
{
	const struct session *session = session_by_conn(core, conn);
	struct claim *claim = claim_by_id(core, lease);

	if (!session || !claim || claim->session != session || claim_over(claim))
		return NULL;
	POST(claim->rec.state != CLAIM_ENDED);
	return claim;
}

struct claim *owner_plain(const struct core *core, const struct token *token)
{
	struct claim *claim = claim_by_token(core, token);

	if (!claim || claim->session || !claim_has_room(claim))
		return NULL;
	POST(claim->rec.fence != 0);
	return claim;
}

struct claim *owner_unlocked(const struct core *core, const struct token *token)
{
	struct claim *claim = claim_by_token(core, token);

	if (claim && claim->session && !session_has_process(claim->session) &&
	    claim_has_room(claim) && !claim->rec.revoked)
		return claim;
	return owner_plain(core, token);
}

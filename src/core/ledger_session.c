/* ledger_session: what a session was seen to use, when it comes back and when it is forgotten.
 * Moves bytes between its account and nobody's; the sums are ledger.c's. */
#include "base/contracts.h"
#include "core/ledger.h"

void ledger_recall(struct core *core, struct session *session)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		uint64_t bytes = session->vram[gpu].observed;
		PRE(session->vram[gpu].declared == 0);
		session->vram[gpu].observed = 0;
		ledger_observe(core, session, gpu, bytes);
	}
}

void ledger_forget(struct core *core, struct session *session)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		uint64_t bytes = session->vram[gpu].observed;
		PRE(session->vram[gpu].declared == 0);

		/* Its memory counts as used until a sample shows otherwise. */
		state->vram_outside += bytes;
		state->outside_base += bytes;
		ledger_observe(core, session, gpu, 0);
	}
}

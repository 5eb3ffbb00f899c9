/* import: a core from what export.c wrote. Sums, tables and orders are rebuilt by the modules that
 * own them, so they cannot contradict the claims; the rest is checked, and an impossible state is
 * refused. For upgrades in place and tests. */
#include <stdlib.h>
#include <string.h>

#include "base/fields.h"
#include "core/claim.h"
#include "core/core.h"
#include "core/host.h"
#include "core/import.h"
#include "core/ledger.h"
#include "core/placement.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/session.h"
#include "core/state_rows.h"

enum { SLOTS_CHARGED_MAX = 1 << 16 }; /* sums over all claims cannot overflow */

static const struct fields_how as_it_is;

static const char *read_core(struct core *core, const uint8_t *bytes, size_t size)
{
	if (!fields_read(&core_fields, core, &as_it_is, bytes, size))
		return "the core's own fields cannot be read";

	if (!core->started || !core->configured || core->fence_next == 0)
		return "it is the state of a broker that had not started";

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		if (core->config.gpus[gpu].slots > SLOTS_CHARGED_MAX)
			return "a GPU has more slots than can be counted";
	return NULL;
}

static const char *read_place(struct core *core, const uint8_t *bytes, size_t size)
{
	struct kept_place kept;

	if (!fields_read(&kept_place_fields, &kept, &as_it_is, bytes, size))
		return "a remembered place cannot be read";
	core->lost[kept.slot] = kept.place;
	return NULL;
}

/* Its tags; its claims and sessions join it later. */
static const char *read_principal(struct core *core, const uint8_t *bytes, size_t size)
{
	struct principal read, *principal;

	if (!fields_read(&principal_fields, &read, &as_it_is, bytes, size) || !read.name[0] ||
	    principal_find(core, read.name))
		return "a principal cannot be read";

	principal = principal_join(core, NULL, read.name);
	memcpy(principal->last_tag, read.last_tag, sizeof(read.last_tag));
	principal_leave(core, principal);
	return NULL;
}

static const char *judge_session(const struct core *core, const struct session *session)
{
	uint64_t id = session->rec.id;
	bool timed = session->timer.key != INT64_MAX;

	if (id == 0 || id >= core->session_id_next || session_by_id(core, id) ||
	    session_by_conn(core, session->conn) || !session->rec.principal[0])
		return "a session's numbers are wrong";

	if (binding_of(session->rec.binding)->party != PARTY_SESSION)
		return "a session is bound to nothing";
	if (session->ended ? timed : session->conn == 0 && !timed)
		return "a session has no end";

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		if (session->vram[gpu].observed > VRAM_BYTES_MAX)
			return "a session uses more than there is";
	return NULL;
}

static const char *read_session(struct core *core, const uint8_t *bytes, size_t size)
{
	struct session *session = session_alloc(&(struct session_record){.id = 0});
	bool readable = fields_read(&session_fields, session, &as_it_is, bytes, size);
	const char *why = readable ? judge_session(core, session) : "a session cannot be read";
	int64_t due = session->timer.key;

	if (why) {
		free(session);
		return why;
	}

	session_index(core, session);
	ledger_recall(core, session);

	if (due != INT64_MAX)
		heap_set(&core->session_timers, &session->timer, due);
	return NULL;
}

/* I3, I4 and I6: it has a live binding, or a deadline. */
static bool is_bound(const struct claim *claim)
{
	const struct session *session = claim->session;
	bool timed = claim->timer.key != INT64_MAX;
	bool attached = claim_conn(claim) != 0 || (session && heap_has(&session->timer));

	switch (claim->rec.state) {
	case CLAIM_QUEUED:
		return attached || (!session && timed);
	case CLAIM_OFFERED:
		return session && timed;
	case CLAIM_LOADING:
		return timed && (claim_proof(claim) == PROOF_TIME || attached);
	case CLAIM_HELD:
		return claim_proof(claim) == PROOF_TIME ? timed : attached;
	case CLAIM_YIELDING:
		return timed;
	case CLAIM_DRAINING:
		return true; /* or its guests keep it */
	case CLAIM_ENDED:
	case CLAIM_STATE_COUNT:
		break;
	}
	return false;
}

static const char *judge_claim(const struct core *core, const struct claim *claim)
{
	const struct claim_record *rec = &claim->rec;
	const struct session *session = claim->session;
	bool plain = binding_of(rec->binding)->party != PARTY_SESSION;
	uint32_t gpus = claim_has_room(claim) ? rec->need.gpu_count : 0;

	if (rec->id == 0 || rec->id >= core->claim_id_next || claim_by_id(core, rec->id) ||
	    claim_by_conn(core, claim->conn) || session_by_conn(core, claim->conn) ||
	    !rec->principal[0])
		return "a claim's numbers are wrong";

	if (plain ? rec->session != 0 : !session || session->rec.binding != rec->binding)
		return "a claim's session is not its own";

	if (claim->mask == 0 || (claim->mask | rec->granted_mask) >> LIMIT_GPUS ||
	    rec->need.gpu_count == 0 || mask_count(rec->granted_mask) != gpus ||
	    rec->need.vram_bytes > VRAM_BYTES_MAX)
		return "a claim's GPUs are wrong";

	if (gpus && (rec->fence == 0 || rec->fence >= core->fence_next))
		return "a lease's fence was never given";

	if (claim->vram_charged > VRAM_BYTES_MAX || claim->slots_charged > SLOTS_CHARGED_MAX ||
	    (claim->slots_charged > 0 && claim->slots_charged != rec->need.slots) ||
	    (!gpus && claim->vram_charged + claim->slots_charged > 0))
		return "a claim is charged for what it has not";

	if ((rec->end != END_NONE) != (rec->state == CLAIM_DRAINING) || !is_bound(claim))
		return "a claim has no end";
	if (rec->uses >= rec->id)
		return "a claim uses one that came after it";
	return NULL;
}

static void place_claim(struct core *core, struct claim *claim)
{
	int64_t due = claim->timer.key;

	if (claim->session)
		list_append(&claim->session->claims, &claim->in_session);

	claim->timer = (struct heap_node){.key = INT64_MAX, .id = claim->rec.id};
	claim->principal = principal_join(core, NULL, claim->rec.principal);
	claim_index(core, claim);
	if (claim->rec.state == CLAIM_DRAINING)
		claim_unname(core, claim);

	if (claim->rec.state == CLAIM_QUEUED) {
		queue_insert(core, claim);
	} else {
		rank_tree_insert(&core->holders, &claim->place, 0, claim->rec.id);
		ledger_charge(core, claim);
		session_took_room(claim);
		resident_runs(core, claim);
		if (claim->asked)
			list_append(&core->asked, &claim->in_asked);
	}

	if (due != INT64_MAX)
		heap_set(&core->claim_timers, &claim->timer, due);
}

static const char *read_claim(struct core *core, const uint8_t *bytes, size_t size)
{
	struct claim *claim = claim_alloc(&(struct claim_record){.id = 1});
	const char *why = "a claim cannot be read";

	if (fields_read(&claim_fields, claim, &as_it_is, bytes, size)) {
		claim->session = session_by_id(core, claim->rec.session);
		why = judge_claim(core, claim);
	}

	if (why)
		free(claim);
	else
		place_claim(core, claim);
	return why;
}

static const char *read_detail(struct core *core, const uint8_t *bytes, size_t size)
{
	struct kept_detail kept;
	struct claim *claim;

	if (!fields_read(&kept_detail_fields, &kept, &as_it_is, bytes, size))
		return "what a client said cannot be read";

	claim = claim_by_id(core, kept.claim);
	if (!claim || claim->detail)
		return "what a client said is of no claim";
	claim_explain(claim, kept.detail.text);
	return NULL;
}

static bool keeps_for_waiter(const struct core *core, uint64_t id)
{
	const struct claim *head = claim_by_id(core, id);

	return id == 0 || (head && head->rec.state == CLAIM_QUEUED);
}

/* Resolves references to other claims, once all are read. */
static const char *join_references(struct core *core)
{
	struct rank_node *node;

	for (node = rank_tree_first(&core->holders); node; node = rank_tree_next(node))
		if (!host_join(core, claim_of_place(node)))
			return "a lease is inside one that cannot be its host";
	for (node = rank_tree_first(&core->places); node; node = rank_tree_next(node))
		if (!host_join(core, claim_of_place(node)))
			return "a claim waits for a host that is not there";

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		if (!keeps_for_waiter(core, core->gpus[gpu].turn_head) ||
		    !keeps_for_waiter(core, core->gpus[gpu].memory_head))
			return "a GPU is kept for nobody";
	}

	ledger_recap(core, UINT32_MAX);
	placement_settle(core);
	queue_sweep(core); /* groups that guests have left for their hosts' queues */
	return NULL;
}

/* Unknown sections are skipped; the others must be in order. */
static const char *read_all(struct core *core, const uint8_t *at, const uint8_t *end)
{
	static const char *(*const readers[])(struct core *, const uint8_t *, size_t) = {
		[SECTION_CORE] = read_core,           [SECTION_PLACE] = read_place,
		[SECTION_PRINCIPAL] = read_principal, [SECTION_SESSION] = read_session,
		[SECTION_CLAIM] = read_claim,         [SECTION_DETAIL] = read_detail,
	};
	uint64_t section, size, last = 0;

	while (at < end) {
		const char *why;
		if (!fields_take_number(&at, end, &section) ||
		    !fields_take_number(&at, end, &size) || size > (size_t)(end - at))
			return "it is cut off";

		if (section < last || (last == 0) != (section == SECTION_CORE) ||
		    (section == SECTION_CORE && last == SECTION_CORE))
			return "its sections are out of order";
		last = section;

		why = section <= SECTION_DETAIL ? readers[section](core, at, (size_t)size) : NULL;
		if (why)
			return why;
		at += size;
	}
	return last == 0 ? "it is empty" : join_references(core);
}

struct core *core_import(const void *bytes, size_t size, uint64_t hash_seed, const char **ret_why)
{
	const size_t mark = sizeof(export_mark);
	uint64_t sum;
	struct core *core;

	*ret_why = "it is no state of a broker that this one knows";
	if (size < mark + sizeof(sum) || memcmp(bytes, export_mark, mark) != 0)
		return NULL;

	*ret_why = "it is damaged";
	size -= sizeof(sum);
	memcpy(&sum, (const uint8_t *)bytes + size, sizeof(sum));
	if (sum != hash_bytes(0, bytes, size))
		return NULL;

	core = core_create();
	core->hash_seed = hash_seed;
	core->importing = true;
	*ret_why = read_all(core, (const uint8_t *)bytes + mark, (const uint8_t *)bytes + size);
	core->importing = false;

	if (!*ret_why)
		return core;

	core_destroy(core);
	return NULL;
}

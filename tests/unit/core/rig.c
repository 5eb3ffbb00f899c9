/* rig: the shell around the core that the unit tests share. It keeps what the core appends, so a
 * restart can give it back. */
#include "rig.h"

#include <stdlib.h>

#include "core/binding.h"

void rig_init(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	core_config_defaults(&rig->config);
	rig->config.vram_headroom_bytes = 0;
	rig->config.queue_per_principal_max = rig->config.held_per_principal_max = UINT32_MAX;
	effects_init(&rig->fx);
	rig->now = (struct mono_ms){1000000};
	rig->conn_next = rig->ref_next = rig->random_next = 1;
}

void rig_gpus(struct rig *rig, uint32_t count, uint32_t slots, uint64_t vram_bytes)
{
	rig->config.gpu_count = count;
	for (uint32_t gpu = 0; gpu < count; gpu++)
		rig->config.gpus[gpu] = (struct gpu_config){
			.slots = slots,
			.vram_bytes_total = vram_bytes,
			.vram_known = vram_bytes > 0,
		};
}

static void keep_claim(struct rig *rig, const struct claim_record *rec)
{
	uint32_t at = 0;

	while (at < rig->claim_count && rig->claims[at].id != rec->id)
		at++;
	assert_in_range(at, 0, RIG_ROWS - 1);
	if (at == rig->claim_count)
		rig->claim_count++;
	rig->claims[at] = *rec;
	if (rec->id > rig->claim_id_max)
		rig->claim_id_max = rec->id;
	if (rec->fence > 0)
		assert_in_range(rec->fence, 1, rig->fence_max);
}

static void keep_session(struct rig *rig, const struct session_record *rec, bool ended)
{
	uint32_t at = 0;

	while (at < rig->session_count && rig->sessions[at].id != rec->id)
		at++;
	if (ended) {
		if (at < rig->session_count)
			rig->sessions[at] = rig->sessions[--rig->session_count];
		return;
	}
	assert_in_range(at, 0, RIG_ROWS - 1);
	if (at == rig->session_count)
		rig->session_count++;
	rig->sessions[at] = *rec;
	if (rec->id > rig->session_id_max)
		rig->session_id_max = rec->id;
}

/* Appends come before all that is sent in the same step, and the fence block before its use. */
static void keep(struct rig *rig, size_t from)
{
	bool sent = false;

	for (size_t i = from; i < rig->fx.count; i++) {
		const struct record *record = &rig->fx.v[i].record;
		sent |= rig->fx.v[i].type != EFFECT_APPEND;
		if (rig->fx.v[i].type != EFFECT_APPEND)
			continue;
		assert_false(sent);
		if (record->type == RECORD_CLAIM_PUT || record->type == RECORD_CLAIM_END)
			keep_claim(rig, &record->claim);
		else if (record->type == RECORD_SESSION_PUT)
			keep_session(rig, &record->session, false);
		else if (record->type == RECORD_SESSION_END)
			keep_session(rig, &record->session, true);
		else if (record->type == RECORD_FENCE)
			rig->fence_max = record->fence_max;
		else if (record->type == RECORD_PAUSED)
			rig->paused = record->admin.paused;
	}
}

static void step(struct rig *rig, struct event event)
{
	size_t from = rig->fx.count;
	uint64_t random = rig->random_next++;

	event.now = rig->now;
	memcpy(event.random.b, &random, sizeof(random));
	event.random.b[15] = 0xb5;
	core_step(rig->core, &event, &rig->fx);
	if (rig->unchecked)
		return;
	keep(rig, from);
	core_check(rig->core, rig->now);
}

void rig_step(struct rig *rig, struct event event)
{
	effects_clear(&rig->fx);
	step(rig, event);
}

void rig_configure(struct rig *rig)
{
	rig_step(rig, (struct event){.type = EVENT_CONFIG, .config = &rig->config});
}

static void begin(struct rig *rig, bool same_boot)
{
	struct event start = {.type = EVENT_START};

	start.start.epoch = ++rig->epoch;
	start.start.fence_max = rig->fence_max;
	start.start.claim_id_max = rig->claim_id_max;
	start.start.session_id_max = rig->session_id_max;
	start.start.same_boot = same_boot;
	start.start.in_doubt_ms = rig->in_doubt_ms;
	rig_step(rig, start);
}

void rig_start(struct rig *rig)
{
	rig->core = core_create();
	rig_configure(rig);
	begin(rig, true);
}

static void restore(struct rig *rig, struct record record)
{
	rig_step(rig, (struct event){.type = EVENT_RESTORE, .record = &record});
}

void rig_restart(struct rig *rig, bool same_boot)
{
	uint32_t claims = rig->claim_count, sessions = rig->session_count;

	core_destroy(rig->core);
	rig->core = core_create();
	rig_configure(rig);
	for (uint32_t i = 0; i < claims; i++)
		if (rig->claims[i].state != CLAIM_ENDED)
			restore(rig,
				(struct record){.type = RECORD_CLAIM_PUT, .claim = rig->claims[i]});
	for (uint32_t i = 0; i < sessions; i++)
		restore(rig,
			(struct record){.type = RECORD_SESSION_PUT, .session = rig->sessions[i]});
	restore(rig, (struct record){.type = RECORD_PAUSED, .admin.paused = rig->paused});
	begin(rig, same_boot);
}

void rig_finish(struct rig *rig)
{
	core_destroy(rig->core);
	effects_finish(&rig->fx);
}

void rig_pass(struct rig *rig, int64_t ms)
{
	struct mono_ms end = mono_after(rig->now, ms);
	struct mono_ms wake = rig->fx.next_wake;
	int rounds = 0;

	effects_clear(&rig->fx);
	while (mono_before(wake, end)) {
		rig->now = mono_max(rig->now, wake);
		step(rig, (struct event){.type = EVENT_TICK});
		wake = rig->fx.next_wake;
		/* A core that wants to be woken for nothing would never let time pass. */
		assert_in_range(++rounds, 1, 100000);
	}
	rig->now = end;
	step(rig, (struct event){.type = EVENT_TICK});
}

uint64_t rig_session(struct rig *rig, enum binding binding, const char *name)
{
	uint64_t conn = rig->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = party_of(PARTY_SESSION, conn)};

	event.session.binding = binding;
	event.session.browser = binding == BIND_TAB;
	event.session.name = name;
	event.session.principal = rig->principal;
	event.session.pid = 100 + (int64_t)conn;
	rig_step(rig, event);
	assert_non_null(rig_sent(rig, SEND_WELCOME, 0));
	return conn;
}

uint64_t rig_resume(struct rig *rig, enum binding binding, uint64_t session)
{
	uint64_t conn = rig->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = party_of(PARTY_SESSION, conn)};

	event.session.binding = binding;
	event.session.pid = 100 + (int64_t)conn;
	event.session.name = "resumed";
	for (uint32_t i = 0; i < rig->session_count; i++)
		if (rig->sessions[i].id == session)
			event.session.resume = &rig->sessions[i].secret;
	assert_non_null(event.session.resume);
	rig_step(rig, event);
	return conn;
}

uint64_t rig_session_id(const struct rig *rig, uint64_t conn)
{
	const struct session_record *rec = NULL;
	struct mono_ms seen;
	uint64_t at = 0;

	for (uint64_t its_conn; core_session_after(rig->core, at, &rec, &its_conn, &seen);
	     at = rec->id)
		if (its_conn == conn)
			return rec->id;
	return 0;
}

void rig_close(struct rig *rig, uint64_t conn)
{
	rig_step(rig,
		 (struct event){.type = EVENT_CONN_CLOSED, .from = party_of(PARTY_SESSION, conn)});
}

struct event rig_want(enum binding binding, enum lease_class cls, const char *name)
{
	struct event event = {.type = EVENT_ACQUIRE};

	event.acquire.binding = binding;
	event.acquire.cls = cls;
	event.acquire.preemptible = true;
	event.acquire.timeout_ms = -1;
	event.acquire.need = (struct need){.slots = 1, .gpu_count = 1};
	event.acquire.name = name;
	return event;
}

uint64_t rig_ask(struct rig *rig, uint64_t conn, struct event event)
{
	const struct effect *denied;

	event.from = (struct party){binding_of(event.acquire.binding)->party,
				    conn ? conn : rig->conn_next++};
	if (!event.acquire.principal)
		event.acquire.principal = rig->principal;
	if (event.acquire.ref == 0)
		event.acquire.ref = rig->ref_next++;
	rig_step(rig, event);
	denied = rig_sent(rig, SEND_DENIED, 0);
	if (denied && denied->to.id == event.from.id)
		return 0;
	/* A plain request is told nothing while it waits: its row has the number. */
	for (size_t i = rig->fx.count; i-- > 0;) {
		const struct effect *effect = &rig->fx.v[i];
		if (effect->type == EFFECT_SEND && effect->to.id == event.from.id &&
		    effect->send.ref == event.acquire.ref)
			return effect->send.lease;
		if (effect->type == EFFECT_APPEND && effect->record.type == RECORD_CLAIM_PUT &&
		    effect->record.claim.ref == event.acquire.ref)
			return effect->record.claim.id;
	}
	fail_msg("the core said nothing of a claim");
	return 0;
}

void rig_accept(struct rig *rig, uint64_t conn, uint64_t lease)
{
	rig_step(rig, (struct event){.type = EVENT_ACCEPT,
				     .from = party_of(PARTY_SESSION, conn),
				     .lease = lease});
}

struct event rig_need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = rig_want(BIND_NATIVE, cls, NULL);

	event.acquire.need =
		(struct need){.slots = slots, .vram_bytes = vram_bytes, .gpu_count = 1};
	return event;
}

uint64_t rig_take(struct rig *rig, uint64_t conn, struct event event)
{
	uint64_t lease = rig_ask(rig, conn, event);

	assert_int_equal(rig_state(rig, lease), CLAIM_OFFERED);
	rig_accept(rig, conn, lease);
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	return lease;
}

uint64_t rig_hold(struct rig *rig, uint64_t conn, enum lease_class cls)
{
	return rig_take(rig, conn, rig_want(BIND_NATIVE, cls, NULL));
}

uint64_t rig_wait(struct rig *rig, uint64_t conn, enum lease_class cls)
{
	uint64_t claim = rig_ask(rig, conn, rig_want(BIND_NATIVE, cls, NULL));

	assert_int_equal(rig_state(rig, claim), CLAIM_QUEUED);
	return claim;
}

void rig_release(struct rig *rig, uint64_t conn, uint64_t lease, bool requeue)
{
	struct event event = {.type = EVENT_RELEASE, .from = party_of(PARTY_SESSION, conn)};

	event.release.lease = lease;
	event.release.requeue = requeue;
	rig_step(rig, event);
}

void rig_unlock(struct rig *rig, const struct token *token)
{
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_EXCHANGE, rig->conn_next++}};

	event.release.token = token;
	rig_step(rig, event);
}

void rig_admin(struct rig *rig, enum admin_act act, uint64_t lease)
{
	struct event event = {.type = EVENT_ADMIN, .from = {PARTY_EXCHANGE, rig->conn_next++}};

	event.admin.act = act;
	event.admin.lease = lease;
	event.admin.who = "uid 1000";
	event.admin.reason = "test";
	rig_step(rig, event);
}

void rig_sample(struct rig *rig, uint32_t gpu, uint64_t used, uint64_t session, uint64_t observed)
{
	struct observed seen = {.session = session, .vram_bytes = observed};
	struct event event = {.type = EVENT_GPU_SAMPLE};

	event.sample.gpu = gpu;
	event.sample.healthy = true;
	event.sample.used_known = true;
	event.sample.vram_bytes_used = used;
	event.sample.observed = &seen;
	event.sample.observed_count = session != 0;
	rig_step(rig, event);
}

void rig_alive(struct rig *rig, uint64_t conn)
{
	rig_step(rig, (struct event){.type = EVENT_ALIVE, .from = party_of(PARTY_SESSION, conn)});
}

const struct effect *rig_sent(const struct rig *rig, enum send_kind msg, uint64_t lease)
{
	for (size_t i = rig->fx.count; i-- > 0;) {
		const struct effect *effect = &rig->fx.v[i];
		if (effect->type == EFFECT_SEND && effect->send.msg == msg &&
		    (lease == 0 || effect->send.lease == lease))
			return effect;
	}
	return NULL;
}

int rig_error(const struct rig *rig)
{
	const struct effect *effect = rig_sent(rig, SEND_DENIED, 0);

	return effect ? effect->send.err : 0;
}

uint32_t rig_count(const struct rig *rig, enum send_kind msg)
{
	uint32_t count = 0;

	for (size_t i = 0; i < rig->fx.count; i++)
		count += rig->fx.v[i].type == EFFECT_SEND && rig->fx.v[i].send.msg == msg;
	return count;
}

const struct effect *rig_signal(const struct rig *rig, int signo)
{
	for (size_t i = 0; i < rig->fx.count; i++)
		if (rig->fx.v[i].type == EFFECT_SIGNAL && rig->fx.v[i].signal.signo == signo)
			return &rig->fx.v[i];
	return NULL;
}

enum claim_state rig_state(const struct rig *rig, uint64_t claim)
{
	struct claim_view view;

	return core_claim(rig->core, claim, rig->now, &view) ? view.rec->state : CLAIM_ENDED;
}

const struct claim_record *rig_row(const struct rig *rig, uint64_t claim)
{
	for (uint32_t i = 0; i < rig->claim_count; i++)
		if (rig->claims[i].id == claim)
			return &rig->claims[i];
	fail_msg("the journal has no such claim");
	return NULL;
}

enum end_reason rig_end(const struct rig *rig, uint64_t claim)
{
	return rig_row(rig, claim)->end;
}

enum why_code rig_why(const struct rig *rig, uint64_t claim)
{
	struct why why;

	core_why(rig->core, claim, rig->now, &why);
	return why.code;
}

int rig_setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig);
	rig_start(rig);
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	rig_finish(*state);
	free(*state);
	return 0;
}

/* fixture: the driver around the core that the unit tests share. It keeps what the core appends, so
 * a restart can give it back. */
#include "fixture.h"

#include <stdlib.h>

#include "core/binding.h"

void fixture_init(struct fixture *fixture)
{
	memset(fixture, 0, sizeof(*fixture));
	core_config_defaults(&fixture->config);
	fixture->config.vram_headroom_bytes = 0;
	fixture->config.queue_per_principal_max = fixture->config.held_per_principal_max =
		UINT32_MAX;
	effects_init(&fixture->fx);
	fixture->now = (struct mono_ms){1000000};
	fixture->conn_next = fixture->ref_next = fixture->random_next = 1;
}

void fixture_gpus(struct fixture *fixture, uint32_t count, uint32_t slots, uint64_t vram_bytes)
{
	fixture->config.gpu_count = count;
	for (uint32_t gpu = 0; gpu < count; gpu++)
		fixture->config.gpus[gpu] = (struct gpu_config){
			.slots = slots,
			.vram_bytes_total = vram_bytes,
			.vram_known = vram_bytes > 0,
		};
}

static void keep_claim(struct fixture *fixture, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	uint32_t at = 0;

	while (at < fixture->claim_count && fixture->claims[at].id != rec->id)
		at++;
	assert_in_range(at, 0, RIG_ROWS - 1);
	if (at == fixture->claim_count)
		fixture->claim_count++;
	fixture->claims[at] = *rec;
	fixture->details[at] = record->detail;
	if (rec->id > fixture->claim_id_max)
		fixture->claim_id_max = rec->id;
	if (rec->fence > 0)
		assert_in_range(rec->fence, 1, fixture->fence_max);
}

static void keep_session(struct fixture *fixture, const struct session_record *rec, bool ended)
{
	uint32_t at = 0;

	while (at < fixture->session_count && fixture->sessions[at].id != rec->id)
		at++;
	if (ended) {
		if (at < fixture->session_count)
			fixture->sessions[at] = fixture->sessions[--fixture->session_count];
		return;
	}
	assert_in_range(at, 0, RIG_ROWS - 1);
	if (at == fixture->session_count)
		fixture->session_count++;
	fixture->sessions[at] = *rec;
	if (rec->id > fixture->session_id_max)
		fixture->session_id_max = rec->id;
}

/* Appends come before all that is sent in the same step, and the fence block before its use. */
static void keep(struct fixture *fixture, size_t from)
{
	bool sent = false;

	for (size_t i = from; i < fixture->fx.count; i++) {
		const struct record *record = &fixture->fx.v[i].record;
		sent |= fixture->fx.v[i].type != EFFECT_APPEND;
		if (fixture->fx.v[i].type != EFFECT_APPEND)
			continue;
		assert_false(sent);
		if (record->type == RECORD_CLAIM_PUT || record->type == RECORD_CLAIM_END)
			keep_claim(fixture, record);
		else if (record->type == RECORD_SESSION_PUT)
			keep_session(fixture, &record->session, false);
		else if (record->type == RECORD_SESSION_END)
			keep_session(fixture, &record->session, true);
		else if (record->type == RECORD_FENCE)
			fixture->fence_max = record->fence_max;
		else if (record->type == RECORD_PAUSED)
			fixture->paused = record->admin.paused;
	}
}

static void step(struct fixture *fixture, struct event event)
{
	size_t from = fixture->fx.count;
	uint64_t random = fixture->random_next++;

	event.now = fixture->now;
	memcpy(event.random.b, &random, sizeof(random));
	event.random.b[15] = 0xb5;
	core_step(fixture->core, &event, &fixture->fx);
	if (fixture->unchecked)
		return;
	keep(fixture, from);
	core_check(fixture->core, fixture->now);
}

void fixture_step(struct fixture *fixture, struct event event)
{
	effects_clear(&fixture->fx);
	step(fixture, event);
}

void fixture_configure(struct fixture *fixture)
{
	fixture_step(fixture, (struct event){.type = EVENT_CONFIG, .config = &fixture->config});
}

static void begin(struct fixture *fixture, bool same_boot)
{
	struct event start = {.type = EVENT_START};

	start.start.epoch = ++fixture->epoch;
	start.start.fence_max = fixture->fence_max;
	start.start.claim_id_max = fixture->claim_id_max;
	start.start.session_id_max = fixture->session_id_max;
	start.start.same_boot = same_boot;
	start.start.in_doubt_ms = fixture->in_doubt_ms;
	fixture_step(fixture, start);
}

void fixture_start(struct fixture *fixture)
{
	fixture->core = core_create();
	fixture_configure(fixture);
	begin(fixture, true);
}

static void restore(struct fixture *fixture, struct record record)
{
	fixture_step(fixture, (struct event){.type = EVENT_RESTORE, .record = &record});
}

void fixture_restart(struct fixture *fixture, bool same_boot)
{
	uint32_t claims = fixture->claim_count, sessions = fixture->session_count;

	core_destroy(fixture->core);
	fixture->core = core_create();
	fixture_configure(fixture);
	for (uint32_t i = 0; i < claims; i++)
		if (fixture->claims[i].state != CLAIM_ENDED)
			restore(fixture, (struct record){.type = RECORD_CLAIM_PUT,
							 .claim = fixture->claims[i],
							 .detail = fixture->details[i]});
	for (uint32_t i = 0; i < sessions; i++)
		restore(fixture, (struct record){.type = RECORD_SESSION_PUT,
						 .session = fixture->sessions[i]});
	restore(fixture, (struct record){.type = RECORD_PAUSED, .admin.paused = fixture->paused});
	begin(fixture, same_boot);
}

void fixture_finish(struct fixture *fixture)
{
	core_destroy(fixture->core);
	effects_finish(&fixture->fx);
}

void fixture_pass(struct fixture *fixture, int64_t ms)
{
	struct mono_ms end = mono_after(fixture->now, ms);
	struct mono_ms wake = fixture->fx.next_wake;
	int rounds = 0;

	effects_clear(&fixture->fx);
	while (mono_before(wake, end)) {
		fixture->now = mono_max(fixture->now, wake);
		step(fixture, (struct event){.type = EVENT_TICK});
		wake = fixture->fx.next_wake;
		/* A core that wants to be woken for nothing would never let time pass. */
		assert_in_range(++rounds, 1, 100000);
	}
	fixture->now = end;
	step(fixture, (struct event){.type = EVENT_TICK});
}

uint64_t fixture_session(struct fixture *fixture, enum binding binding, const char *name)
{
	uint64_t conn = fixture->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = party_of(PARTY_SESSION, conn)};

	event.session.binding = binding;
	event.session.browser = binding == BIND_TAB;
	event.session.name = name;
	event.session.principal = fixture->principal;
	event.session.pid = 100 + (int64_t)conn;
	fixture_step(fixture, event);
	assert_non_null(fixture_sent(fixture, SEND_WELCOME, 0));
	return conn;
}

uint64_t fixture_resume(struct fixture *fixture, enum binding binding, uint64_t session)
{
	uint64_t conn = fixture->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = party_of(PARTY_SESSION, conn)};

	event.session.binding = binding;
	event.session.pid = 100 + (int64_t)conn;
	event.session.name = "resumed";
	for (uint32_t i = 0; i < fixture->session_count; i++)
		if (fixture->sessions[i].id == session)
			event.session.resume = &fixture->sessions[i].secret;
	assert_non_null(event.session.resume);
	fixture_step(fixture, event);
	return conn;
}

uint64_t fixture_session_id(const struct fixture *fixture, uint64_t conn)
{
	const struct session_record *rec = NULL;
	struct mono_ms seen;
	uint64_t at = 0;

	for (uint64_t its_conn; core_session_after(fixture->core, at, &rec, &its_conn, &seen);
	     at = rec->id)
		if (its_conn == conn)
			return rec->id;
	return 0;
}

void fixture_close(struct fixture *fixture, uint64_t conn)
{
	fixture_step(fixture, (struct event){.type = EVENT_CONN_CLOSED,
					     .from = party_of(PARTY_SESSION, conn)});
}

struct event fixture_want(enum binding binding, enum lease_class cls, const char *name)
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

uint64_t fixture_ask(struct fixture *fixture, uint64_t conn, struct event event)
{
	const struct effect *denied;

	event.from = (struct party){binding_of(event.acquire.binding)->party,
				    conn ? conn : fixture->conn_next++};
	if (!event.acquire.principal)
		event.acquire.principal = fixture->principal;
	if (event.acquire.ref == 0)
		event.acquire.ref = fixture->ref_next++;
	fixture_step(fixture, event);
	denied = fixture_sent(fixture, SEND_DENIED, 0);
	if (denied && denied->to.id == event.from.id)
		return 0;
	/* A plain request is told nothing while it waits: its row has the number. */
	for (size_t i = fixture->fx.count; i-- > 0;) {
		const struct effect *effect = &fixture->fx.v[i];
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

void fixture_accept(struct fixture *fixture, uint64_t conn, uint64_t lease)
{
	fixture_step(fixture, (struct event){.type = EVENT_ACCEPT,
					     .from = party_of(PARTY_SESSION, conn),
					     .lease = lease});
}

struct event fixture_need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = fixture_want(BIND_NATIVE, cls, NULL);

	event.acquire.need =
		(struct need){.slots = slots, .vram_bytes = vram_bytes, .gpu_count = 1};
	return event;
}

uint64_t fixture_take(struct fixture *fixture, uint64_t conn, struct event event)
{
	uint64_t lease = fixture_ask(fixture, conn, event);

	assert_int_equal(fixture_state(fixture, lease), CLAIM_OFFERED);
	fixture_accept(fixture, conn, lease);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	return lease;
}

uint64_t fixture_hold(struct fixture *fixture, uint64_t conn, enum lease_class cls)
{
	return fixture_take(fixture, conn, fixture_want(BIND_NATIVE, cls, NULL));
}

uint64_t fixture_wait(struct fixture *fixture, uint64_t conn, enum lease_class cls)
{
	uint64_t claim = fixture_ask(fixture, conn, fixture_want(BIND_NATIVE, cls, NULL));

	assert_int_equal(fixture_state(fixture, claim), CLAIM_QUEUED);
	return claim;
}

void fixture_release(struct fixture *fixture, uint64_t conn, uint64_t lease, bool requeue)
{
	struct event event = {.type = EVENT_RELEASE, .from = party_of(PARTY_SESSION, conn)};

	event.release.lease = lease;
	event.release.requeue = requeue;
	fixture_step(fixture, event);
}

void fixture_unlock(struct fixture *fixture, const struct token *token)
{
	struct event event = {.type = EVENT_RELEASE,
			      .from = {PARTY_EXCHANGE, fixture->conn_next++}};

	event.release.token = token;
	fixture_step(fixture, event);
}

void fixture_admin(struct fixture *fixture, enum admin_act act, uint64_t lease)
{
	struct event event = {.type = EVENT_ADMIN, .from = {PARTY_EXCHANGE, fixture->conn_next++}};

	event.admin.act = act;
	event.admin.lease = lease;
	event.admin.who = "uid 1000";
	event.admin.reason = "test";
	fixture_step(fixture, event);
}

void fixture_sample(struct fixture *fixture, uint32_t gpu, uint64_t used, uint64_t session,
		    uint64_t observed)
{
	struct observed seen = {.session = session, .vram_bytes = observed};
	struct event event = {.type = EVENT_GPU_SAMPLE};

	event.sample.gpu = gpu;
	event.sample.healthy = true;
	event.sample.used_known = true;
	event.sample.vram_bytes_used = used;
	event.sample.observed = &seen;
	event.sample.observed_count = session != 0;
	fixture_step(fixture, event);
}

void fixture_alive(struct fixture *fixture, uint64_t conn)
{
	fixture_step(fixture,
		     (struct event){.type = EVENT_ALIVE, .from = party_of(PARTY_SESSION, conn)});
}

const struct effect *fixture_sent(const struct fixture *fixture, enum send_kind msg, uint64_t lease)
{
	for (size_t i = fixture->fx.count; i-- > 0;) {
		const struct effect *effect = &fixture->fx.v[i];
		if (effect->type == EFFECT_SEND && effect->send.msg == msg &&
		    (lease == 0 || effect->send.lease == lease))
			return effect;
	}
	return NULL;
}

int fixture_error(const struct fixture *fixture)
{
	const struct effect *effect = fixture_sent(fixture, SEND_DENIED, 0);

	return effect ? effect->send.err : 0;
}

uint32_t fixture_count(const struct fixture *fixture, enum send_kind msg)
{
	uint32_t count = 0;

	for (size_t i = 0; i < fixture->fx.count; i++)
		count += fixture->fx.v[i].type == EFFECT_SEND && fixture->fx.v[i].send.msg == msg;
	return count;
}

const struct effect *fixture_signal(const struct fixture *fixture, int signo)
{
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_SIGNAL &&
		    fixture->fx.v[i].signal.signo == signo)
			return &fixture->fx.v[i];
	return NULL;
}

enum claim_state fixture_state(const struct fixture *fixture, uint64_t claim)
{
	struct claim_view view;

	return core_claim(fixture->core, claim, fixture->now, &view) ? view.rec->state
								     : CLAIM_ENDED;
}

const struct claim_record *fixture_row(const struct fixture *fixture, uint64_t claim)
{
	for (uint32_t i = 0; i < fixture->claim_count; i++)
		if (fixture->claims[i].id == claim)
			return &fixture->claims[i];
	fail_msg("the journal has no such claim");
	return NULL;
}

enum end_reason fixture_end(const struct fixture *fixture, uint64_t claim)
{
	return fixture_row(fixture, claim)->end;
}

enum why_code fixture_why(const struct fixture *fixture, uint64_t claim)
{
	struct why why;

	core_why(fixture->core, claim, fixture->now, &why);
	return why.code;
}

int fixture_setup(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));

	assert_non_null(fixture);
	fixture_init(fixture);
	fixture_start(fixture);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

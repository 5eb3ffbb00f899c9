/* session_decode: what a session's client says, as events. Judges form and range; who may say it is
 * the server's to judge, what it means the core's. Called by the server for each text message. The
 * other direction is in session_encode.c. */
#include "wire/session_decode.h"

#include <string.h>

#include "base/err.h"
#include "json/json_reader.h"
#include "wire/encode_common.h"
#include "wire/http_decode.h"

enum {
	MIB = 1024 * 1024,
	VRAM_MB_MAX = 16 * 1024 * 1024,
	SLOTS_MAX = 1024,
	NEED_MS_MAX = 3600 * 1000,
	TOKEN_TEXT_BYTES_MAX = 256,
	STATUS_ROWS = 200,
	LOG_ROWS = 100,
	EVENT_ROWS = 500,
};

/* What JavaScript can count to exactly. */
static const uint64_t number_max = (UINT64_C(1) << 53) - 1;

static int required_number(struct session_request *m, const char *field, uint64_t *ret_number)
{
	bool given = false;
	int err = json_u64(&m->parsed, m->parsed.root, field, 1, number_max, ret_number, &given);
	if (err < 0)
		return err;
	return given ? 0 : json_missing(&m->parsed, field);
}

static int resume_field(struct session_request *m)
{
	bool given = false;
	int err = json_session(&m->parsed, m->parsed.root, "resume", &given);
	if (given)
		m->event.session.resume = &m->parsed.token;
	return err;
}

static int parse_hello(struct session_request *m)
{
	uint64_t version = PROTOCOL_VERSION;
	const char *id = NULL;

	m->kind = REQUEST_HELLO;
	m->event.type = EVENT_SESSION_OPEN;
	int err = json_u64(&m->parsed, m->parsed.root, "version", 0, number_max, &version, NULL);
	if (err < 0)
		return err;

	if (version != PROTOCOL_VERSION) {
		json_refuse(&m->parsed, "version", "this broker speaks version 1");
		return -ERR_VERSION;
	}

	err = json_name(&m->parsed, m->parsed.root, "id", LIMIT_ID_BYTES, &id);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "token", TOKEN_TEXT_BYTES_MAX,
				&m->token);
	if (err == 0)
		err = resume_field(m);
	if (err < 0)
		return err;

	if (!id)
		return json_missing(&m->parsed, "id");
	m->event.session.name = id;
	return 0;
}

static int parse_acquire(struct session_request *m, const struct wire_context *ctx,
			 const char *name)
{
	int err = required_number(m, "ref", &m->ref);
	if (err == 0)
		err = decode_acquire(m->parsed.root, ctx, name, BIND_TAB, &m->parsed, &m->event);
	if (err < 0)
		return err;
	m->event.acquire.ref = m->ref;
	m->event.acquire.ttl_ms = 0;
	return json_bool(&m->parsed, m->parsed.root, "accept", &m->event.acquire.accept);
}

static int parse_accept(struct session_request *m)
{
	m->event.type = EVENT_ACCEPT;
	return required_number(m, "lease", &m->event.lease);
}

static int parse_cancel(struct session_request *m)
{
	m->event.type = EVENT_CANCEL;
	int err = required_number(m, "ref", &m->ref);
	if (err == 0)
		err = json_bool(&m->parsed, m->parsed.root, "keep", &m->event.cancel.keep);
	m->event.cancel.ref = m->ref;
	return err;
}

static int parse_release(struct session_request *m)
{
	m->event.type = EVENT_RELEASE;
	int err = required_number(m, "lease", &m->event.release.lease);
	if (err == 0)
		err = json_bool(&m->parsed, m->parsed.root, "requeue", &m->event.release.requeue);
	if (err == 0)
		err = json_bool(&m->parsed, m->parsed.root, "moved", &m->event.release.moved);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "detail", LIMIT_REASON_BYTES,
				&m->event.release.detail);
	return err;
}

static int parse_yielding(struct session_request *m)
{
	uint64_t need_ms = 0;
	bool given = false;
	m->event.type = EVENT_YIELDING;
	int err = required_number(m, "lease", &m->event.renew.lease);
	if (err == 0)
		err = json_u64(&m->parsed, m->parsed.root, "need_ms", 0, NEED_MS_MAX, &need_ms,
			       &given);
	if (err < 0)
		return err;
	m->event.renew.ttl_ms = (int64_t)need_ms;
	return given ? 0 : json_missing(&m->parsed, "need_ms");
}

static int parse_ready(struct session_request *m)
{
	m->event.type = EVENT_READY;
	return required_number(m, "lease", &m->event.renew.lease);
}

static int parse_renew(struct session_request *m)
{
	m->event.type = EVENT_RENEW;
	return required_number(m, "lease", &m->event.renew.lease);
}

/* Both parts are asked for: a field left out by mistake must not free what is in use. */
static int parse_change(struct session_request *m)
{
	uint64_t slots = 0, vram_mb = 0;
	bool slots_given = false, vram_given = false;

	m->event.type = EVENT_CHANGE;
	int err = required_number(m, "lease", &m->event.change.lease);
	if (err == 0)
		err = json_u64(&m->parsed, m->parsed.root, "slots", 0, SLOTS_MAX, &slots,
			       &slots_given);
	if (err == 0)
		err = json_u64(&m->parsed, m->parsed.root, "vram_mb", 0, VRAM_MB_MAX, &vram_mb,
			       &vram_given);

	if (err < 0)
		return err;
	if (!slots_given)
		return json_missing(&m->parsed, "slots");

	if (!vram_given)
		return json_missing(&m->parsed, "vram_mb");
	m->event.change.need.slots = (uint32_t)slots;
	m->event.change.need.vram_bytes = vram_mb * MIB;
	return 0;
}

static int parse_lend(struct session_request *m)
{
	m->event.type = EVENT_LEND;
	int err = required_number(m, "lease", &m->event.lend.lease);
	return err < 0 ? err : required_number(m, "to", &m->event.lend.to);
}

static int parse_status(struct session_request *m)
{
	m->kind = REQUEST_STATUS;
	m->limit = STATUS_ROWS;
	return json_u64(&m->parsed, m->parsed.root, "limit", 0, STATUS_ROWS_MAX, &m->limit, NULL);
}

static int parse_subscribe(struct session_request *m)
{
	m->kind = REQUEST_SUBSCRIBE;
	int err = json_bool(&m->parsed, m->parsed.root, "events", &m->events);
	return err < 0 ? err : json_bool(&m->parsed, m->parsed.root, "logs", &m->logs);
}

static int parse_logs(struct session_request *m)
{
	m->kind = REQUEST_LOGS;
	m->limit = LOG_ROWS;
	int err =
		json_u64(&m->parsed, m->parsed.root, "limit", 0, LIMIT_LOG_LINES, &m->limit, NULL);
	if (err < 0)
		return err;
	return json_u64(&m->parsed, m->parsed.root, "since", 0, number_max, &m->since, NULL);
}

static int parse_events(struct session_request *m)
{
	m->kind = REQUEST_EVENTS;
	m->limit = EVENT_ROWS;
	int err = json_u64(&m->parsed, m->parsed.root, "limit", 0, EVENT_ROWS_MAX, &m->limit, NULL);
	if (err < 0)
		return err;
	return json_u64(&m->parsed, m->parsed.root, "since", 0, number_max, &m->since, NULL);
}

static int parse_about(struct session_request *m)
{
	m->kind = REQUEST_ABOUT;
	return client_info_decode(&m->parsed, &m->about);
}

/* The names of admin acts on the wire, also those of the HTTP routes. */
static const char *const act_names[] = {
	[ADMIN_YIELD] = "yield",
	[ADMIN_REVOKE] = "revoke",
	[ADMIN_CANCEL] = "cancel",
	[ADMIN_PAUSE] = "pause",
	[ADMIN_RESUME] = "resume",
	[ADMIN_RESET] = "reset",
	[ADMIN_FORCE_RELEASE_ALL] = "force-release-all",
};

const char *admin_act_name(enum admin_act act)
{
	return act_names[act];
}

static int pids_field(struct session_request *m)
{
	const struct json *pids = json_get(m->parsed.root, "pids");
	if (!pids || json_is(pids, JSON_KIND_NULL))
		return 0;

	size_t count = json_count(pids);
	if (!json_is(pids, JSON_KIND_ARRAY) || count > LIMIT_PROCESSES)
		return json_refuse(&m->parsed, "pids", "expected at most 16 process ids");

	for (size_t i = 0; i < count; i++) {
		const struct json *pid = json_at(pids, i);
		int64_t number = json_is(pid, JSON_KIND_INTEGER) ? json_whole(pid) : 0;
		if (number <= 0 || number > INT32_MAX)
			return json_refuse(&m->parsed, "pids", "expected at most 16 process ids");
		m->named.v[i].pid = number;
	}

	m->named.count = (uint32_t)count;
	return 0;
}

static int keeper_field(struct session_request *m)
{
	uint64_t keeper = 0;
	bool given = false, named = false;
	int err = json_u64(&m->parsed, m->parsed.root, "keeper", 1, INT32_MAX, &keeper, &given);
	if (err < 0 || !given)
		return err;
	for (uint32_t i = 0; i < m->named.count; i++)
		named |= m->named.v[i].pid == (int64_t)keeper;
	m->named.keeper = (int64_t)keeper;
	return named ? 0 : json_refuse(&m->parsed, "keeper", "expected one of `pids`");
}

/* What is not named any more is left out, so an empty message takes all back. */
static int parse_processes(struct session_request *m)
{
	const char *cgroup = NULL;

	m->named = (struct named_processes){0};
	m->event.type = EVENT_PROCESSES;
	m->event.processes = &m->named;
	int err = pids_field(m);
	if (err == 0)
		err = keeper_field(m);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "cgroup", LIMIT_CGROUP_BYTES, &cgroup);
	if (err < 0)
		return err;

	if (cgroup && cgroup[0] != '/')
		return json_refuse(&m->parsed, "cgroup", "expected an absolute path");
	if (cgroup)
		memcpy(m->named.cgroup, cgroup, strlen(cgroup) + 1);
	return 0;
}

static int parse_admin(struct session_request *m, const char *name)
{
	const char *act = NULL;
	size_t i = 0;

	m->kind = REQUEST_ADMIN;
	int err = json_name(&m->parsed, m->parsed.root, "act", LIMIT_LABEL_BYTES, &act);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "reason", LIMIT_REASON_BYTES,
				&m->event.admin.reason);

	if (err < 0)
		return err;
	if (!act)
		return json_missing(&m->parsed, "act");

	while (i < sizeof(act_names) / sizeof(act_names[0]) && strcmp(act_names[i], act) != 0)
		i++;
	if (i == sizeof(act_names) / sizeof(act_names[0]))
		return json_refuse(&m->parsed, "act",
				   "expected \"yield\", \"revoke\", \"cancel\", \"pause\", "
				   "\"resume\", \"reset\" or \"force-release-all\"");

	m->event.type = EVENT_ADMIN;
	m->event.admin.act = (enum admin_act)i;
	m->event.admin.who = name;
	bool one_lease = i == ADMIN_YIELD || i == ADMIN_REVOKE || i == ADMIN_CANCEL;
	return one_lease ? required_number(m, "lease", &m->event.admin.lease) : 0;
}

static bool is_word(const char *type, const char *word)
{
	return type[0] == word[0] && strcmp(type, word) == 0;
}

static int parse_plain(struct session_request *m, const char *type)
{
	static const struct {
		const char *type;
		enum session_request_kind kind;
		enum event_type event;
	} rows[] = {
		{"alive", REQUEST_EVENT, EVENT_ALIVE},
		{"bye", REQUEST_EVENT, EVENT_BYE},
		{"open", REQUEST_OPEN, EVENT_ALIVE},
		{"reload", REQUEST_RELOAD, EVENT_ALIVE},
		{"clients", REQUEST_CLIENTS, EVENT_ALIVE},
		{"samples", REQUEST_SAMPLES, EVENT_ALIVE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (is_word(type, rows[i].type)) {
			m->kind = rows[i].kind;
			m->event.type = rows[i].event;
			return 0;
		}
	}

	json_refuse(&m->parsed, "type", "no such message");
	return -ERR_PROTOCOL;
}

static int parse_by_type(struct session_request *m, const char *type,
			 const struct wire_context *ctx, const char *name)
{
	static const struct {
		const char *type;
		int (*parse)(struct session_request *m);
	} rows[] = {
		{"accept", parse_accept},       {"cancel", parse_cancel},
		{"release", parse_release},     {"yielding", parse_yielding},
		{"renew", parse_renew},         {"change", parse_change},
		{"lend", parse_lend},           {"status", parse_status},
		{"subscribe", parse_subscribe}, {"logs", parse_logs},
		{"events", parse_events},       {"about", parse_about},
		{"processes", parse_processes}, {"ready", parse_ready},
	};

	if (is_word(type, "acquire"))
		return parse_acquire(m, ctx, name);
	if (is_word(type, "admin"))
		return parse_admin(m, name);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_word(type, rows[i].type))
			return rows[i].parse(m);

	return parse_plain(m, type);
}

/* The large parts are cleared by whoever fills them: a message for each step of a lease is read
 * here. */
static void begin_request(struct session_request *m)
{
	m->kind = REQUEST_EVENT;
	memset(&m->event, 0, sizeof(m->event));
	m->event.type = EVENT_ALIVE;
	m->ref = m->limit = m->since = 0;
	m->token = NULL;
	m->events = m->logs = false;
}

int session_decode(const char *text, size_t length, const struct wire_context *ctx,
		   const char *name, struct session_request *ret_message)
{
	struct session_request *m = ret_message;
	const char *type = NULL;

	begin_request(m);
	int err = json_parse(text, length, LIMIT_FRAME_BYTES, &m->parsed);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "type", LIMIT_LABEL_BYTES, &type);
	if (err < 0)
		return err;

	if (!type)
		return json_missing(&m->parsed, "type");
	bool hello = is_word(type, "hello");
	if (hello && !name)
		return parse_hello(m);

	if (hello || !name) {
		json_refuse(&m->parsed, "type", hello ? "hello was said already" : "hello first");
		return -ERR_PROTOCOL;
	}

	return parse_by_type(m, type, ctx, name);
}

void session_request_finish(struct session_request *message)
{
	parsed_finish(&message->parsed);
}

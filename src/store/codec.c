/* codec: a record as bytes and back. On disk: version, type, payload length (2 bytes), payload,
 * CRC-32 of the preceding bytes; all numbers little-endian. Sessions and claims are written by the
 * tables of core/record.c, a claim's times relative to when it was written; so a new field needs no
 * new version, and an older broker skips it. Older layouts are read by a walk that serves both
 * directions. Each record has exactly one encoding in its newest version: decoding and encoding
 * again gives the same bytes, except for unknown fields. Does no I/O and allocates nothing. */
#include "store/codec.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"
#include "base/fields.h"
#include "core/record.h"
#include "store/crc32.h"

enum {
	HEADER_BYTES = 4,
	CRC_BYTES = 4,
};

static_assert(LIMIT_ID_BYTES <= UINT8_MAX, "a string's length is one byte");
static_assert(LIMIT_CGROUP_BYTES <= UINT8_MAX, "a string's length is one byte");
/* These numbers are on people's disks: a new value goes to the end, a new field to the end of a new
 * version of its record. */
static_assert(RECORD_SESSION_PUT == 0 && RECORD_AUDIT == 6, "record types are on disk");
static_assert(CLAIM_QUEUED == 0 && CLAIM_ENDED == 4 && CLAIM_LOADING == 6,
	      "claim states are on disk");
static_assert(END_NONE == 0 && END_FORCE_RELEASED == 8, "end reasons are on disk");
static_assert(LEASE_VOICE == 0 && LEASE_BACKGROUND == 3, "classes are on disk");
static_assert(YIELD_PREEMPTED == 0 && YIELD_EXPIRED == 5 && YIELD_LOAD_MAX == 7,
	      "reasons to yield are on disk");
static_assert(BIND_NATIVE == 0 && BIND_HTTP == 3 && BIND_REMOTE == 5, "bindings are on disk");

/* The layout that is written; older ones are read. 2: what a session names beside its process, and
 * what of a claim's turn and wait a restart must not forget. 3: by tables. */
static const uint8_t newest[] = {
	[RECORD_SESSION_PUT] = 3, [RECORD_SESSION_END] = 1, [RECORD_CLAIM_PUT] = 3,
	[RECORD_CLAIM_END] = 3,   [RECORD_FENCE] = 1,       [RECORD_PAUSED] = 1,
	[RECORD_AUDIT] = 1,
};
enum { BY_TABLES = 3 };

/* One pass over a record's bytes: writing copies fields out, reading replaces them. */
struct walk {
	bool writing;
	uint8_t *write;
	const uint8_t *read;
	size_t at, size;
	unsigned version;
	bool bad;
};

/* Inlined, so that the walk stays in registers and a number of constant width is one instruction: a
 * turn writes dozens of them. */
#define WALK static inline __attribute__((always_inline))

WALK uint64_t walk_number(struct walk *w, uint64_t value, size_t width)
{
	if (w->bad || w->size - w->at < width) {
		w->bad = true;
		return 0;
	}

	size_t at = w->at;
	uint64_t little;
	w->at += width;
	if (w->writing) {
		little = htole64(value);
		memcpy(w->write + at, &little, width);
		return value;
	}

	little = 0;
	memcpy(&little, w->read + at, width);
	return le64toh(little);
}

WALK void walk_u64(struct walk *w, uint64_t *field)
{
	*field = walk_number(w, *field, 8);
}

WALK void walk_i64(struct walk *w, int64_t *field)
{
	*field = (int64_t)walk_number(w, (uint64_t)*field, 8);
}

WALK void walk_u32(struct walk *w, uint32_t *field)
{
	*field = (uint32_t)walk_number(w, *field, 4);
}

/* A value below `count`, in one byte. */
WALK unsigned walk_choice(struct walk *w, unsigned value, unsigned count)
{
	unsigned got = (unsigned)walk_number(w, value, 1);
	if (got >= count)
		w->bad = true;
	return w->bad ? 0 : got;
}

WALK void walk_bool(struct walk *w, bool *field)
{
	*field = walk_choice(w, *field, 2) == 1;
}

/* Ids count from 1 and must fit SQLite's signed integers. */
WALK void walk_id(struct walk *w, uint64_t *field)
{
	walk_u64(w, field);
	if (*field == 0 || *field > INT64_MAX)
		w->bad = true;
}

WALK void walk_token(struct walk *w, struct token *token)
{
	if (w->bad || w->size - w->at < sizeof(token->b)) {
		w->bad = true;
		return;
	}

	if (w->writing)
		memcpy(w->write + w->at, token->b, sizeof(token->b));
	else
		memcpy(token->b, w->read + w->at, sizeof(token->b));
	w->at += sizeof(token->b);
}

/* `size` is the size of the field, including its NUL. */
static void walk_text(struct walk *w, char *text, size_t size)
{
	size_t length = w->writing ? strnlen(text, size) : 0;

	length = (size_t)walk_number(w, length, 1);
	if (w->bad || length >= size || w->size - w->at < length) {
		w->bad = true;
		return;
	}

	if (w->writing) {
		memcpy(w->write + w->at, text, length);
	} else {
		memcpy(text, w->read + w->at, length);
		text[length] = '\0';
		if (memchr(text, '\0', length))
			w->bad = true;
	}
	w->at += length;
}

static void walk_named(struct walk *w, struct named_processes *named)
{
	named->count = walk_choice(w, named->count, LIMIT_PROCESSES + 1);
	for (uint32_t i = 0; i < named->count; i++) {
		walk_i64(w, &named->v[i].pid);
		walk_u64(w, &named->v[i].pid_start);
	}
	walk_i64(w, &named->keeper);
	walk_text(w, named->cgroup, sizeof(named->cgroup));
}

static void walk_session(struct walk *w, struct session_record *s)
{
	walk_id(w, &s->id);
	walk_token(w, &s->secret);
	s->binding = (enum binding)walk_choice(w, s->binding, BIND_TAB + 1);
	walk_i64(w, &s->pid);
	walk_u64(w, &s->pid_start);
	walk_i64(w, &s->uid);
	walk_text(w, s->name, sizeof(s->name));
	if (w->version >= 2)
		walk_named(w, &s->named);
}

/* Version 1 stored neither: the wait keeps its original length, the turn began with the hold. */
static void claim_of_version_1(struct claim_record *c)
{
	c->timeout_ms = -1;
	if (c->wait_deadline.v != INT64_MAX) {
		int64_t wait_ms = mono_since(c->wait_deadline, c->arrival);
		c->timeout_ms = wait_ms > 1 ? wait_ms : 1;
	}
	c->turn_since = c->held_since;
}

WALK void walk_claim(struct walk *w, struct claim_record *c)
{
	walk_id(w, &c->id);
	walk_u64(w, &c->session);
	walk_u64(w, &c->ref);
	walk_u64(w, &c->fence);
	walk_u64(w, &c->parent);
	walk_u64(w, &c->lender);
	walk_token(w, &c->token);
	c->state = (enum claim_state)walk_choice(w, c->state, CLAIM_STATE_COUNT);
	c->end = (enum end_reason)walk_choice(w, c->end, END_REASON_COUNT);
	c->cls = (enum lease_class)walk_choice(w, c->cls, LEASE_CLASS_COUNT);
	c->binding = (enum binding)walk_choice(w, c->binding, BINDING_COUNT);
	walk_bool(w, &c->browser);
	walk_bool(w, &c->preemptible);
	walk_bool(w, &c->evictable);
	walk_bool(w, &c->revoked);
	walk_u64(w, &c->need.vram_bytes);
	walk_u32(w, &c->need.slots);
	walk_u32(w, &c->need.gpu_count);
	walk_u32(w, &c->need.gpu_mask);
	walk_u32(w, &c->granted_mask);
	walk_i64(w, &c->ttl_ms);
	walk_i64(w, &c->uninterruptible_ms);
	walk_i64(w, &c->min_residence_ms);
	walk_i64(w, &c->load_ms);
	walk_i64(w, &c->used_ms);
	walk_i64(w, &c->arrival.v);
	walk_i64(w, &c->wait_deadline.v);
	walk_i64(w, &c->ttl_deadline.v);
	walk_i64(w, &c->held_since.v);
	walk_i64(w, &c->arrival_wall.v);
	walk_i64(w, &c->held_wall.v);
	walk_i64(w, &c->ended_wall.v);
	walk_text(w, c->name, sizeof(c->name));
	walk_text(w, c->request_id, sizeof(c->request_id));
	walk_text(w, c->label, sizeof(c->label));
	c->tag = c->arrival;
	c->due_since = c->held_since;
	if (w->version < 2) {
		claim_of_version_1(c);
		return;
	}

	walk_i64(w, &c->timeout_ms);
	walk_i64(w, &c->turn_since.v);
	c->yield_reason = (enum yield_reason)walk_choice(w, c->yield_reason, YIELD_REASON_COUNT);
}

/* By field tables: a claim's times are relative to when it was written. */
static uint8_t *write_by_table(const struct record *r, uint8_t *at)
{
	const struct fields_how how = {.base = 0};
	uint64_t little = htole64((uint64_t)r->claim.written.v);

	if (r->type == RECORD_SESSION_PUT)
		return fields_write(&session_record_fields, &r->session, &how, at);
	memcpy(at, &little, sizeof(little));
	at = claim_record_write(&r->claim, r->claim.written.v, at + sizeof(little));
	return r->detail.text[0] ? fields_write(&claim_detail_fields, &r->detail, &how, at) : at;
}

static void read_by_table(struct walk *w, struct record *r)
{
	struct fields_how how = {.base = 0};
	uint64_t id;

	if (r->type == RECORD_SESSION_PUT) {
		w->bad |= !fields_read(&session_record_fields, &r->session, &how, w->read + w->at,
				       w->size - w->at);
		id = r->session.id;
		w->bad |= r->session.binding == BIND_STREAM || r->session.binding == BIND_HTTP ||
			  r->session.binding == BIND_PROXIED;
	} else {
		walk_i64(w, &r->claim.written.v);
		how.base = r->claim.written.v;
		w->bad |= !fields_read(&claim_record_fields, &r->claim, &how, w->read + w->at,
				       w->size - w->at);
		w->bad |= !fields_read(&claim_detail_fields, &r->detail, &how, w->read + w->at,
				       w->size - w->at);
		id = r->claim.id;
	}

	w->bad |= id == 0 || id > INT64_MAX;
	w->at = w->size;
}

WALK void walk_payload(struct walk *w, struct record *r)
{
	switch (r->type) {
	case RECORD_SESSION_PUT:
		walk_session(w, &r->session);
		break;
	case RECORD_SESSION_END:
		walk_id(w, &r->session.id);
		break;
	case RECORD_CLAIM_PUT:
	case RECORD_CLAIM_END:
		walk_claim(w, &r->claim);
		break;
	case RECORD_FENCE:
		walk_u64(w, &r->fence_max);
		w->bad |= r->fence_max > INT64_MAX;
		break;
	case RECORD_PAUSED:
	case RECORD_AUDIT:
		walk_bool(w, &r->admin.paused);
		walk_i64(w, &r->admin.wall.v);
		walk_u64(w, &r->admin.lease);
		walk_text(w, r->admin.who, sizeof(r->admin.who));
		walk_text(w, r->admin.act, sizeof(r->admin.act));
		walk_text(w, r->admin.reason, sizeof(r->admin.reason));
		break;
	}
}

static size_t write_by_walk(const struct record *record, uint8_t *buf)
{
	struct record copy = *record; /* the walk takes fields by pointer, to read them as well */
	struct walk body = {.writing = true,
			    .write = buf,
			    .at = HEADER_BYTES,
			    .size = CODEC_BYTES_MAX - CRC_BYTES,
			    .version = newest[record->type]};

	walk_payload(&body, &copy);
	assert(!body.bad); /* a record of the core that cannot be written is a bug of the core */
	return body.at;
}

size_t codec_encode(const struct record *record, uint8_t buf[CODEC_BYTES_MAX])
{
	struct walk header = {.writing = true, .write = buf, .size = HEADER_BYTES};
	size_t end = newest[record->type] >= BY_TABLES
			     ? (size_t)(write_by_table(record, buf + HEADER_BYTES) - buf)
			     : write_by_walk(record, buf);

	walk_number(&header, newest[record->type], 1);
	walk_number(&header, record->type, 1);
	walk_number(&header, end - HEADER_BYTES, 2);
	struct walk crc = {.writing = true, .write = buf, .at = end, .size = CODEC_BYTES_MAX};
	walk_number(&crc, crc32_of(buf, end), CRC_BYTES);
	return crc.at;
}

size_t codec_length(const uint8_t *bytes, size_t available)
{
	struct walk w = {.read = bytes, .at = HEADER_BYTES - 2, .size = available};
	size_t length = HEADER_BYTES + (size_t)walk_number(&w, 0, 2) + CRC_BYTES;
	return w.bad || length > available ? 0 : length;
}

int codec_decode(const uint8_t *bytes, size_t length, struct record *ret_record)
{
	if (length < HEADER_BYTES + CRC_BYTES || length > CODEC_BYTES_MAX)
		return -ERR_IO;
	size_t end = length - CRC_BYTES;
	struct walk crc = {.read = bytes, .at = end, .size = length};
	if (walk_number(&crc, 0, CRC_BYTES) != crc32_of(bytes, end))
		return -ERR_IO;

	struct walk w = {.read = bytes, .size = end};
	struct record record;
	memset(&record, 0, sizeof(record));
	uint64_t version = walk_number(&w, 0, 1);
	uint64_t type = walk_number(&w, 0, 1);
	uint64_t payload = walk_number(&w, 0, 2);
	if (type > RECORD_AUDIT || version < 1 || version > newest[type] ||
	    payload != end - HEADER_BYTES)
		return -ERR_IO;
	w.version = (unsigned)version;
	record.type = (enum record_type)type;
	if (version >= BY_TABLES)
		read_by_table(&w, &record);
	else
		walk_payload(&w, &record);
	if (w.bad || w.at != end)
		return -ERR_IO;
	*ret_record = record;
	return 0;
}

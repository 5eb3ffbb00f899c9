/* Goal: what codec_encode writes, codec_decode gives back whole; everything else is refused.
 * Method: every record type with its longest strings; then each cut, each flipped bit, and bytes
 * with a right checksum but a wrong content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fields.h"
#include "core/record.h"
#include "store/codec.h"
#include "store/crc32.h"

static void fill(char *text, size_t size, char c)
{
	memset(text, c, size - 1);
	text[size - 1] = '\0';
}

static struct record full_claim(void)
{
	struct record r;
	memset(&r, 0, sizeof r);
	r.type = RECORD_CLAIM_PUT;
	struct claim_record *c = &r.claim;
	*c = (struct claim_record){
		.id = INT64_MAX,
		.session = UINT64_MAX,
		.ref = 3,
		.fence = UINT64_C(1) << 62,
		.parent = 5,
		.lender = 6,
		.host = 7,
		.resumes = 8,
		.parked_slots = 2,
		.parked_until = {9},
		.guests = 64,
		.guests_open = true,
		.state = CLAIM_ENDED,
		.end = END_FORCE_RELEASED,
		.cls = LEASE_BACKGROUND,
		.binding = BIND_HTTP,
		.browser = true,
		.preemptible = true,
		.evictable = true,
		.revoked = true,
		.need = {UINT64_MAX, UINT32_MAX, 16, UINT32_MAX},
		.granted_mask = UINT32_MAX,
		.ttl_ms = INT64_MIN,
		.uninterruptible_ms = -1,
		.min_residence_ms = 10,
		.load_ms = 11,
		.used_ms = 12,
		.timeout_ms = -1,
		.turn_since = {18},
		.yield_reason = YIELD_EXPIRED,
		.arrival = {INT64_MIN},
		.wait_deadline = {INT64_MAX},
		.ttl_deadline = {13},
		.held_since = {14},
		.arrival_wall = {15},
		.held_wall = {16},
		.ended_wall = {-17},
	};
	memset(c->token.b, 0xa5, sizeof c->token.b);
	fill(c->name, sizeof c->name, 'n');
	fill(c->request_id, sizeof c->request_id, 'r');
	fill(c->label, sizeof c->label, 'l');
	fill(c->principal, sizeof c->principal, 'p');
	fill(r.detail.text, sizeof r.detail.text, 'd');
	return r;
}

static struct record sample(enum record_type type)
{
	struct record r;
	memset(&r, 0, sizeof r);
	switch (type) {
	case RECORD_SESSION_PUT:
		r.session = (struct session_record){
			.id = 7, .binding = BIND_TAB, .pid = -2, .pid_start = 9, .uid = -1};
		fill(r.session.name, sizeof r.session.name, 's');
		fill(r.session.principal, sizeof r.session.principal, 'p');
		r.session.named.count = LIMIT_PROCESSES;
		for (int i = 0; i < LIMIT_PROCESSES; i++)
			r.session.named.v[i] = (struct named_process){INT64_MAX - i, UINT64_MAX};
		r.session.named.keeper = INT64_MAX;
		fill(r.session.named.cgroup, sizeof r.session.named.cgroup, 'c');
		break;
	case RECORD_SESSION_END:
		r.session.id = 8;
		break;
	case RECORD_CLAIM_PUT:
	case RECORD_CLAIM_END:
		r = full_claim();
		break;
	case RECORD_FENCE:
		r.fence_max = 123456789;
		break;
	case RECORD_PAUSED:
	case RECORD_AUDIT:
		r.admin.paused = type == RECORD_PAUSED;
		r.admin.wall.v = 99;
		r.admin.lease = 4;
		fill(r.admin.who, sizeof r.admin.who, 'w');
		fill(r.admin.act, sizeof r.admin.act, 'a');
		fill(r.admin.reason, sizeof r.admin.reason, 'y');
		break;
	}
	r.type = type;
	return r;
}

/* Every type comes back field by field, and encodes to the same bytes again. */
static void test_round_trip(void **state)
{
	(void)state;
	for (int type = 0; type <= RECORD_AUDIT; type++) {
		struct record in = sample((enum record_type)type), out;
		uint8_t bytes[CODEC_BYTES_MAX], again[CODEC_BYTES_MAX];
		size_t length = codec_encode(&in, bytes);
		assert_in_range(length, 1, CODEC_BYTES_MAX);
		memset(&out, 0xff, sizeof out);
		assert_int_equal(codec_decode(bytes, length, &out), 0);
		assert_int_equal(out.type, type);
		assert_int_equal(codec_encode(&out, again), length);
		assert_memory_equal(again, bytes, length);
	}
}

/* The fields of a claim arrive in their places, not just as the same bytes. */
static void test_claim_fields(void **state)
{
	(void)state;
	struct record in = full_claim(), out;
	uint8_t bytes[CODEC_BYTES_MAX];
	assert_int_equal(codec_decode(bytes, codec_encode(&in, bytes), &out), 0);
	assert_true(out.claim.id == INT64_MAX && out.claim.session == UINT64_MAX);
	assert_int_equal(out.claim.state, CLAIM_ENDED);
	assert_int_equal(out.claim.end, END_FORCE_RELEASED);
	assert_true(out.claim.browser && out.claim.revoked);
	assert_true(out.claim.need.vram_bytes == UINT64_MAX);
	assert_true(out.claim.arrival.v == INT64_MIN && out.claim.wait_deadline.v == INT64_MAX);
	assert_true(out.claim.ended_wall.v == -17 && out.claim.ttl_ms == INT64_MIN);
	assert_true(out.claim.timeout_ms == -1 && out.claim.turn_since.v == 18);
	assert_int_equal(out.claim.yield_reason, YIELD_EXPIRED);
	assert_string_equal(out.claim.name, in.claim.name);
	assert_string_equal(out.claim.request_id, in.claim.request_id);
	assert_string_equal(out.claim.label, in.claim.label);
	assert_string_equal(out.claim.principal, in.claim.principal);
	assert_string_equal(out.detail.text, in.detail.text);
}

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *seed >> 33;
}

/* A claim is written by code of its own: these are the bytes of the walk over its table, whichever
 * fields are zero, small or large. */
static void test_claim_as_table(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int round = 0; round < 2000; round++) {
		struct record r = full_claim();
		uint8_t *claim = (uint8_t *)&r.claim, own[CODEC_BYTES_MAX], walked[CODEC_BYTES_MAX];
		struct fields_how how = {.base = (int64_t)draw(&seed)};
		for (size_t i = 0; i < claim_record_fields.count; i++) {
			const struct field *field = &claim_record_fields.v[i];
			uint64_t value = draw(&seed) >> draw(&seed) % 32;
			size_t size = field->size < sizeof value ? field->size : sizeof value;
			if (draw(&seed) % 2)
				memset(claim + field->offset, 0, field->size);
			else if (field->kind <= FIELD_TIME)
				memcpy(claim + field->offset, &value, size);
		}
		uint8_t *end = claim_record_write(&r.claim, how.base, own);
		size_t length =
			(size_t)(fields_write(&claim_record_fields, &r.claim, &how, walked) -
				 walked);
		assert_int_equal(end - own, length);
		assert_memory_equal(own, walked, length);
	}
}

/* The format on disk does not move by accident: one small record, byte by byte. */
static void test_golden_bytes(void **state)
{
	(void)state;
	static const uint8_t want[] = {1, 4, 8, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0};
	struct record r = {.type = RECORD_FENCE, .fence_max = 1000};
	uint8_t bytes[CODEC_BYTES_MAX];
	assert_int_equal(codec_encode(&r, bytes), sizeof want + 4);
	assert_memory_equal(bytes, want, sizeof want);
	assert_int_equal(crc32_of((const uint8_t *)"123456789", 9), 0xcbf43926);
}

static uint32_t crc_by_bits(const uint8_t *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* However many bytes are summed at a step, and wherever they begin, the sum is that of the bits. */
static void test_crc_of_any_length(void **state)
{
	(void)state;
	uint8_t bytes[320];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i * 31 + i * 7 + 13);
	for (size_t from = 0; from < 9; from++)
		for (size_t length = 0; from + length <= sizeof bytes; length++)
			assert_int_equal(crc32_of(bytes + from, length),
					 crc_by_bits(bytes + from, length));
}

/* A record cut anywhere, or with anything behind it, is refused and the output untouched. */
static void test_cut(void **state)
{
	(void)state;
	struct record in = full_claim(), out = {.type = RECORD_FENCE, .fence_max = 42};
	uint8_t bytes[CODEC_BYTES_MAX + 1] = {0};
	size_t length = codec_encode(&in, bytes);
	for (size_t cut = 0; cut <= length + 1; cut++) {
		if (cut == length)
			continue;
		assert_int_equal(codec_decode(bytes, cut, &out), -ERR_IO);
	}
	assert_int_equal(codec_decode(bytes, CODEC_BYTES_MAX + 1, &out), -ERR_IO);
	assert_true(out.type == RECORD_FENCE && out.fence_max == 42);
}

/* Any single flipped bit is found. */
static void test_flipped_bit(void **state)
{
	(void)state;
	struct record in = full_claim(), out;
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length = codec_encode(&in, bytes);
	for (size_t bit = 0; bit < length * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(codec_decode(bytes, length, &out), -ERR_IO);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(codec_decode(bytes, length, &out), 0);
}

/* Puts the right checksum behind changed bytes. */
static void seal(uint8_t *bytes, size_t length)
{
	uint32_t crc = crc32_of(bytes, length - 4);
	for (int i = 0; i < 4; i++)
		bytes[length - 4 + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

static int decode_with(const struct record *in, size_t at, uint8_t value)
{
	struct record out;
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length = codec_encode(in, bytes);
	bytes[at] = value;
	seal(bytes, length);
	return codec_decode(bytes, length, &out);
}

/* The same record with one byte changed by what its field would say, found by its tag. */
static int decode_field(const struct record *in, uint8_t tag, uint8_t value)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length = codec_encode(in, bytes);
	size_t at = in->type == RECORD_SESSION_PUT ? 4 : 12;
	while (at < length - 4 && bytes[at] != tag)
		at += 2 + (bytes[at + 1] < 0x80 ? bytes[at + 1]
						: 1 + (bytes[at + 1] & 0x7f) + bytes[at + 2] * 128);
	assert_true(at < length - 4);
	return decode_with(in, at + 2, value);
}

/* Values out of range are refused although the checksum is right. */
static void test_wrong_content(void **state)
{
	(void)state;
	struct record claim = full_claim();
	assert_int_equal(decode_with(&claim, 0, 3), 0);
	assert_int_equal(decode_with(&claim, 0, 0), -ERR_IO);
	assert_int_equal(decode_with(&claim, 0, 4), -ERR_IO);
	assert_int_equal(decode_with(&claim, 1, RECORD_AUDIT + 1), -ERR_IO); /* type */
	assert_int_equal(decode_with(&claim, 2, 0), -ERR_IO);                /* payload length */
	static const uint8_t counts[] = {
		CLAIM_STATE_COUNT, END_REASON_COUNT, LEASE_CLASS_COUNT, BINDING_COUNT, 2, 2, 2, 2};
	for (uint8_t i = 0; i < sizeof counts; i++) {
		assert_int_equal(decode_field(&claim, 8 + i, 1), 0);
		assert_int_equal(decode_field(&claim, 8 + i, counts[i]), -ERR_IO);
		assert_int_equal(decode_field(&claim, 8 + i, 0), -ERR_IO); /* is left out */
	}
	assert_int_equal(decode_field(&claim, 33, '\0'), -ERR_IO); /* the name */
	claim.claim.id = 1;
	assert_int_equal(decode_field(&claim, 1, 2), 0);
	struct record end = sample(RECORD_SESSION_END);
	assert_int_equal(decode_with(&end, 4, 0), -ERR_IO); /* id 0 */
	struct record session = sample(RECORD_SESSION_PUT);
	assert_int_equal(decode_field(&session, 3, BIND_STREAM), -ERR_IO);
	struct record fence = sample(RECORD_FENCE);
	assert_int_equal(decode_with(&fence, 4 + 7, 0x80), -ERR_IO);
}

/* A claim of id 70000 and a session of id 7 as the second version wrote them. */
static const uint8_t claim_2[] = {
	3,   2,   224, 0,   112, 17,  1,   0,   0,   0,   0,   0,   2,   0,   0,   0,   0,   0,
	0,   0,   3,   0,   0,   0,   0,   0,   0,   0,   233, 3,   0,   0,   0,   0,   0,   0,
	5,   0,   0,   0,   0,   0,   0,   0,   6,   0,   0,   0,   0,   0,   0,   0,   165, 165,
	165, 165, 165, 165, 165, 165, 165, 165, 165, 165, 165, 165, 165, 165, 2,   0,   1,   1,
	1,   1,   0,   0,   0,   0,   0,   64,  0,   0,   0,   0,   1,   0,   0,   0,   1,   0,
	0,   0,   255, 255, 255, 255, 2,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
	44,  1,   0,   0,   0,   0,   0,   0,   10,  0,   0,   0,   0,   0,   0,   0,   11,  0,
	0,   0,   0,   0,   0,   0,   12,  0,   0,   0,   0,   0,   0,   0,   232, 3,   0,   0,
	0,   0,   0,   0,   168, 216, 1,   0,   0,   0,   0,   0,   255, 255, 255, 255, 255, 255,
	255, 127, 176, 54,  0,   0,   0,   0,   0,   0,   15,  0,   0,   0,   0,   0,   0,   0,
	16,  0,   0,   0,   0,   0,   0,   0,   239, 255, 255, 255, 255, 255, 255, 255, 2,   110,
	109, 2,   114, 113, 2,   108, 98,  192, 212, 1,   0,   0,   0,   0,   0,   80,  70,  0,
	0,   0,   0,   0,   0,   1,
};
static const uint8_t session_2[] = {
	3,   0,   86, 0,   7,   0,  0,  0,  0,  0,  0,  0,   90,  90,  90,  90,  90,
	90,  90,  90, 90,  90,  90, 90, 90, 90, 90, 90, 0,   42,  0,   0,   0,   0,
	0,   0,   0,  9,   0,   0,  0,  0,  0,  0,  0,  255, 255, 255, 255, 255, 255,
	255, 255, 2,  110, 109, 1,  43, 0,  0,  0,  0,  0,   0,   0,   10,  0,   0,
	0,   0,   0,  0,   0,   43, 0,  0,  0,  0,  0,  0,   0,   2,   99,  103,
};

/* A row in the layout of an older version: without its last `tail` bytes. */
static int decode_old(const uint8_t *row, size_t length, uint8_t version, size_t tail,
		      struct record *ret_out)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	memcpy(bytes, row, length);
	length += 4 - tail;
	bytes[0] = version;
	bytes[2] = (uint8_t)(length - 8);
	seal(bytes, length);
	return codec_decode(bytes, length, ret_out);
}

/* A journal of an older version is read: what it could not say has the value that it had then. */
static void test_old_versions(void **state)
{
	(void)state;
	enum { CLAIM_TAIL = 8 + 8 + 1, NAMED_TAIL = 1 + 16 + 8 + 1 + 2 };
	struct record out;
	assert_int_equal(decode_old(claim_2, sizeof claim_2, 2, 0, &out), 0);
	assert_true(out.claim.id == 70000 && out.claim.arrival.v == 1000);
	assert_true(out.claim.tag.v == 1000 && out.claim.written.v == 0);
	assert_int_equal(out.claim.yield_reason, YIELD_HOLD_MAX);
	assert_true(out.claim.turn_since.v == 18000 && out.claim.principal[0] == '\0');
	assert_int_equal(decode_old(claim_2, sizeof claim_2, 1, CLAIM_TAIL, &out), 0);
	assert_true(out.claim.timeout_ms == 120000 && out.claim.turn_since.v == 14000);
	assert_int_equal(out.claim.yield_reason, YIELD_PREEMPTED);
	assert_string_equal(out.claim.label, "lb");
	assert_int_equal(decode_old(claim_2, sizeof claim_2, 1, CLAIM_TAIL - 1, &out), -ERR_IO);
	assert_int_equal(decode_old(session_2, sizeof session_2, 2, 0, &out), 0);
	assert_true(out.session.named.count == 1 && out.session.principal[0] == '\0');
	assert_int_equal(decode_old(session_2, sizeof session_2, 1, NAMED_TAIL, &out), 0);
	assert_true(out.session.named.count == 0 && out.session.named.cgroup[0] == '\0');
	assert_string_equal(out.session.name, "nm");
}

/* Ages are carried, not a clock: read in another boot, all is as old as when it was written. */
static void test_times_are_distances(void **state)
{
	(void)state;
	struct record early = full_claim(), late;
	uint8_t one[CODEC_BYTES_MAX], other[CODEC_BYTES_MAX];
	early.claim.arrival.v = 1000;
	early.claim.written.v = 5000;
	late = early;
	late.claim.written.v += 1234567;
	late.claim.arrival.v += 1234567;
	late.claim.tag.v += 1234567;
	late.claim.due_since.v += 1234567;
	late.claim.parked_until.v += 1234567;
	late.claim.turn_since.v += 1234567;
	late.claim.held_since.v += 1234567;
	late.claim.ttl_deadline.v += 1234567;
	size_t length = codec_encode(&early, one);
	assert_int_equal(codec_encode(&late, other), length);
	assert_memory_equal(one + 12, other + 12, length - 16);
}

/* The longest records fit, whatever is added to their tables. */
static void test_all_fit(void **state)
{
	(void)state;
	assert_in_range(fields_bytes_max(&claim_record_fields) +
				fields_bytes_max(&claim_detail_fields),
			1, CODEC_BYTES_MAX - 16);
	assert_in_range(fields_bytes_max(&session_record_fields), 1, CODEC_BYTES_MAX - 8);
}

/* What a session names comes back whole; more than it may name is refused. */
static void test_named(void **state)
{
	(void)state;
	struct record in = sample(RECORD_SESSION_PUT), out;
	uint8_t bytes[CODEC_BYTES_MAX];
	assert_int_equal(codec_decode(bytes, codec_encode(&in, bytes), &out), 0);
	assert_memory_equal(&out.session.named, &in.session.named, sizeof in.session.named);
	in.session.named.count++;
	assert_int_equal(codec_decode(bytes, codec_encode(&in, bytes), &out), -ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_claim_fields),
		cmocka_unit_test(test_golden_bytes),        cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flipped_bit),         cmocka_unit_test(test_wrong_content),
		cmocka_unit_test(test_old_versions),        cmocka_unit_test(test_named),
		cmocka_unit_test(test_times_are_distances), cmocka_unit_test(test_all_fit),
		cmocka_unit_test(test_crc_of_any_length),   cmocka_unit_test(test_claim_as_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

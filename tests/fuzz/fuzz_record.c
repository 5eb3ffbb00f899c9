/* Goal: no bytes crash the journal's codec, and what it accepts it writes again byte for byte, but
 * for fields that it does not know, with every enum in range and every string ended. Method:
 * libFuzzer, or the corpus as a plain test. Random bytes hardly ever carry a right checksum, so
 * each input is also tried with one put behind it. */
#include <assert.h>
#include <string.h>

#include "core/record.h"
#include "store/codec.h"
#include "store/crc32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_claim(const struct claim_record *c)
{
	assert(c->id > 0 && c->id <= INT64_MAX);
	assert(c->state < CLAIM_STATE_COUNT);
	assert(c->end < END_REASON_COUNT);
	assert(c->cls < LEASE_CLASS_COUNT);
	assert(c->binding < BINDING_COUNT);
	assert(c->yield_reason < YIELD_REASON_COUNT);
	assert(memchr(c->name, '\0', sizeof c->name));
	assert(memchr(c->request_id, '\0', sizeof c->request_id));
	assert(memchr(c->label, '\0', sizeof c->label));
	assert(memchr(c->principal, '\0', sizeof c->principal));
}

static void check_record(const struct record *r)
{
	switch (r->type) {
	case RECORD_CLAIM_PUT:
	case RECORD_CLAIM_END:
		check_claim(&r->claim);
		break;
	case RECORD_SESSION_PUT:
		assert(r->session.binding == BIND_NATIVE || r->session.binding == BIND_TAB ||
		       r->session.binding == BIND_REMOTE);
		assert(memchr(r->session.name, '\0', sizeof r->session.name));
		assert(memchr(r->session.principal, '\0', sizeof r->session.principal));
		assert(r->session.named.count <= LIMIT_PROCESSES);
		assert(memchr(r->session.named.cgroup, '\0', sizeof r->session.named.cgroup));
		break;
	case RECORD_SESSION_END:
		assert(r->session.id > 0);
		break;
	case RECORD_FENCE:
		assert(r->fence_max <= INT64_MAX);
		break;
	case RECORD_PAUSED:
	case RECORD_AUDIT:
		assert(memchr(r->admin.who, '\0', sizeof r->admin.who));
		assert(memchr(r->admin.act, '\0', sizeof r->admin.act));
		assert(memchr(r->admin.reason, '\0', sizeof r->admin.reason));
		break;
	}
}

static void try_bytes(const uint8_t *bytes, size_t length)
{
	struct record record, again;
	memset(&record, 0xee, sizeof record);
	if (codec_decode(bytes, length, &record) != 0)
		return;
	check_record(&record);
	uint8_t written[CODEC_BYTES_MAX], anew[CODEC_BYTES_MAX];
	size_t written_length = codec_encode(&record, written);
	/* An older layout is read, not written; and what was not known is left out. */
	if (written[0] == bytes[0])
		assert(written_length <= length);
	if (written_length == length && written[0] == bytes[0])
		assert(memcmp(written, bytes, length) == 0);
	int rc = codec_decode(written, written_length, &again);
	assert(rc == 0);
	assert(codec_encode(&again, anew) == written_length);
	assert(memcmp(written, anew, written_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_bytes(data, size);
	uint8_t sealed[CODEC_BYTES_MAX];
	if (size > sizeof sealed - 4)
		return 0;
	memcpy(sealed, data, size);
	uint32_t crc = crc32_of(data, size);
	for (size_t i = 0; i < 4; i++)
		sealed[size + i] = (uint8_t)(crc >> (8 * i));
	try_bytes(sealed, size + 4);
	return 0;
}

/* journal_model: each turn of the script does what a loop turn does: some claims come, some move,
 * the oldest end; sessions likewise, and now and then a fence block. The state after any number of
 * turns follows from the number alone. */
#include "journal_model.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/codec.h"

enum { ROOM_BYTES_MIN = 100 << 20 };
enum { LIVE_MAX = 256, CLAIMS_PER_TURN = 2, LIFE_TURNS = 5, FENCE_EVERY = 6, FENCE_BLOCK = 1000 };

struct record model_claim(uint64_t id, int64_t mark)
{
	struct record r;
	memset(&r, 0, sizeof r);
	r.type = RECORD_CLAIM_PUT;
	r.claim.id = id;
	r.claim.state = CLAIM_QUEUED;
	r.claim.cls = LEASE_CHAT;
	r.claim.binding = BIND_HTTP;
	r.claim.need = (struct need){.slots = 1, .gpu_count = 1, .gpu_mask = 1};
	r.claim.used_ms = mark;
	r.claim.arrival.v = (int64_t)id * 10;
	r.claim.wait_deadline = MONO_NEVER;
	r.claim.ttl_deadline = MONO_NEVER;
	snprintf(r.claim.name, sizeof r.claim.name, "client-%d", (int)id);
	return r;
}

struct record model_claim_end(uint64_t id, int64_t mark)
{
	struct record r = model_claim(id, mark);
	r.type = RECORD_CLAIM_END;
	r.claim.state = CLAIM_ENDED;
	r.claim.end = END_RELEASED;
	return r;
}

struct record model_session(uint64_t id)
{
	struct record r;
	memset(&r, 0, sizeof r);
	r.type = RECORD_SESSION_PUT;
	r.session.id = id;
	r.session.binding = BIND_NATIVE;
	r.session.pid = 1000 + (int64_t)id;
	r.session.uid = -1;
	snprintf(r.session.name, sizeof r.session.name, "session-%d", (int)id);
	return r;
}

struct record model_session_end(uint64_t id)
{
	struct record r = model_session(id);
	r.type = RECORD_SESSION_END;
	return r;
}

struct record model_fence(uint64_t fence_max)
{
	struct record r;
	memset(&r, 0, sizeof r);
	r.type = RECORD_FENCE;
	r.fence_max = fence_max;
	return r;
}

struct record model_audit(const char *act)
{
	struct record r;
	memset(&r, 0, sizeof r);
	r.type = RECORD_AUDIT;
	r.admin.wall.v = 1;
	snprintf(r.admin.act, sizeof r.admin.act, "%s", act);
	return r;
}

static uint64_t claim_id(int turn, int n)
{
	return (uint64_t)turn * CLAIMS_PER_TURN + (uint64_t)n + 1;
}

static uint64_t session_id(int turn)
{
	return (uint64_t)turn + 1;
}

static int append(struct store *store, struct record record)
{
	return store_append(store, &record);
}

int model_run_turn(struct store *store, int turn)
{
	int rc = append(store, model_session(session_id(turn)));
	if (turn % FENCE_EVERY == 0 && !rc)
		rc = append(store, model_fence((uint64_t)(turn / FENCE_EVERY + 1) * FENCE_BLOCK));
	for (int n = 0; n < CLAIMS_PER_TURN && !rc; n++) {
		rc = append(store, model_claim(claim_id(turn, n), -1));
		if (!rc) /* replaces the one before it */
			rc = append(store, model_claim(claim_id(turn, n), turn));
	}
	if (turn >= 1 && !rc) /* the claims of the turn before move on */
		rc = append(store, model_claim(claim_id(turn - 1, 0), turn));
	if (turn >= LIFE_TURNS) {
		for (int n = 0; n < CLAIMS_PER_TURN && !rc; n++)
			rc = append(store, model_claim_end(claim_id(turn - LIFE_TURNS, n), turn));
		if (!rc)
			rc = append(store, model_session_end(session_id(turn - LIFE_TURNS)));
	}
	return rc ? rc : store_commit(store);
}

struct found {
	struct record live[LIVE_MAX];
	size_t count;
};

static void collect(void *ctx, const struct record *record)
{
	struct found *found = ctx;
	assert(found->count < LIVE_MAX);
	found->live[found->count++] = *record;
}

/* The live rows after `turns` turns, in the order of store_replay. */
static void expect(struct found *want, int turns)
{
	int first = turns - LIFE_TURNS > 0 ? turns - LIFE_TURNS : 0;
	want->count = 0;
	for (int t = first; t < turns; t++)
		want->live[want->count++] = model_session(session_id(t));
	for (int t = first; t < turns; t++)
		for (int n = 0; n < CLAIMS_PER_TURN; n++) {
			int64_t mark = n == 0 && t + 1 < turns ? t + 1 : t;
			want->live[want->count++] = model_claim(claim_id(t, n), mark);
		}
}

static bool same_record(const struct record *a, const struct record *b)
{
	uint8_t bytes_a[CODEC_BYTES_MAX], bytes_b[CODEC_BYTES_MAX];
	size_t length = codec_encode(a, bytes_a);
	return codec_encode(b, bytes_b) == length && !memcmp(bytes_a, bytes_b, length);
}

struct history_sum {
	uint64_t claims, newest;
	bool wrong;
};

/* Newest first, so ids fall; each once. */
static void add_history(void *ctx, uint64_t row, const struct record *record)
{
	struct history_sum *sum = ctx;
	(void)row;
	if (record->type != RECORD_CLAIM_END)
		return;
	if (sum->claims && record->claim.id != sum->newest - sum->claims)
		sum->wrong = true;
	if (!sum->claims)
		sum->newest = record->claim.id;
	sum->claims++;
}

const char *model_compare(struct store *store, const struct store_boot *boot, int turns)
{
	static struct found got, want;
	got.count = 0;
	if (store_replay(store, collect, &got) != 0)
		return "replay failed";
	expect(&want, turns);
	if (got.count != want.count)
		return "the number of live rows";
	for (size_t i = 0; i < got.count; i++)
		if (!same_record(&got.live[i], &want.live[i]))
			return "a live row";
	uint64_t fences = turns ? (uint64_t)((turns - 1) / FENCE_EVERY + 1) * FENCE_BLOCK : 0;
	if (boot->fence_max < fences)
		return "the fence went back";
	if (turns && boot->claim_id_max < claim_id(turns - 1, CLAIMS_PER_TURN - 1))
		return "claim ids went back";
	if (turns && boot->session_id_max < session_id(turns - 1))
		return "session ids went back";
	struct history_sum sum = {0};
	if (store_history(store, 0, LIVE_MAX, add_history, &sum) != 0)
		return "history failed";
	uint64_t ended = turns > LIFE_TURNS ? (uint64_t)(turns - LIFE_TURNS) * CLAIMS_PER_TURN : 0;
	if (sum.wrong || sum.claims != ended || sum.newest != ended)
		return "history";
	return NULL;
}

char *model_folder_create(void)
{
	/* In memory if there is room: some tests open hundreds of journals, and each start waits
	 * for the disk once. */
	const char *base = getenv("TMPDIR");
	struct statvfs fs;
	if (!base)
		base = !statvfs("/dev/shm", &fs) && fs.f_bavail * fs.f_frsize >= ROOM_BYTES_MIN
			       ? "/dev/shm"
			       : "/tmp";
	char path[4096];
	snprintf(path, sizeof path, "%s/baton-store-XXXXXX", base);
	char *made = mkdtemp(path);
	assert(made);
	return strdup(made);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void model_folder_destroy(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

/* store_gpus: which GPU each bit of a claim's masks means. The journal keeps the names in the order
 * of their bits; a start with another order moves the bits of all live claims, in one transaction
 * with the new names, so that no lease ever changes its GPU. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/store.h"
#include "store/store_private.h"

/* As stored in the journal: each name at its bit, unused bits empty. */
struct names {
	char v[LIMIT_GPUS][LIMIT_GPU_NAME_BYTES + 1];
};

static_assert(sizeof(struct names) == STORE_GPUS_BYTES, "a rewrite writes the same");

struct move {
	uint32_t bit[LIMIT_GPUS]; /* the new one of each old bit */
	uint32_t from;            /* the bits that move */
	struct record *rows;
	size_t count, capacity;
	bool no_memory;
};

static uint32_t move_bits(const struct move *move, uint32_t mask)
{
	uint32_t to = mask >> LIMIT_GPUS << LIMIT_GPUS;
	if (mask == UINT32_MAX)
		return mask; /* any */
	for (uint32_t from = 0; from < LIMIT_GPUS; from++)
		if (mask & (1u << from))
			to |= 1u << move->bit[from];
	return to;
}

/* Each old bit moves to where its name is now. A removed name keeps a bit of its own, from the end,
 * since its holders may still run; if no bit is free, it shares the last. */
static void plan_moves(const struct names *old, struct names *now, struct move *move)
{
	for (uint32_t from = 0; from < LIMIT_GPUS; from++) {
		uint32_t to = 0;
		move->bit[from] = from;
		if (!old->v[from][0])
			continue;
		while (to < LIMIT_GPUS && strcmp(now->v[to], old->v[from]) != 0)
			to++;
		for (uint32_t last = LIMIT_GPUS; to == LIMIT_GPUS && last-- > 0;)
			if (!now->v[last][0]) {
				memcpy(now->v[last], old->v[from], sizeof(now->v[last]));
				to = last;
			}
		to = to < LIMIT_GPUS ? to : LIMIT_GPUS - 1;
		if (to != from)
			move->from |= 1u << from;
		move->bit[from] = to;
	}
}

static void keep_row(void *ctx, uint64_t id, const struct record *record)
{
	struct move *move = ctx;

	(void)id;
	if (move->count == move->capacity) {
		size_t capacity = move->capacity ? 2 * move->capacity : 64;
		struct record *rows = reallocarray(move->rows, capacity, sizeof(*rows));
		move->no_memory |= !rows;
		if (!rows)
			return;
		move->rows = rows;
		move->capacity = capacity;
	}
	move->rows[move->count++] = *record;
}

static int read_rows(struct store *store, struct move *move)
{
	int rc = checkpoint(store, false); /* only then the tables hold all live claims */
	if (rc == 0 && database_each(&store->db, STMT_CLAIMS, keep_row, move) != 0)
		rc = -ERR_IO;
	return rc == 0 && move->no_memory ? -ERR_NO_MEMORY : rc;
}

/* While the core runs only what it does not have may move: the bits of GPUs that were removed
 * before it started, where no live claim has one of them. */
static bool is_unknown_to_core(const struct names *old, const struct move *move)
{
	uint32_t known = 0, held = 0;

	while (known < LIMIT_GPUS && old->v[known][0])
		held |= 1u << known++;
	for (size_t i = 0; i < move->count; i++) {
		const struct claim_record *claim = &move->rows[i].claim;
		held |= claim->granted_mask;
		if (claim->need.gpu_mask != UINT32_MAX)
			held |= claim->need.gpu_mask;
	}
	return (move->from & held) == 0;
}

/* Within a transaction. A SQLite result code. */
static int move_rows(struct store *store, const struct move *move)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	int rc = SQLITE_OK;

	for (size_t i = 0; i < move->count && !rc; i++) {
		struct claim_record *claim = &move->rows[i].claim;
		claim->granted_mask = move_bits(move, claim->granted_mask);
		claim->need.gpu_mask = move_bits(move, claim->need.gpu_mask);
		rc = database_put(&store->db, STMT_CLAIM_PUT, claim->id, bytes,
				  codec_encode(&move->rows[i], bytes));
	}

	return rc;
}

/* `rows`: NULL where no claim changes. */
static int write_names(struct store *store, const struct names *now, const struct move *rows)
{
	struct database *db = &store->db;

	int rc = database_run(db, STMT_BEGIN);
	if (!rc && rows)
		rc = move_rows(store, rows);
	if (!rc)
		rc = database_meta_set_bytes(db, "gpus", now, sizeof(*now));
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc) {
		(void)database_run(db, STMT_ROLLBACK);
		return -ERR_IO;
	}

	return 0;
}

int store_gpus(struct store *store, const char *const *names, uint32_t count, bool may_move)
{
	struct names old = {0}, now = {0}, written;
	struct move move = {0};
	size_t length = 0;

	assert(count <= LIMIT_GPUS);
	for (uint32_t i = 0; i < count; i++)
		memcpy(now.v[i], names[i], strnlen(names[i], LIMIT_GPU_NAME_BYTES));
	int rc = store->db.sqlite
			 ? database_meta_get_bytes(&store->db, "gpus", &old, sizeof(old), &length)
			 : 0;
	if (rc)
		return rc < 0 ? rc : -ERR_IO;

	for (uint32_t i = 0; i < LIMIT_GPUS; i++)
		old.v[i][LIMIT_GPU_NAME_BYTES] = '\0';
	written = old;
	plan_moves(&old, &now, &move);
	bool moves = move.from != 0 && memcmp(&written, &now, sizeof(now)) != 0;
	if (moves && store->away) /* the rewrite will write the names; no bit moves meanwhile */
		return may_move ? -ERR_JOURNAL : -ERR_STATE;

	rc = moves ? read_rows(store, &move) : 0;
	if (rc == 0 && moves && !may_move && !is_unknown_to_core(&old, &move))
		rc = -ERR_STATE;
	if (rc == 0 && !store->away && memcmp(&written, &now, sizeof(now)) != 0)
		rc = write_names(store, &now, moves ? &move : NULL);
	if (rc == 0)
		memcpy(store->gpus, &now, sizeof(store->gpus));
	free(move.rows);
	return rc;
}

/* journal_model: records made up for tests, a folder for one test, and a set of turns whose outcome
 * is known after each, so that a journal can be compared with what it must hold. */
#pragma once
#include "store/store.h"

enum { MODEL_TURNS = 24 };

struct record model_claim(uint64_t id, int64_t mark); /* queued; used_ms = mark */
struct record model_claim_end(uint64_t id, int64_t mark);
struct record model_session(uint64_t id);
struct record model_session_end(uint64_t id);
struct record model_fence(uint64_t fence_max);
struct record model_audit(const char *act);

/* Turn t (0..MODEL_TURNS-1) appended and committed; the first error. Ids rise from 1. */
int model_run_turn(struct store *store, int turn);

/* What is live after `turns` turns, compared with what the store gives back: NULL if equal, else
 * what differs. `fence_max` is the highest a turn so far has reserved. */
const char *model_compare(struct store *store, const struct store_boot *boot, int turns);

/* Makes an empty folder for one test; the path is malloc'd. */
char *model_folder_create(void);
/* Removes it with all that is in it and frees the path. */
void model_folder_destroy(char *path);

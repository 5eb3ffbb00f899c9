/* switch_log: see switch_log.h. It is told what happens and decides nothing. Pure. */
#include "gateway/switch_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *switch_stage_name(enum switch_stage stage)
{
	static const char *const names[] = {
		[SWITCH_NONE] = "none",       [SWITCH_WAITING] = "waiting for memory",
		[SWITCH_LOADING] = "loading", [SWITCH_READY] = "ready",
		[SWITCH_FAILED] = "failed",   [SWITCH_BROKEN_OFF] = "broken off",
	};

	return names[stage];
}

/* Cut between two characters. */
static void copy_name(char *ret_name, size_t size, const char *name)
{
	size_t length = strnlen(name, size);

	if (length == size)
		for (length = size - 1; length > 0 && (name[length] & 0xc0) == 0x80;)
			length--;
	memcpy(ret_name, name, length);
	ret_name[length] = '\0';
}

static void name_model(struct switch_model *ret_model, const char *name, const char *server)
{
	copy_name(ret_model->name, sizeof(ret_model->name), name);
	copy_name(ret_model->server, sizeof(ret_model->server), server);
}

static bool is_named(const struct switch_model *model, const struct switch_model *other)
{
	return !strcmp(model->name, other->name) && !strcmp(model->server, other->server);
}

static bool is_over(const struct switch_entry *entry)
{
	return entry->stage != SWITCH_WAITING && entry->stage != SWITCH_LOADING;
}

static struct switch_entry *find_entry(struct switch_log *log, uint64_t number)
{
	for (unsigned i = 0; number && i < SWITCH_COUNT; i++)
		if (log->entries[i].number == number)
			return &log->entries[i];
	return NULL;
}

const struct switch_entry *switch_log_find(const struct switch_log *log, uint64_t number)
{
	return find_entry((struct switch_log *)log, number);
}

const struct switch_entry *switch_log_before(const struct switch_log *log,
					     const struct switch_entry *entry)
{
	const struct switch_entry *newest = NULL;

	for (unsigned i = 0; i < SWITCH_COUNT; i++) {
		const struct switch_entry *it = &log->entries[i];
		if (it->number && (!entry || it->number < entry->number) &&
		    (!newest || it->number > newest->number))
			newest = it;
	}
	return newest;
}

/* An empty place, or the oldest switch that is over, or the oldest. */
static struct switch_entry *place_for_new(struct switch_log *log)
{
	struct switch_entry *best = &log->entries[0];

	for (unsigned i = 1; i < SWITCH_COUNT; i++) {
		struct switch_entry *it = &log->entries[i];
		if (is_over(it) != is_over(best) ? is_over(it) : it->number < best->number)
			best = it;
	}
	return best;
}

uint64_t switch_log_begin(struct switch_log *log, const char *model, const char *server,
			  const struct switch_cause *cause, struct mono_ms now, struct wall_ms at)
{
	struct switch_entry *entry = place_for_new(log);

	*entry = (struct switch_entry){.number = ++log->count,
				       .stage = SWITCH_WAITING,
				       .at = at,
				       .since = now,
				       .waited_ms = -1,
				       .load_ms = -1};
	name_model(&entry->model, model, server);
	switch_log_blame(log, entry->number, cause);
	return entry->number;
}

void switch_log_blame(struct switch_log *log, uint64_t number, const struct switch_cause *cause)
{
	struct switch_entry *entry = find_entry(log, number);

	if (!entry)
		return;
	copy_name(entry->client, sizeof(entry->client), cause->client);
	copy_name(entry->principal, sizeof(entry->principal), cause->principal);
	entry->cls = cause->cls;
	entry->claim = 0;
}

void switch_log_claim(struct switch_log *log, uint64_t number, uint64_t claim)
{
	struct switch_entry *entry = find_entry(log, number);

	if (entry)
		entry->claim = claim;
}

static struct switch_entry *entry_of_claim(struct switch_log *log, uint64_t claim)
{
	for (unsigned i = 0; claim && i < SWITCH_COUNT; i++)
		if (log->entries[i].claim == claim && !is_over(&log->entries[i]))
			return &log->entries[i];
	return NULL;
}

/* The one that leaves, wherever it stands. NULL: it leaves for no switch. */
static struct switch_left *find_leaving(struct switch_log *log, const char *name,
					const char *server, struct switch_entry **ret_entry)
{
	struct switch_model model;

	name_model(&model, name, server);
	for (unsigned i = 0; i < SWITCH_COUNT; i++) {
		struct switch_entry *entry = &log->entries[i];
		for (unsigned j = 0; j < entry->left_count; j++) {
			struct switch_left *left = &entry->left[j];
			if (left->took_ms >= 0 || !is_named(&left->model, &model))
				continue;
			*ret_entry = entry;
			return left;
		}
	}
	return NULL;
}

void switch_log_leaves(struct switch_log *log, uint64_t claim, const char *model,
		       const char *server, struct mono_ms now)
{
	struct switch_entry *entry = entry_of_claim(log, claim);
	struct switch_left *left;

	switch_log_stays(log, model, server); /* whomever it left for before */
	if (!entry || entry->left_count == SWITCH_LEFT_COUNT)
		return;
	left = &entry->left[entry->left_count++];
	*left = (struct switch_left){.since = now, .took_ms = -1};
	name_model(&left->model, model, server);
}

void switch_log_stays(struct switch_log *log, const char *model, const char *server)
{
	struct switch_entry *entry;
	struct switch_left *left = find_leaving(log, model, server, &entry);

	if (left)
		*left = entry->left[--entry->left_count];
}

void switch_log_gone(struct switch_log *log, const char *model, const char *server,
		     struct mono_ms now)
{
	struct switch_entry *entry;
	struct switch_left *left = find_leaving(log, model, server, &entry);

	if (left)
		left->took_ms = mono_since(now, left->since);
}

void switch_log_load(struct switch_log *log, uint64_t number, uint32_t gpus, struct mono_ms now)
{
	struct switch_entry *entry = find_entry(log, number);

	if (!entry || entry->stage != SWITCH_WAITING)
		return;
	entry->stage = SWITCH_LOADING;
	entry->gpus = gpus;
	entry->granted = now;
	entry->waited_ms = mono_since(now, entry->since);
}

void switch_log_end(struct switch_log *log, uint64_t number, enum switch_stage stage,
		    struct mono_ms now)
{
	struct switch_entry *entry = find_entry(log, number);

	if (!entry || is_over(entry))
		return;
	if (entry->stage == SWITCH_WAITING) {
		*entry = (struct switch_entry){0};
		return;
	}
	entry->stage = stage;
	entry->load_ms = mono_since(now, entry->granted);
}

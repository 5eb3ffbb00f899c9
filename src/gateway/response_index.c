/* response_index: see response_index.h. */
#include "gateway/response_index.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/api_error.h"

struct entry {
	struct list link; /* index.entries */
	struct hash_node by_id;
	struct response_note note; /* one block of texts, from `id` on */
};

static uint64_t hash_id(const char *id)
{
	return hash_bytes(0, id, strlen(id));
}

static const char *take_copy(char **at, const char *text)
{
	char *copy = *at;

	*at = stpcpy(copy, text) + 1;
	return copy;
}

static struct entry *make_entry(const struct response_note *note)
{
	size_t size = strlen(note->id) + strlen(note->principal) + strlen(note->server) +
		      strlen(note->url) + 4;
	struct entry *entry = calloc(1, sizeof(*entry));
	char *at = malloc(size);

	if (!entry || !at)
		abort();
	list_init(&entry->link);
	entry->note.id = take_copy(&at, note->id);
	entry->note.principal = take_copy(&at, note->principal);
	entry->note.server = take_copy(&at, note->server);
	entry->note.url = take_copy(&at, note->url);
	return entry;
}

static void drop_entry(struct response_index *index, struct entry *entry)
{
	list_remove(&entry->link);
	hash_remove(&index->by_id, &entry->by_id);
	index->count--;
	free((void *)(uintptr_t)entry->note.id);
	free(entry);
}

void response_index_init(struct response_index *index)
{
	*index = (struct response_index){.count = 0};
	list_init(&index->entries);
	hash_init(&index->by_id);
}

void response_index_finish(struct response_index *index)
{
	list_each (it, next, &index->entries)
		drop_entry(index, container_of(it, struct entry, link));
	hash_finish(&index->by_id);
}

static struct entry *find_entry(const struct response_index *index, const char *id,
				const char *principal)
{
	for (struct hash_node *node = hash_first(&index->by_id, hash_id(id)); node;
	     node = hash_next(node)) {
		struct entry *entry = container_of(node, struct entry, by_id);
		if (!strcmp(entry->note.id, id) && !strcmp(entry->note.principal, principal))
			return entry;
	}
	return NULL;
}

/* Its oldest, where it has as many as it may. */
static void make_room_for_key(struct response_index *index, const char *principal)
{
	struct entry *oldest = NULL;
	unsigned count = 0;

	list_each (it, next, &index->entries) {
		struct entry *entry = container_of(it, struct entry, link);
		if (strcmp(entry->note.principal, principal) != 0)
			continue;
		if (!oldest)
			oldest = entry;
		count++;
	}
	if (count >= RESPONSES_MAX_PER_KEY)
		drop_entry(index, oldest);
}

void response_index_note(struct response_index *index, const struct response_note *note)
{
	struct entry *entry = find_entry(index, note->id, note->principal);

	if (entry)
		drop_entry(index, entry);
	make_room_for_key(index, note->principal);
	if (index->count >= RESPONSES_MAX)
		drop_entry(index, container_of(index->entries.next, struct entry, link));

	entry = make_entry(note);
	list_append(&index->entries, &entry->link);
	hash_add(&index->by_id, &entry->by_id, hash_id(note->id));
	index->count++;
}

bool response_index_find(const struct response_index *index, const char *id, const char *principal,
			 struct response_note *ret_note)
{
	const struct entry *entry = find_entry(index, id, principal);

	if (!entry)
		return false;
	*ret_note = entry->note;
	return true;
}

bool response_index_has(const struct response_index *index, const char *id)
{
	for (struct hash_node *node = hash_first(&index->by_id, hash_id(id)); node;
	     node = hash_next(node))
		if (!strcmp(container_of(node, struct entry, by_id)->note.id, id))
			return true;
	return false;
}

void response_index_forget(struct response_index *index, const char *id, const char *principal)
{
	struct entry *entry = find_entry(index, id, principal);

	if (entry)
		drop_entry(index, entry);
}

void response_index_forget_all(struct response_index *index, const char *principal)
{
	list_each (it, next, &index->entries) {
		struct entry *entry = container_of(it, struct entry, link);
		if (!strcmp(entry->note.principal, principal))
			drop_entry(index, entry);
	}
}

bool response_id_ok(const char *id, size_t length)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-_.~:=+";

	return length > 0 && length < API_RESPONSE_ID_BYTES && strspn(id, plain) == length &&
	       strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

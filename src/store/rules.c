/* rules: what others want to find again beside the journal, opaque here: the configuration, and
 * which keys there were. */
#include <assert.h>
#include <string.h>

#include "store/store.h"
#include "store/store_private.h"

static const char key_of_rules[] = "rules";

void store_put_rules(struct store *store, const void *bytes, size_t length)
{
	if (!store->away)
		(void)database_meta_set_bytes(&store->db, key_of_rules, bytes, length);
}

static size_t read_bytes(struct store *store, const char *key, void *bytes, size_t size)
{
	size_t length = 0;

	return database_meta_get_bytes(&store->db, key, bytes, size, &length) ? 0 : length;
}

size_t store_rules(struct store *store, void *bytes, size_t size)
{
	return read_bytes(store, key_of_rules, bytes, size);
}

int store_write_keys(struct store *store)
{
	return store->keys_length ? database_meta_set_bytes(&store->db, "keys", store->keys,
							    store->keys_length)
				  : 0;
}

void store_put_keys(struct store *store, const void *bytes, size_t length)
{
	assert(length <= sizeof(store->keys));
	memcpy(store->keys, bytes, length);
	store->keys_length = length;
	if (!store->away)
		(void)store_write_keys(store);
}

size_t store_keys(struct store *store, void *bytes, size_t size)
{
	return read_bytes(store, "keys", bytes, size);
}

/* store_keys: what tells the keys of the configuration from others of their names, opaque here. */
#include <assert.h>
#include <string.h>

#include "store/store.h"
#include "store/store_private.h"

static const char meta_key[] = "keys";

int store_write_keys(struct store *store)
{
	if (!store->keys_length)
		return 0;
	return database_meta_set_bytes(&store->db, meta_key, store->keys, store->keys_length);
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
	size_t length = 0;

	return database_meta_get_bytes(&store->db, meta_key, bytes, size, &length) ? 0 : length;
}

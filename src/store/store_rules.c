/* store_rules: the configuration beside the history, opaque here. */
#include "store/store.h"
#include "store/store_private.h"

static const char key[] = "rules";

void store_put_rules(struct store *store, const void *bytes, size_t length)
{
	if (!store->away)
		(void)database_meta_set_bytes(&store->db, key, bytes, length);
}

size_t store_rules(struct store *store, void *bytes, size_t size)
{
	size_t length = 0;

	return database_meta_get_bytes(&store->db, key, bytes, size, &length) ? 0 : length;
}

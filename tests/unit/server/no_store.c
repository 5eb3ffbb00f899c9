/* no_store: for tests of parts that only ask the store how it is: it is well. */
#include "store/store.h"

const char *store_trouble(const struct store *store)
{
	(void)store;
	return "";
}

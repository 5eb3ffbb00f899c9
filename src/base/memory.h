/* memory: there is none left: the program ends, and its supervisor starts it anew. */
#pragma once
#include <stdlib.h>

/* What malloc or its like returned; NULL aborts. */
static inline void *check_memory(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

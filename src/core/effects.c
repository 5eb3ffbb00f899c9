/* effects: the growing array of what the core wants done. Carries nothing out. Filled by the core,
 * emptied by the shell after each turn. */
#include "core/effect.h"

#include <stdlib.h>
#include <string.h>

#include "base/prepost.h"

enum { KEPT_CAPACITY = 8192 }; /* the memory of a larger turn is given back */

void effects_init(struct effects *fx)
{
	*fx = (struct effects){.next_wake = MONO_NEVER};
}

void effects_clear(struct effects *fx)
{
	if (fx->capacity > KEPT_CAPACITY) {
		free(fx->v);
		fx->v = NULL;
		fx->capacity = 0;
	}
	fx->count = 0;
	fx->work = 0;
	fx->queue_changed = false;
	fx->next_wake = MONO_NEVER;
}

void effects_finish(struct effects *fx)
{
	free(fx->v);
	effects_init(fx);
}

static void grow(struct effects *fx)
{
	size_t capacity = fx->capacity ? fx->capacity * 2 : 32;

	PRE(capacity <= SIZE_MAX / sizeof(*fx->v));
	fx->v = realloc(fx->v, capacity * sizeof(*fx->v));
	if (!fx->v)
		abort();
	fx->capacity = capacity;
}

struct effect *effects_add(struct effects *fx, enum effect_type type)
{
	struct effect *effect;

	PRE(fx->count <= fx->capacity);
	if (fx->count == fx->capacity)
		grow(fx);
	effect = &fx->v[fx->count++];
	memset(effect, 0, sizeof(*effect));
	effect->type = type;
	return effect;
}

/* effects: the growing array of what the core wants done. Carries nothing out. */
#include "core/effects.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "core/effect.h"

enum { KEPT_CAPACITY = 8192 }; /* the memory of a larger iteration is given back */

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

static void grow_array(struct effects *fx)
{
	size_t capacity = fx->capacity ? fx->capacity * 2 : 32;

	PRE(capacity <= SIZE_MAX / sizeof(*fx->v));

	fx->v = check_memory(realloc(fx->v, capacity * sizeof(*fx->v)));
	fx->capacity = capacity;
}

static struct effect *next_slot(struct effects *fx)
{
	PRE(fx->count <= fx->capacity);
	if (fx->count == fx->capacity)
		grow_array(fx);
	return &fx->v[fx->count++];
}

struct effect *effects_add(struct effects *fx, enum effect_type type)
{
	struct effect *effect = next_slot(fx);

	effect_clear(effect, type);
	return effect;
}

void effects_append(struct effects *fx, const struct effect *effect)
{
	effect_copy(next_slot(fx), effect);
}

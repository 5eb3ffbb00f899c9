/* effect: clears and copies what of an effect is in use. */
#include "core/effect.h"

#include <stddef.h>
#include <string.h>

#include "base/contracts.h"

/* Texts need only their first byte cleared, and a record is always written whole. */
void effect_clear(struct effect *effect, enum effect_type type)
{
	size_t bytes = sizeof(*effect);

	if (type == EFFECT_APPEND)
		bytes = offsetof(struct effect, record);
	else if (type == EFFECT_SEND)
		bytes = offsetof(struct effect, send.detail) + 1;
	else if (type == EFFECT_TRACE)
		bytes = offsetof(struct effect, trace.name) + 1;

	memset(effect, 0, bytes);
	effect->type = type;

	if (type == EFFECT_TRACE)
		effect->trace.principal[0] = effect->trace.detail[0] = 0;
}

/* With its NUL; most are empty. */
static size_t text_bytes(const char *text)
{
	return text[0] ? strlen(text) + 1 : 1;
}

void effect_copy(struct effect *to, const struct effect *from)
{
	size_t bytes = sizeof(*from);

	if (from->type == EFFECT_SEND)
		bytes = offsetof(struct effect, send.detail) + text_bytes(from->send.detail);
	else if (from->type == EFFECT_TRACE)
		bytes = offsetof(struct effect, trace.detail) + text_bytes(from->trace.detail);

	POST(bytes <= sizeof(*to));
	memcpy(to, from, bytes);
}

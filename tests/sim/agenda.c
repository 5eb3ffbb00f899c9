/* agenda: a binary heap by (time, order of adding). It owns no letters; world.c frees those that
 * are left. Called by everything that wants something to happen later. */
#include "agenda.h"

#include <assert.h>
#include <stdlib.h>

static bool sooner(const struct item *a, const struct item *b)
{
	return a->t != b->t ? a->t < b->t : a->seq < b->seq;
}

void agenda_add(struct agenda *agenda, struct item item)
{
	if (agenda->count == agenda->capacity) {
		agenda->capacity = agenda->capacity ? agenda->capacity * 2 : 256;
		agenda->heap = realloc(agenda->heap, agenda->capacity * sizeof *agenda->heap);
		assert(agenda->heap);
	}
	item.seq = agenda->seq_next++;
	size_t i = agenda->count++;
	while (i > 0 && sooner(&item, &agenda->heap[(i - 1) / 2])) {
		agenda->heap[i] = agenda->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	agenda->heap[i] = item;
}

bool agenda_take(struct agenda *agenda, struct item *ret_item)
{
	if (agenda->count == 0)
		return false;
	*ret_item = agenda->heap[0];
	struct item last = agenda->heap[--agenda->count];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= agenda->count)
			break;
		if (child + 1 < agenda->count &&
		    sooner(&agenda->heap[child + 1], &agenda->heap[child]))
			child++;
		if (!sooner(&agenda->heap[child], &last))
			break;
		agenda->heap[i] = agenda->heap[child];
		i = child;
	}
	if (agenda->count > 0)
		agenda->heap[i] = last;
	return true;
}

void agenda_finish(struct agenda *agenda)
{
	free(agenda->heap);
	*agenda = (struct agenda){0};
}

/* list: linking and unlinking of intrusive nodes. Allocates nothing. Used by all layers. */
#include "base/list.h"

#include "base/contracts.h"

void list_init(struct list *list)
{
	list->prev = list;
	list->next = list;
}

void list_append(struct list *list, struct list *node)
{
	PRE(list_empty(node));

	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;

	POST(list->prev == node);
}

void list_remove(struct list *node)
{
	PRE(node->prev->next == node);
	PRE(node->next->prev == node);

	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

bool list_empty(const struct list *list)
{
	return list->next == list;
}

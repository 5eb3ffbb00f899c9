/* list: an intrusive ring of nodes with a head. The list owns nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/* The object around a member; p must not be NULL. */
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

void list_init(struct list *list);                      /* a head, or a node that is in no list */
void list_append(struct list *list, struct list *node); /* node must be in no list */
void list_remove(struct list *node);                    /* no-op if it is in no list */
bool list_empty(const struct list *list);               /* of a node: it is in no list */

/* The body may remove `it`, but not what follows it. */
#define list_each(it, next_it, head)                                                               \
	for (struct list *it = (head)->next, *next_it = it->next; it != (head);                    \
	     it = next_it, next_it = it->next)

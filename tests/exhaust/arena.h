/* arena: the memory of one world, at a fixed address, so that a whole world with its core is kept
 * and brought back by copying bytes. While it is open, malloc and its family (wrapped at link time)
 * take from it. One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

void arena_init(void);
void arena_open(void);
void arena_close(void);
void arena_reset(void); /* forgets all that was taken */
/* Bytes that are zero in every world of this run, and so need no copying. */
void arena_set_hole(const void *from, size_t bytes);
size_t arena_used(void);

struct snapshot {
	unsigned char *bytes;
	size_t used, capacity;
};
void snapshot_take(struct snapshot *snapshot);
void snapshot_bring_back(const struct snapshot *snapshot);
void snapshot_finish(struct snapshot *snapshot);

/* arena: see arena.h. Small blocks lie in one region that is copied whole; what grows by realloc to
 * more than a page (the core's arrays of effects, empty between steps) lies beside it and is not
 * copied: only which of its places are taken. */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	REGION_BYTES = 4 << 20,
	PLACE_BYTES = 1 << 20,
	PLACES = 16,
	GRAIN = 64,
	SIZES = 4096 / GRAIN,
	BIG_BYTES = 4096,
};

#define REGION_AT ((unsigned char *)0x510000000000)

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *old);

/* The head of every block; the blocks that were given back are linked by size. */
struct block {
	size_t bytes;
	struct block *next;
};

/* Lies at the beginning of the region, and so is kept and brought back with it. */
struct head {
	size_t used;
	struct block *freed[SIZES + 1]; /* the last: all that is larger */
	bool taken[PLACES];
};

static struct head *const head = (struct head *)REGION_AT;
static unsigned char *const places = REGION_AT + REGION_BYTES;
static bool is_open;
static size_t hole_from, hole_to;

void arena_init(void)
{
	void *at =
		mmap(REGION_AT, REGION_BYTES + (size_t)PLACES * PLACE_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (at != REGION_AT)
		abort();
	arena_reset();
}

void arena_reset(void)
{
	*head = (struct head){.used = sizeof(struct head)};
	hole_from = hole_to = 0;
}

void arena_open(void)
{
	is_open = true;
}

void arena_close(void)
{
	is_open = false;
}

size_t arena_used(void)
{
	return head->used;
}

void arena_set_hole(const void *from, size_t bytes)
{
	hole_from = (size_t)((const unsigned char *)from - REGION_AT);
	hole_to = hole_from + bytes;
}

static bool is_ours(const void *at)
{
	return (const unsigned char *)at >= REGION_AT &&
	       (const unsigned char *)at < places + (size_t)PLACES * PLACE_BYTES;
}

static struct block *freed_of(struct block **list, size_t bytes)
{
	for (; *list; list = &(*list)->next) {
		struct block *block = *list;
		if (block->bytes < bytes)
			continue;
		*list = block->next;
		return block;
	}
	return NULL;
}

static struct block **list_of(size_t bytes)
{
	size_t size = bytes / GRAIN;
	return &head->freed[size < SIZES ? size : SIZES];
}

static void *take(size_t size)
{
	size_t bytes = (size + sizeof(struct block) + GRAIN - 1) / GRAIN * GRAIN;
	struct block *block = freed_of(list_of(bytes), bytes);
	if (!block) {
		block = (struct block *)(REGION_AT + head->used);
		head->used += bytes;
		if (head->used > REGION_BYTES)
			abort();
		block->bytes = bytes;
	}
	return block + 1;
}

static void give(void *at)
{
	if ((unsigned char *)at >= places) {
		head->taken[((unsigned char *)at - places) / PLACE_BYTES] = false;
		return;
	}
	struct block *block = (struct block *)at - 1;
	struct block **list = list_of(block->bytes);
	block->next = *list;
	*list = block;
}

static void *take_place(void)
{
	for (int i = 0; i < PLACES; i++) {
		if (head->taken[i])
			continue;
		head->taken[i] = true;
		return places + (size_t)i * PLACE_BYTES;
	}
	abort();
}

void *__wrap_malloc(size_t size)
{
	return is_open ? take(size) : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (!is_open)
		return __real_calloc(count, size);
	void *at = take(count * size);
	memset(at, 0, count * size);
	return at;
}

static void *grow(void *old, size_t size)
{
	if (size > PLACE_BYTES)
		abort();
	if ((unsigned char *)old >= places)
		return old;
	size_t had = old ? ((struct block *)old - 1)->bytes - sizeof(struct block) : 0;
	if (size <= had)
		return old;
	void *at = size > BIG_BYTES ? take_place() : take(size);
	if (old) {
		memcpy(at, old, had);
		give(old);
	}
	return at;
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_open && (!old || is_ours(old)) ? grow(old, size) : __real_realloc(old, size);
}

void __wrap_free(void *old)
{
	if (!is_ours(old))
		__real_free(old);
	else if (old)
		give(old);
}

static void copy(unsigned char *to, const unsigned char *from, size_t used)
{
	if (hole_to > hole_from && used >= hole_to) {
		memcpy(to, from, hole_from);
		memcpy(to + hole_to, from + hole_to, used - hole_to);
	} else {
		memcpy(to, from, used);
	}
}

void snapshot_take(struct snapshot *snapshot)
{
	if (snapshot->capacity < head->used) {
		__real_free(snapshot->bytes);
		snapshot->capacity = head->used * 3 / 2;
		snapshot->bytes = __real_calloc(1, snapshot->capacity);
		if (!snapshot->bytes)
			abort();
	}
	snapshot->used = head->used;
	copy(snapshot->bytes, REGION_AT, snapshot->used);
}

void snapshot_bring_back(const struct snapshot *snapshot)
{
	copy(REGION_AT, snapshot->bytes, snapshot->used);
}

void snapshot_finish(struct snapshot *snapshot)
{
	__real_free(snapshot->bytes);
	*snapshot = (struct snapshot){0};
}

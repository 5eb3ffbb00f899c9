/* held: requests that wait for their turn on the disk: who they are for and their body, a file
 * each, in a folder of the state that only its user can read. Complete ones outlive the broker; the
 * others go with it. What may have been sent is known as such, and what was by the prompt that it
 * became, without its body. */
#pragma once
#include <stdbool.h>

#include "base/list.h"
#include "core/types.h"

enum {
	HELD_HEAD_BYTES = 32 * 1024,
	HELD_COUNT_MAX = 256,
	HELD_PROMPT_BYTES = 128,
	HELD_ID_BYTES = 40,
};

struct held_store {
	char *dir; /* NULL: there is none, nothing can be held */
	struct list files;
	unsigned count;
	uint64_t bytes, bytes_max, bytes_each_max; /* of bodies */
	uint64_t next;
};

/* Texts are without line ends; fields are "name\0value\0..". */
struct held_head {
	const char *server, *target, *host;
	enum lease_class cls;
	const char *fields;
	size_t fields_size;
	const char *id;     /* that it is to have there; "": none */
	const char *prompt; /* what it became; "": it was not sent */
};

struct held {
	struct list in_store;
	struct held_store *store;
	uint64_t number;
	int fd;
	bool complete, sending; /* sending: it may have been sent */
	uint64_t bytes;         /* of the body */
	uint64_t body_from;     /* in the file */
	uint64_t at;            /* read up to here */
};

/* `dir` is made when something is held. */
void held_init(struct held_store *store, const char *dir, uint64_t each_max, uint64_t all_max);
void held_finish(struct held_store *store); /* complete ones stay on the disk */
/* 0, or -ERR_QUEUE_FULL, -ERR_IO with errno. */
int held_begin(struct held_store *store, const struct held_head *head, struct held **ret_held);
/* 0, or -ERR_TOO_LARGE, -ERR_QUEUE_FULL, -ERR_IO with errno. */
int held_write(struct held *held, const char *bytes, size_t length);
int held_end(struct held *held); /* from now on it outlives the broker; 0 or -ERR_IO */
/* Some of the body, from where the last call ended; 0: no more. <0: -ERR_IO. */
int held_read(struct held *held, char *bytes, size_t size);
/* It is about to be sent: a broker that comes after this one asks its server for it first. */
void held_sending(struct held *held, bool sending); /* false: nothing of it was */
/* It became this prompt: its body is forgotten. What fails is forgotten whole. */
void held_sent(struct held *held, const struct held_head *head);
void held_drop(struct held *held); /* takes NULL; the file is gone */
struct held_finder {
	/* Takes the held. */
	void (*found)(void *ctx, const struct held_head *head, struct held *held);
	void (*damaged)(void *ctx, const char *path); /* it cannot be read, and is left as it is */
};
/* Those of an earlier broker, oldest first. */
void held_load(struct held_store *store, const struct held_finder *finder, void *ctx);

/* The head of a file, in place; false: it is none. *ret_size: where the body begins. */
bool held_head_read(char *bytes, size_t length, struct held_head *ret_head, size_t *ret_size);

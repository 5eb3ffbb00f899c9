/* batches: the turns file beside the database. The records of one loop iteration (a turn) are
 * appended as one frame, the cheapest durable write there is; once a checkpoint has moved the turns
 * into the database, a new round starts at the front of the file. Each frame carries its round, so
 * leftovers of an earlier round are never read as turns. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct record;

enum { TURNS_HEADER_BYTES = 24 };

extern const char turns_name[]; /* "journal.db-turns" */

struct batches {
	int fd; /* -1: none */
	uint64_t round;
	uint64_t length; /* of this round's frames */
	uint32_t count;
	dev_t device;
	ino_t inode;
};

/* What lies in a file, seen from the round that the database knows. */
struct batches_found {
	uint64_t length; /* of the whole frames of that round */
	uint32_t count;
	uint64_t round_max; /* the highest of any frame at the front or in that round; 0: none */
	bool lost;          /* frames of that round lie behind what cannot be read */
	bool wrong;         /* `each` refused a record */
};

/* `bytes` is a whole file. Calls `each` for every record of every frame of the round, oldest first,
 * until it returns false. Stops at a truncated frame, as a crash may leave one. */
struct batches_found batches_read(const uint8_t *bytes, size_t length, uint64_t round,
				  bool (*each)(void *ctx, const struct record *record), void *ctx);
/* False: these are not whole records, or `each` (NULL: none) refused one. */
bool batches_each_record(const uint8_t *bytes, size_t length,
			 bool (*each)(void *ctx, const struct record *record), void *ctx);
/* Writes the frame's header into its first TURNS_HEADER_BYTES, for the records that follow. */
void batches_frame(uint8_t *frame, size_t length, uint64_t round, uint32_t index);

/* 0; 1: there is no such file; -ERR_IO. `write`: makes it if it is missing. */
int batches_open(struct batches *turns, int dir_fd, bool write);
void batches_close(struct batches *turns); /* takes a closed one */
/* Reads all frames; appends continue after them. 0, -ERR_IO or -ERR_NO_MEMORY. */
int batches_load(struct batches *turns, uint64_t round,
		 bool (*each)(void *ctx, const struct record *record), void *ctx,
		 struct batches_found *ret_found);
/* `frame`: space for the header, then records. 0, or -ERR_IO and the next append overwrites the
 * same position. */
int batches_append(struct batches *turns, uint8_t *frame, size_t length);
/* The database has all turns: start a new round at the front. */
void batches_begin(struct batches *turns, uint64_t round);
/* The same on clean shutdown: an empty file means that no turn is missing. */
void batches_end(struct batches *turns);
/* Of a copy that was taken while the file was written: cuts what came behind the moment at which
 * the end of its round was read. 0, -ERR_IO or -ERR_NO_MEMORY. */
int batches_cut(int dir_fd);
/* 1: the open file is still at that path, 0: it is gone or replaced, -1: unknown. */
int batches_look(const struct batches *turns, const char *path);

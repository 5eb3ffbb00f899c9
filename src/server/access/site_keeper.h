/* site_keeper: sites and the file that they are kept in: what the policy counts follows what is
 * allowed. */
#pragma once
#include "server/access/sites.h"

struct access_setup;
struct log;
struct paths;

/* All is borrowed. */
struct site_keeper {
	struct sites *sites;
	struct access_setup *access;
	const struct paths *paths;
	struct log *log;
};

/* Reads what an earlier run kept. A file that is damaged is logged: none of its sites counts. */
void site_keeper_begin(const struct site_keeper *keeper);
/* 0; or -ERR_IO with detail: the file is damaged still. It is read again until it is not. */
int site_keeper_ready(const struct site_keeper *keeper, char *detail, size_t detail_size);
/* Writes them all; the policy counts them as they are, whatever can be written. 0, or -ERR_IO with
 * detail, which is logged, too. */
int site_keeper_save(const struct site_keeper *keeper, char *detail, size_t detail_size);
/* A site has shown its token. Written once an hour at most. */
void site_keeper_used(const struct site_keeper *keeper, struct site *site, struct wall_ms wall);
/* What cannot be kept is not allowed. 0 or a negative enum err with detail; the origin is written
 * to `ret_origin` then. */
int site_keeper_allow(const struct site_keeper *keeper, uint64_t id, const uint8_t random[32],
		      struct mono_ms now, struct wall_ms wall,
		      char ret_origin[SITE_ORIGIN_BYTES + 1], char *detail, size_t detail_size);

/* monitoring_encode: the answers for pages that watch the broker: who is connected, and the samples
 * of the last hour. Written piece by piece, so that the server can stop before an answer becomes
 * too long. */
#pragma once
#include "core/types.h"

struct client_info;
struct text;

struct client_row {
	uint64_t session;
	const char *id; /* the name it said hello with */
	const char *principal;
	enum binding binding;
	int64_t since_ms, seen_ms; /* ago: its hello, its last message */
	bool browser;
	bool overdue;       /* a lease was revoked, and it did not say `release` yet */
	const char *origin; /* that its connection showed, or NULL: then what it says */
	int64_t uid, pid;   /* of a peer on a Unix socket; below 0, and 0: unknown */
	const struct client_info *about;
};

/* {"type":"clients","clients":[row..]}, and "left_off" with how many rows are missing, if any. */
void encode_clients_begin(struct text *out);
void encode_clients_add(struct text *out, const struct client_row *client);
void encode_clients_end(struct text *out, unsigned left_off);

#define SAMPLE_UNKNOWN UINT32_MAX /* a sample that nobody could take: null */

/* {"type":"samples","step_s":..,"newest_ago_s":..,"gpus":[row..]}, oldest sample first. */
void encode_samples_begin(struct text *out, int64_t step_ms, int64_t newest_ago_ms);
struct sample_series {
	const char *name;
	bool total_known;
	uint64_t total_mb;
	const uint32_t *granted_mb, *used_mb;
	size_t count;
};
void encode_samples_add(struct text *out, const struct sample_series *gpu);
void encode_samples_end(struct text *out);

/* A file of the pages was changed: {"type":"reload","path":..}, for development only. */
void session_encode_reload(struct text *out, const char *path);

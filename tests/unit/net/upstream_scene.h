/* upstream_scene: the HTTP client and a server by hand on one loop, and what a request was told. */
#pragma once
#include "base/err.h"
#include "http/field.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "origin.h"

struct scene {
	struct loop *loop;
	struct upstream *upstream;
	struct origin origin;
	char url[64];
	int descriptors;
};

/* What one request was told. */
struct asked {
	struct scene *scene;
	uint64_t id;
	unsigned heads, bodies, ends, writable;
	int status, err;
	enum upstream_phase phase;
	char what[160], fields[256], body[64];
	bool nobody;
	size_t bytes;
	bool pause_in_head, cancel_in_head, cancel_in_body, pause_in_body, again_in_end;
	struct asked *again;
};

extern const struct upstream_handlers scene_handlers;

struct scene *scene_open(void);
void scene_close(struct scene *scene); /* nothing may run; checks the descriptors */
struct asked scene_get(struct scene *scene);
/* Limits far away: what ends does so by what the server does. */
struct upstream_request scene_plain(const struct scene *scene, const char *method);
void scene_start(struct asked *asked, const struct upstream_request *request);
void scene_wait(struct scene *scene, const unsigned *counter, unsigned at_least);
void scene_check_end(struct asked *asked, int err, enum upstream_phase phase); /* waits for it */
char *scene_bytes(size_t length);

/* residence_scene: the real residences beside what a test says: leases are granted and servers
 * answer where it does, and time passes as it says. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "core/send.h"
#include "gateway/call.h"
#include "gateway/catalog.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/residence.h"
#include "gateway/switch_log.h"

enum { SCENE_UNLOAD_MS = 30 * 1000, SCENE_FINISH_MS = 2000 };

struct residence_scene {
	struct mono_ms now;
	char asked_path[128]; /* of the call that is not answered yet; "": none */
	call_done *done;
	void *ctx;
	bool full; /* no call can be made */
	bool mute; /* connections are not taken, nor refused */
	struct lease_ask ask;
	char again[32]; /* of that */
	bool wanted;    /* requests wait for each model, or run */
	unsigned asks, readies, releases, starts, stops;
	uint64_t released; /* the last party that was */
	struct catalog catalog;
	struct switch_log switches;
	struct residences residences;
};

extern struct residence_scene scene;
extern const struct switch_cause scene_somebody;

/* A server of that kind with these models, up to NULL. */
void scene_begin(const char *kind, bool command, const char *const *names);
void scene_end(void);
struct model *scene_model(const char *name);
void scene_want(struct model *model);
void scene_news(const struct model *model, uint64_t lease, enum send_kind msg,
		enum claim_state state);
/* The server answers what it was asked at `path`. `body` NULL: nobody listens there. */
void scene_answer(const char *path, int status, const char *body);
void scene_pass(int64_t ms);
/* After a restart: its claim was asked for as this server's is, and has this number. */
bool scene_resume(struct model *model, uint64_t lease);

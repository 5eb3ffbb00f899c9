/* model: what can be said of one model or server by itself: whether it is offered, for whom, how
 * large it is. */
#include "gateway/model.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "gateway/adapter.h"

enum { GLOB_BYTES = 256 };

/* Beside its weights a model has a context and the driver's own: a quarter more, and this. */
#define MODEL_CONTEXT_BYTES ((uint64_t)512 << 20)

bool server_has_one_place(const struct model_server *server)
{
	return server->adapter->single && !server->cmd;
}

bool server_has_room(const struct model_server *server)
{
	return !server->worker || server->running < server->concurrency;
}

bool model_is_offered(const struct model *model)
{
	return !model->server->removed && (model->configured || model->listed);
}

bool server_is_for(const struct model_server *server, const char *principal)
{
	return !server->principal || !principal || !strcmp(server->principal, principal);
}

bool model_is_for(const struct model *model, const char *principal)
{
	return model_is_offered(model) && !model->server->adapter->turns &&
	       server_is_for(model->server, principal);
}

/* A glob without a star may leave a tag out, as a request may. */
static bool glob_is_for(const struct model *model, const char *glob)
{
	return fnmatch(glob, model->name, 0) == 0 ||
	       (model->alias && fnmatch(glob, model->alias, 0) == 0) ||
	       adapter_same_model(model->server->adapter, model->name, glob);
}

bool model_is_among(const struct model *model, const char *globs)
{
	char glob[GLOB_BYTES];

	if (!globs)
		return true;
	for (size_t length; *globs; globs += length + (globs[length] == ',')) {
		length = strcspn(globs, ",");
		snprintf(glob, sizeof(glob), "%.*s", (int)length, globs);
		if (glob_is_for(model, glob))
			return true;
	}
	return false;
}

int64_t model_retry_ms(const struct model *model, struct mono_ms now)
{
	return model->failure_err == ERR_NEVER_FITS ? 0 : mono_since(model->retry_at, now);
}

uint64_t model_vram_bytes(const struct model *model)
{
	if (model->vram_bytes)
		return model->vram_bytes;
	if (model->seen_bytes)
		return model->seen_bytes;
	if (model->file_bytes)
		return model->file_bytes + model->file_bytes / 4 + MODEL_CONTEXT_BYTES;
	return model->server->vram_bytes;
}

const char *residence_name(enum residence residence)
{
	static const char *const names[] = {
		[RESIDENCE_NONE] = "not loaded", [RESIDENCE_QUEUED] = "waiting for memory",
		[RESIDENCE_LOADING] = "loading", [RESIDENCE_READY] = "ready",
		[RESIDENCE_LEAVING] = "leaving", [RESIDENCE_UNLOADING] = "unloading",
	};
	return names[residence];
}

uint64_t model_waiting_claim(const struct model *model)
{
	return model->residence == RESIDENCE_QUEUED ? model->lease : 0;
}

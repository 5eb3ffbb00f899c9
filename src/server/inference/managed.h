/* managed: the commands of model servers: started, each with a keeper beside it, their output put
 * into the log, their end told. All end with the broker. */
#pragma once
#include "base/list.h"
#include "base/mono.h"
#include "server/inference/orphans.h"

struct log;
struct loop;
struct process_ask;

struct managed {
	struct loop *loop;
	struct log *log;
	struct list all; /* struct managed_process */
	struct orphans orphans;
	/* As gateway_process_ended. */
	void (*on_end)(void *ctx, uint64_t process, int status);
	void *ctx;
};

void managed_init(struct managed *managed, struct loop *loop, struct log *log,
		  void (*on_end)(void *ctx, uint64_t process, int status), void *ctx);
/* Stops all, and waits for a few seconds until they are gone. */
void managed_finish(struct managed *managed);
/* `device`: what CUDA_VISIBLE_DEVICES is set to, unless ask->env says it; NULL: it is left alone.
 * 0 or a negative errno. */
int managed_start(struct managed *managed, const struct process_ask *ask, const char *device);
void managed_stop(struct managed *managed, uint64_t process);
/* Output that was too much is read on; when to come again, or never. */
struct mono_ms managed_step(struct managed *managed, struct mono_ms now);

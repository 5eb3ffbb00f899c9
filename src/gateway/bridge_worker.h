/* bridge_worker: workers that speak as the predecessor's tabs did. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge_work;
struct work;
struct worker;
struct worker_request;
struct workers;
/* One that speaks as the predecessor's tabs did: of chats, or of embeddings, with that model (NULL:
 * named as the predecessor named it) on one of these GPUs, whose turns Baton takes for it. */
int worker_open_bridge(struct workers *workers, uint64_t conn, const char *principal, bool embeds,
		       const char *model, uint32_t gpus);
struct bridge_work *bridge_work_create(const struct worker_request *request);
void bridge_work_destroy(struct bridge_work *bridge); /* takes NULL */
void bridge_take_body(struct work *work, const char *bytes, size_t length);
void bridge_send_request(struct worker *worker, struct work *work);
void bridge_send_cancel(struct worker *worker, const struct work *work);
void bridge_hear(struct worker *worker, const char *text, size_t length);
/* A request whose time came: what cannot be asked, or was cancelled and is not heard of. */
void bridge_work_due(struct worker *worker, struct work *work);

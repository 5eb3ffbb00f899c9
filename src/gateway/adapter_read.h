/* adapter_read: the answers of model servers, read leniently: what is not there is not said, and
 * what is of another type than expected counts as not there. But of what is loaded: there a row
 * that cannot be read, or a key twice, leaves the whole unread. */
#pragma once
#include "gateway/adapter.h"

bool adapter_read_openai(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_ollama(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_ollama_loaded(const char *body, size_t length, adapter_found *found, void *ctx);
/* llama-server's router: all but those whose state is `unloaded`; one that sleeps keeps a context.
 */
bool adapter_read_router(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_swap(const char *body, size_t length, adapter_found *found, void *ctx);
/* LM Studio: of all its models those that have an instance. */
bool adapter_read_lmstudio(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_localai(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_lemonade(const char *body, size_t length, adapter_found *found, void *ctx);
/* KoboldCpp: files that it could load, what it has loaded, whether it reloads. */
bool adapter_read_kobold_files(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_kobold(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_success(const char *body, size_t length);
/* TabbyAPI: its one model; an error, where it has none. */
bool adapter_read_tabby(const char *body, size_t length, adapter_found *found, void *ctx);
bool adapter_read_tabby_none(const char *body, size_t length);
/* {"status":"ok"}, of a server that names no model. */
bool adapter_read_health(const char *body, size_t length, adapter_found *found, void *ctx);
int adapter_read_slots(const char *body, size_t length, const char *prompt);
/* ComfyUI: its queue, and what PyTorch has reserved of its devices' memory. */
int adapter_read_queue(const char *body, size_t length, const char *prompt);
bool adapter_read_comfyui(const char *body, size_t length, adapter_found *found, void *ctx);
/* The `prompt_id` of a prompt, or of its answer to one; "": there is none that could be asked for.
 */
void adapter_read_prompt(const char *body, size_t length, char *ret_prompt, size_t size);
/* Whether its history has this prompt: {ID: {..}}. */
bool adapter_read_history(const char *body, size_t length, const char *prompt);
/* A1111: whether a job runs, and as above. */
int adapter_read_progress(const char *body, size_t length, const char *prompt);
bool adapter_read_a1111(const char *body, size_t length, adapter_found *found, void *ctx);
/* A response of /v1/responses, or its `status`: whether it is still being made. */
bool adapter_status_pending(const char *status);
bool adapter_read_pending(const char *body, size_t length);
/* The same of its beginning; -1: that does not say. */
int adapter_read_pending_part(const char *body, size_t length);

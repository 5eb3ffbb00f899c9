/* http_decode: claims and their ends as JSON bodies, turned into events. Judges form and range
 * only; whether a claim fits or a token is good is the core's to say. Called by the server and by
 * session_decode.c. */
#include "wire/http_decode.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/binding.h"
#include "core/config.h"
#include "json/json_reader.h"
#include "wire/display_name.h"
#include "wire/json_fields.h"

enum {
	MIB = 1024 * 1024,
	VRAM_MB_MAX = 16 * 1024 * 1024, /* 16 TiB */
	SLOTS_MAX = 1024,
	WAIT_S_MAX = 365 * 24 * 3600,
	PHASE_MS_MAX = 3600 * 1000, /* what a client may say of its own phases; the core clips it */
};

/* fnmatch turns both into wide characters first; most names differ before the first star. */
static bool glob_matches(const char *glob, const char *name)
{
	for (size_t i = 0; glob[i] && !strchr("*?[\\", glob[i]); i++)
		if (glob[i] != name[i])
			return false;
	return fnmatch(glob, name, 0) == 0;
}

enum lease_class class_of_name(const struct wire_context *ctx, const char *name)
{
	for (size_t i = 0; name && i < ctx->rule_count; i++)
		if (glob_matches(ctx->rules[i].glob, name))
			return ctx->rules[i].cls;
	return LEASE_NORMAL;
}

int gpu_index(const struct core_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->gpu_count; i++) {
		const struct gpu_config *gpu = &config->gpus[i];
		if (strcmp(gpu->name, name) == 0 || (gpu->uuid[0] && strcmp(gpu->uuid, name) == 0))
			return (int)i;
	}
	int index = 0;
	size_t digits = strlen(name);
	if (!digits || digits > 2 || strspn(name, "0123456789") != digits)
		return -1;
	for (size_t i = 0; i < digits; i++)
		index = index * 10 + (name[i] - '0');
	return index < (int)config->gpu_count ? index : -1;
}

const struct class_rights *class_rights_of(const struct wire_context *ctx)
{
	for (size_t i = 0; ctx->principal && i < ctx->right_count; i++)
		if (glob_matches(ctx->rights[i].glob, ctx->principal))
			return &ctx->rights[i];
	return NULL;
}

enum lease_class class_nearest(uint32_t allowed, enum lease_class cls)
{
	for (int lower = cls; lower < LEASE_CLASS_COUNT; lower++)
		if (allowed & 1u << lower)
			return (enum lease_class)lower;
	for (int higher = cls; higher > 0; higher--)
		if (allowed & 1u << (higher - 1))
			return (enum lease_class)(higher - 1);
	return cls;
}

/* Naming a class one may not ask for is an error; a class that came from a rule is lowered. */
static int judge_class(struct parsed *parsed, const struct wire_context *ctx, bool named,
		       struct ev_acquire *acquire)
{
	const struct class_rights *rights = class_rights_of(ctx);
	int used;

	if (!rights)
		return 0;
	acquire->waiting_max = rights->waiting_max;
	acquire->held_max = rights->held_max;
	if (rights->classes & 1u << acquire->cls)
		return 0;

	if (!named) {
		acquire->cls = class_nearest(rights->classes, acquire->cls);
		return 0;
	}

	used = snprintf(parsed->detail, sizeof(parsed->detail), "%s may ask for", ctx->principal);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (rights->classes & 1u << cls)
			used += snprintf(parsed->detail + used,
					 sizeof(parsed->detail) - (size_t)used, " %s",
					 lease_class_name(cls));

	return -ERR_CLASS;
}

/* class by name, else the predecessor's number, else the rules. */
static int class_field(const struct json *object, const struct wire_context *ctx, const char *name,
		       struct parsed *parsed, struct ev_acquire *acquire)
{
	const char *text = NULL;
	int err = json_name(parsed, object, "class", LIMIT_LABEL_BYTES, &text);
	if (err < 0)
		return err;

	uint64_t priority = 0;
	bool given = false;
	err = json_u64(parsed, object, "priority", 0, INT32_MAX, &priority, &given);
	if (err < 0)
		return err;

	if (!text) {
		acquire->cls = given ? lease_class_from_priority((int64_t)priority)
				     : class_of_name(ctx, name);
		return judge_class(parsed, ctx, given, acquire);
	}

	int cls = lease_class_from_name(text);
	if (cls < 0)
		return json_refuse(parsed, "class",
				   "expected \"voice\", \"chat\", \"normal\" or \"background\"");

	acquire->cls = (enum lease_class)cls;
	return judge_class(parsed, ctx, true, acquire);
}

/* "there is no 'x'; the GPUs are a, b", as far as it fits. */
static int unknown_gpu(struct parsed *parsed, const char *name, const struct core_config *config)
{
	char words[PARSED_DETAIL_BYTES - 16], names[PARSED_DETAIL_BYTES / 2] = "";
	bool known = name && !display_name_problem(name, strlen(name), LIMIT_GPU_NAME_BYTES);

	for (uint32_t i = 0; i < config->gpu_count; i++) {
		size_t length = strlen(names), left = sizeof(names) - length;
		int wants =
			snprintf(names + length, left, "%s%s", i ? ", " : "", config->gpus[i].name);
		if (wants >= (int)left) {
			names[length] = '\0';
			break;
		}
	}

	snprintf(words, sizeof(words), "there is no %s%.40s%s; %s %s", known ? "'" : "such GPU",
		 known ? name : "", known ? "'" : "",
		 config->gpu_count == 1 ? "the GPU is" : "the GPUs are", names);
	json_refuse(parsed, "gpu", words);
	return -ERR_NO_GPU;
}

/* gpu: a name, a uuid, an index (number or text), "any", or a list of them. */
static int gpu_one(const struct json *value, const struct core_config *config,
		   struct parsed *parsed, uint32_t *ret_mask)
{
	const char *name = json_text(value);
	int index = -1;

	if (name) {
		if (strcmp(name, "any") == 0) {
			*ret_mask = UINT32_MAX;
			return 0;
		}
		index = gpu_index(config, name);
	} else if (json_is(value, JSON_KIND_INTEGER)) {
		int64_t number = json_whole(value);
		index = number >= 0 && number < (int64_t)config->gpu_count ? (int)number : -1;
	} else {
		return json_refuse(parsed, "gpu", "expected a name, a uuid, an index or \"any\"");
	}

	if (index < 0)
		return unknown_gpu(parsed, name, config);
	*ret_mask = UINT32_C(1) << index;
	return 0;
}

static int gpu_field(const struct json *object, const struct core_config *config,
		     struct parsed *parsed, uint32_t *ret_mask)
{
	const struct json *value = json_get(object, "gpu");

	*ret_mask = 0;
	if (!value || json_is(value, JSON_KIND_NULL))
		return 0;

	if (!json_is(value, JSON_KIND_ARRAY))
		return gpu_one(value, config, parsed, ret_mask);
	size_t count = json_count(value);
	if (!count || count > LIMIT_GPUS)
		return json_refuse(parsed, "gpu", "expected 1 to 16 GPUs in the list");

	for (size_t i = 0; i < count; i++) {
		uint32_t mask;
		int err = gpu_one(json_at(value, i), config, parsed, &mask);
		if (err < 0)
			return err;
		*ret_mask |= mask;
	}

	return 0;
}

/* slots: a number, or "all" that each GPU has. */
static int slots_field(const struct json *object, struct parsed *parsed, uint64_t *ret_slots,
		       bool *ret_all)
{
	const char *word = json_text(json_get(object, "slots"));

	*ret_all = word && strcmp(word, "all") == 0;
	if (word && !*ret_all)
		return json_refuse(parsed, "slots", "expected a number or \"all\"");
	return word ? 0 : json_u64(parsed, object, "slots", 0, SLOTS_MAX, ret_slots, NULL);
}

static int need_fields(const struct json *object, const struct wire_context *ctx,
		       struct parsed *parsed, struct need *ret_need)
{
	uint64_t vram_mb = 0, slots = 1, count = 1;
	uint32_t mask;
	bool all = false;
	int err = json_u64(parsed, object, "vram_mb", 0, VRAM_MB_MAX, &vram_mb, NULL);
	if (err == 0)
		err = slots_field(object, parsed, &slots, &all);
	if (err == 0)
		err = json_u64(parsed, object, "gpus", 1, LIMIT_GPUS, &count, NULL);
	if (err == 0)
		err = gpu_field(object, ctx->config, parsed, &mask);
	if (err < 0)
		return err;

	if (!slots && !vram_mb)
		return json_refuse(parsed, "slots", "0 slots need vram_mb, or nothing is claimed");
	if (mask && (uint64_t)__builtin_popcount(mask) < count)
		return json_refuse(parsed, "gpus", "more GPUs than `gpu` names");

	*ret_need = (struct need){.vram_bytes = vram_mb * MIB,
				  .slots = (uint32_t)slots,
				  .gpu_count = (uint32_t)count,
				  .gpu_mask = mask,
				  .all_slots = all};
	return 0;
}

static int time_fields(const struct json *object, const struct wire_context *ctx,
		       struct parsed *parsed, struct ev_acquire *acquire)
{
	acquire->timeout_ms = ctx->config->timeout_ms;
	int err = json_seconds(parsed, object, "timeout_s", WAIT_S_MAX, &acquire->timeout_ms, NULL);
	if (json_is(json_get(object, "timeout_s"), JSON_KIND_NULL))
		acquire->timeout_ms = -1; /* an explicit null: wait without limit */

	if (err == 0)
		err = json_seconds(parsed, object, "ttl_s", ctx->config->http_ttl_ms_max / 1000,
				   &acquire->ttl_ms, NULL);
	if (err == 0)
		err = json_ms(parsed, object, "uninterruptible_ms", PHASE_MS_MAX,
			      &acquire->uninterruptible_ms);
	if (err == 0)
		err = json_ms(parsed, object, "min_residence_ms", PHASE_MS_MAX,
			      &acquire->min_residence_ms);
	if (err == 0)
		err = json_ms(parsed, object, "load_ms", PHASE_MS_MAX, &acquire->load_ms);
	return err;
}

/* What it has to do with other leases. */
static int room_fields(const struct json *object, struct parsed *parsed, struct ev_acquire *acquire)
{
	uint64_t guests = 0;
	int err = json_u64(parsed, object, "parent", 1, INT64_MAX, &acquire->parent, NULL);
	if (err == 0)
		err = json_u64(parsed, object, "host", 1, INT64_MAX, &acquire->host, NULL);
	if (err == 0)
		err = json_u64(parsed, object, "guests", 0, 64, &guests, NULL);
	if (err == 0)
		err = json_bool(parsed, object, "guests_open", &acquire->guests_open);
	if (err == 0)
		err = json_u64(parsed, object, "resumes", 1, INT64_MAX, &acquire->resumes, NULL);
	acquire->guests = (uint32_t)guests;
	return err;
}

static int flag_fields(const struct json *object, struct parsed *parsed, struct ev_acquire *acquire)
{
	bool wait = true;
	int err = json_bool(parsed, object, "wait", &wait);
	if (err == 0)
		err = json_bool(parsed, object, "preemptible", &acquire->preemptible);
	if (err == 0)
		err = json_bool(parsed, object, "evictable", &acquire->evictable);
	if (err == 0)
		err = json_bool(parsed, object, "loads", &acquire->loads);
	if (err == 0)
		err = room_fields(object, parsed, acquire);

	if (err == 0)
		err = json_name(parsed, object, "request_id", LIMIT_REQUEST_ID_BYTES,
				&acquire->request_id);
	if (err == 0)
		err = json_name(parsed, object, "label", LIMIT_LABEL_BYTES, &acquire->label);

	acquire->no_wait = !wait;
	return err;
}

int decode_acquire(const struct json *object, const struct wire_context *ctx, const char *name,
		   enum binding binding, struct parsed *parsed, struct event *ret_event)
{
	/* Who cannot hear a yield would only ever learn of the revocation. */
	struct ev_acquire acquire = {.binding = binding, .preemptible = binding_of(binding)->ears};
	int err = class_field(object, ctx, name, parsed, &acquire);
	if (err == 0)
		err = need_fields(object, ctx, parsed, &acquire.need);
	if (err == 0)
		err = time_fields(object, ctx, parsed, &acquire);
	if (err == 0)
		err = flag_fields(object, parsed, &acquire);
	if (err < 0)
		return err;
	*ret_event = (struct event){.type = EVENT_ACQUIRE, .acquire = acquire};
	return 0;
}

int http_decode_lock(const char *body, size_t length, const struct wire_context *ctx,
		     enum binding binding, struct parsed *ret_parsed, struct event *ret_event)
{
	int err = json_parse(body, length, LIMIT_BODY_BYTES, ret_parsed);
	if (err < 0)
		return err;
	const char *id = NULL;
	err = json_name(ret_parsed, ret_parsed->root, "id", LIMIT_ID_BYTES, &id);
	if (err < 0)
		return err;
	if (!id)
		return json_missing(ret_parsed, "id");
	err = decode_acquire(ret_parsed->root, ctx, id, binding, ret_parsed, ret_event);
	if (err < 0)
		return err;
	ret_event->acquire.name = id;
	return 0;
}

int http_decode_unlock(const char *body, size_t length, struct parsed *ret_parsed,
		       struct event *ret_event)
{
	int err = json_parse(body, length, LIMIT_BODY_BYTES, ret_parsed);
	if (err < 0)
		return err;

	const char *id = NULL;
	bool given = false, keep = false;
	err = json_name(ret_parsed, ret_parsed->root, "id", LIMIT_ID_BYTES, &id);
	if (err == 0)
		err = json_token(ret_parsed, ret_parsed->root, "token", &given);
	if (err == 0)
		err = json_bool(ret_parsed, ret_parsed->root, "keep", &keep);
	if (err < 0)
		return err;

	if (!given && !id)
		return json_missing(ret_parsed, "token");
	*ret_event = (struct event){.type = EVENT_RELEASE,
				    .release = {.token = given ? &ret_parsed->token : NULL,
						.id = given ? NULL : id,
						.keep = keep}};
	return 0;
}

int http_decode_renew(const char *body, size_t length, const struct wire_context *ctx,
		      struct parsed *ret_parsed, struct event *ret_event)
{
	int err = json_parse(body, length, LIMIT_BODY_BYTES, ret_parsed);
	if (err < 0)
		return err;

	int64_t ttl_ms = 0;
	uint64_t need_ms = 0;
	bool given = false, yields = false, ready = false;
	err = json_token(ret_parsed, ret_parsed->root, "token", &given);
	if (err == 0)
		err = json_seconds(ret_parsed, ret_parsed->root, "ttl_s",
				   ctx->config->http_ttl_ms_max / 1000, &ttl_ms, NULL);
	if (err == 0)
		err = json_u64(ret_parsed, ret_parsed->root, "need_ms", 0, PHASE_MS_MAX, &need_ms,
			       &yields);
	if (err == 0)
		err = json_bool(ret_parsed, ret_parsed->root, "ready", &ready);
	if (err < 0)
		return err;

	if (!given)
		return json_missing(ret_parsed, "token");
	*ret_event = (struct event){.type = yields  ? EVENT_YIELDING
					    : ready ? EVENT_READY
						    : EVENT_RENEW,
				    .renew = {.token = &ret_parsed->token,
					      .ttl_ms = yields ? (int64_t)need_ms : ttl_ms}};
	return 0;
}

int http_decode_alive(const char *body, size_t length, struct parsed *ret_parsed,
		      struct event *ret_event)
{
	bool given = false;
	int err = json_parse(body, length, LIMIT_BODY_BYTES, ret_parsed);
	if (err == 0)
		err = json_session(ret_parsed, ret_parsed->root, "session", &given);
	if (err < 0)
		return err;

	if (!given)
		return json_missing(ret_parsed, "session");
	*ret_event = (struct event){.type = EVENT_ALIVE};
	return 0;
}

int http_decode_admin(const char *body, size_t length, enum admin_act act, uint64_t lease,
		      const char *who, struct parsed *ret_parsed, struct event *ret_event)
{
	const char *reason = NULL;
	*ret_parsed = (struct parsed){0};
	int err = length ? json_parse(body, length, LIMIT_BODY_BYTES, ret_parsed) : 0;
	if (err == 0 && length)
		err = json_name(ret_parsed, ret_parsed->root, "reason", LIMIT_REASON_BYTES,
				&reason);
	if (err < 0)
		return err;
	*ret_event =
		(struct event){.type = EVENT_ADMIN,
			       .admin = {.act = act, .lease = lease, .who = who, .reason = reason}};
	return 0;
}

/* mcp_leases: turns libbaton's callbacks into answers and notifications. Judges no argument. */
#include "cli/mcp/mcp_leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/mcp/mcp_output.h"
#include "cli/mcp/mcp_words.h"
#include <baton/baton.h>

enum { STOP_MARGIN_MS = 250 }; /* so long before the broker would kill us */

void mcp_leases_init(struct mcp_leases *leases)
{
	const char *parent = getenv("BATON_LEASE");
	*leases = (struct mcp_leases){.parent = parent ? strtoull(parent, NULL, 10) : 0};
	snprintf(leases->name, sizeof(leases->name), "mcp");
}

void mcp_leases_name(struct mcp_leases *leases, const char *client)
{
	char name[100];
	size_t length = 0;

	for (; *client && length + 1 < sizeof(name); client++)
		if (*client > ' ' && *client < 0x7f)
			name[length++] = *client;
	name[length] = '\0';
	snprintf(leases->name, sizeof(leases->name), "%s%smcp", name, length ? "-" : "");
}

/* ---- one lease ---- */

static void lease_answered(struct mcp_lease *lease)
{
	json_decref(lease->call);
	json_decref(lease->progress);
	lease->call = lease->progress = NULL;
}

static void lease_destroy(struct mcp_lease *lease)
{
	baton_claim_free(lease->claim);
	lease_answered(lease);
	free(lease);
}

bool mcp_lease_is_held(const struct mcp_lease *lease)
{
	return lease->claim && baton_claim_lease(lease->claim);
}

struct mcp_lease *mcp_leases_find(struct mcp_leases *leases, uint64_t id)
{
	for (struct mcp_lease *lease = leases->first; lease; lease = lease->next)
		if (lease->id == id && id != 0 && lease->fence != 0)
			return lease;
	return NULL;
}

/* The oldest of those that are over is forgotten. */
static void forget_oldest(struct mcp_leases *leases)
{
	struct mcp_lease **found = NULL;
	size_t count = 0;

	for (struct mcp_lease **at = &leases->first; *at; at = &(*at)->next) {
		count++;
		if (!(*at)->claim)
			found = at;
	}

	if (count <= MCP_LEASES_KEPT || !found)
		return;
	struct mcp_lease *lease = *found;
	*found = lease->next;
	lease_destroy(lease);
}

static void lease_is_over(struct mcp_lease *lease)
{
	baton_claim_free(lease->claim);
	lease->claim = NULL;
	lease->stop_by_ms = 0;
}

bool mcp_lease_release(struct mcp_lease *lease)
{
	bool was_held = mcp_lease_is_held(lease);

	if (was_held)
		baton_release(lease->claim, false);
	else if (lease->claim)
		baton_lease_stopped(lease->claim);
	lease_is_over(lease);
	return was_held;
}

/* ---- callbacks of libbaton ---- */

static void tell_client(const char *level, const struct mcp_lease *lease, const char *event,
			const char *words)
{
	json_t *data = json_pack("{s:I, s:I, s:s, s:o, s:s}", "lease", (json_int_t)lease->id,
				 "fence", (json_int_t)lease->fence, "event", event, "reason",
				 mcp_text(lease->reason), "message", words);
	mcp_notify("notifications/message",
		   json_pack("{s:s, s:s, s:o}", "level", level, "logger", "baton", "data", data));
}

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct mcp_lease *lease = ctx;
	const char *words = *place->sentence ? place->sentence : place->why;

	lease->id = baton_claim_id(claim);
	if (!lease->progress || !*words)
		return;
	mcp_notify("notifications/progress",
		   json_pack("{s:O, s:I, s:o}", "progressToken", lease->progress, "progress",
			     (json_int_t)++lease->told, "message", mcp_text(words)));
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *granted, void *ctx)
{
	struct mcp_lease *lease = ctx;
	(void)claim;
	lease->id = baton_lease_id(granted);
	lease->fence = baton_lease_fence(granted);

	if (lease->call)
		mcp_words_granted(lease->call, granted);
	lease_answered(lease);
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct mcp_lease *lease = ctx;
	(void)claim;
	snprintf(lease->reason, sizeof(lease->reason), "%s", yield->reason);
	snprintf(lease->whom, sizeof(lease->whom), "%s", yield->for_whom);
	tell_client(
		"warning", lease, "yield",
		"Somebody else needs the GPU: save, stop what uses it, and call lease_release.");
}

static void on_kept(struct baton_claim *claim, void *ctx)
{
	struct mcp_lease *lease = ctx;
	(void)claim;
	lease->reason[0] = lease->whom[0] = '\0';
	tell_client("info", lease, "kept", "Nobody needs the GPU any more: go on.");
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct mcp_lease *lease = ctx;
	int64_t left_ms = baton_time_left_ms(claim);

	lease->lost = true;
	lease->stop_by_ms =
		clock_now_ms() + (left_ms > STOP_MARGIN_MS ? left_ms - STOP_MARGIN_MS : 0);
	snprintf(lease->reason, sizeof(lease->reason), "%s", reason);
	tell_client("error", lease, "lost",
		    "The lease is lost: stop what uses the GPU now, and call lease_release.");
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct mcp_lease *lease = ctx;
	(void)claim, (void)reason;

	if (lease->call && code < 0)
		mcp_words_denied(lease->call, code, baton_detail(lease->all->baton));
	lease_answered(lease);
	lease->lost = lease->lost || code < 0;
	lease_is_over(lease);
}

/* ---- all ---- */

void mcp_leases_finish(struct mcp_leases *leases)
{
	for (struct mcp_lease *lease = leases->first; lease; lease = lease->next)
		lease->claim = NULL; /* baton_close frees them */
	baton_close(leases->baton);
	leases->baton = NULL;

	while (leases->first) {
		struct mcp_lease *lease = leases->first;
		leases->first = lease->next;
		lease_destroy(lease);
	}
}

static int connect_broker(struct mcp_leases *leases)
{
	struct baton_options options;

	if (leases->baton)
		return 0;
	baton_options_init(&options);
	options.name = leases->name;
	return baton_connect(&options, &leases->baton);
}

static void set_handlers(struct baton_claim_handlers *handlers)
{
	baton_claim_handlers_init(handlers);
	handlers->queued = on_queued;
	handlers->granted = on_granted;
	handlers->yield = on_yield;
	handlers->kept = on_kept;
	handlers->revoked = on_revoked;
	handlers->ended = on_ended;
	handlers->stops_later = true;
}

void mcp_leases_acquire(struct mcp_leases *leases, const struct baton_request *request,
			json_t *call, json_t *progress)
{
	struct baton_claim_handlers handlers;
	struct baton_request own = *request;
	struct mcp_lease *lease = calloc(1, sizeof(*lease));
	int rc = lease ? connect_broker(leases) : BATON_E_NO_MEMORY;

	set_handlers(&handlers);
	own.handlers = &handlers;
	own.parent_lease = leases->parent;
	own.ctx = lease;
	if (rc == 0)
		rc = baton_acquire(leases->baton, &own, &lease->claim);
	if (rc < 0) {
		mcp_words_denied(call, rc, leases->baton ? baton_detail(leases->baton) : "");
		free(lease);
		return;
	}

	lease->all = leases;
	lease->call = json_incref(call);
	lease->progress = json_incref(progress);
	lease->next = leases->first;
	leases->first = lease;
	forget_oldest(leases);
}

void mcp_leases_cancel(struct mcp_leases *leases, const json_t *call)
{
	for (struct mcp_lease *lease = leases->first; lease; lease = lease->next) {
		if (!lease->call || !json_equal(lease->call, call))
			continue;
		lease_answered(lease);
		lease_is_over(lease);
		return;
	}
}

int mcp_leases_fd(const struct mcp_leases *leases)
{
	return leases->baton ? baton_fd(leases->baton) : -1;
}

int mcp_leases_wait_ms(const struct mcp_leases *leases)
{
	int64_t wait_ms = -1, now = clock_now_ms();

	for (const struct mcp_lease *lease = leases->first; lease; lease = lease->next) {
		int64_t left_ms = lease->stop_by_ms > now ? lease->stop_by_ms - now : 0;
		if (lease->stop_by_ms != 0 && (wait_ms < 0 || left_ms < wait_ms))
			wait_ms = left_ms;
	}
	return (int)(wait_ms < INT32_MAX ? wait_ms : INT32_MAX);
}

void mcp_leases_dispatch(struct mcp_leases *leases)
{
	if (!leases->baton)
		return;

	for (struct mcp_lease *lease = leases->first; lease; lease = lease->next)
		if (lease->stop_by_ms != 0 && lease->stop_by_ms <= clock_now_ms())
			mcp_lease_release(lease);

	if (baton_dispatch(leases->baton, 0) >= 0)
		return;

	/* Over for good; the next question opens a new session. */
	for (struct mcp_lease *lease = leases->first; lease; lease = lease->next) {
		lease->lost = lease->lost || lease->claim;
		lease->claim = NULL;
		lease->stop_by_ms = 0;
		if (lease->call)
			mcp_words_denied(lease->call, BATON_E_UNREACHABLE, "");
		lease_answered(lease);
	}
	baton_close(leases->baton);
	leases->baton = NULL;
}

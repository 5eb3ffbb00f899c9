/* Goal: each message of the session protocol, in both directions, is byte for byte what its file in
 * golden/ shows, and the other side reads it back. Method: build or render, compare, parse. The
 * files are the protocol's examples; docs/protocol.md is checked against them by
 * tests/unit/wire/protocol.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "core/config.h"
#include "core/send.h"
#include "golden.h"
#include "json/json_reader.h"
#include "wire/client_decode.h"
#include "wire/client_encode.h"
#include "wire/http_decode.h"
#include "wire/monitoring_encode.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

#define HEX "00112233445566778899aabbccddeeff"

static struct core_config config = {
	.timeout_ms = 120 * 1000,
	.http_ttl_ms_max = 3600 * 1000,
	.heartbeat_ms = 5000,
	.session_ttl_ms = 20000,
	.gpu_count = 2,
	.gpus = {{.name = "gpu0",
		  .uuid = "GPU-6f1d",
		  .maker = GPU_MAKER_NVIDIA,
		  .has_maker_index = true,
		  .maker_index = 2},
		 {.name = "big", .uuid = "0000:03:00.0", .maker = GPU_MAKER_AMD}},
};
static const struct wire_context ctx = {.config = &config};

static struct token token(void)
{
	struct token token;
	assert_true(token_from_hex(HEX, 32, &token));
	return token;
}

/* Compares `out` with client/NAME.json, parses it as the broker does, and clears it. */
static void asked(struct text *out, const char *file, const char *name, struct session_request *m)
{
	golden_check(file, out->bytes);
	int err = session_decode(out->bytes, out->length, &ctx, name, m);
	if (err)
		print_error("%s: %s\n", file, m->parsed.detail);
	assert_int_equal(err, 0);
	text_clear(out);
}

/* hello, new and resuming. */
static void test_ask_hello(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	client_encode_hello(&out, &(struct client_hello){.name = "trainer"});
	asked(&out, "client-hello.json", NULL, &m);
	assert_int_equal(m.kind, REQUEST_HELLO);
	session_request_finish(&m);
	client_encode_hello(&out, &(struct client_hello){.name = "tab",
							 .token = "install-token",
							 .resume = "17-" HEX});
	asked(&out, "client-hello-resume.json", NULL, &m);
	assert_string_equal(m.token, "install-token");
	assert_memory_equal(m.event.session.resume, token().b, 16);
	session_request_finish(&m);
	text_finish(&out);
}

/* acquire with nothing but its ref, and with all there is. */
static void test_ask_acquire(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	client_encode_acquire(&out, &(struct client_acquire){.ref = 1});
	asked(&out, "client-acquire.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_ACQUIRE);
	assert_int_equal(m.event.acquire.ref, 1);
	assert_int_equal(m.event.acquire.need.slots, 1);
	assert_int_equal(m.event.acquire.timeout_ms, 120000);
	session_request_finish(&m);
	const struct client_acquire all = {.ref = 2,
					   .class_name = "chat",
					   .gpu = "big",
					   .request_id = "r-1",
					   .label = "llama-3-8b",
					   .gpu_count = 1,
					   .slots_given = true,
					   .slots = 0,
					   .vram_mb = 6144,
					   .timeout_given = true,
					   .timeout_ms = 1500,
					   .no_wait = true,
					   .no_preempt = true,
					   .evictable = true,
					   .loads = true,
					   .uninterruptible_ms = 1000,
					   .min_residence_ms = 2000,
					   .load_ms = 3000,
					   .parent = 7,
					   .host = 8,
					   .resumes = 9,
					   .guests = 4,
					   .guests_open = true,
					   .accept = true};
	client_encode_acquire(&out, &all);
	asked(&out, "client-acquire-all.json", "tab", &m);
	assert_int_equal(m.event.acquire.cls, LEASE_CHAT);
	assert_int_equal(m.event.acquire.need.gpu_mask, 2);
	assert_int_equal(m.event.acquire.need.slots, 0);
	assert_int_equal(m.event.acquire.need.vram_bytes, UINT64_C(6144) << 20);
	assert_int_equal(m.event.acquire.timeout_ms, 1500);
	assert_true(m.event.acquire.no_wait && !m.event.acquire.preemptible);
	assert_true(m.event.acquire.evictable);
	assert_true(m.event.acquire.loads);
	assert_int_equal(m.event.acquire.parent, 7);
	assert_int_equal(m.event.acquire.host, 8);
	assert_int_equal(m.event.acquire.resumes, 9);
	assert_true(m.event.acquire.guests == 4 && m.event.acquire.guests_open);
	assert_true(m.event.acquire.accept);
	assert_string_equal(m.event.acquire.label, "llama-3-8b");
	session_request_finish(&m);
	client_encode_acquire(
		&out, &(struct client_acquire){.ref = 3, .timeout_given = true, .timeout_ms = -1});
	asked(&out, "client-acquire-for-ever.json", "tab", &m);
	assert_true(m.event.acquire.timeout_ms < 0);
	session_request_finish(&m);
	text_finish(&out);
}

/* The short messages about one lease or claim. */
static void test_ask_lease(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	client_encode_accept(&out, 7);
	asked(&out, "client-accept.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_ACCEPT);
	assert_int_equal(m.event.lease, 7);
	session_request_finish(&m);
	client_encode_cancel(&out, 2);
	asked(&out, "client-cancel.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_CANCEL);
	assert_int_equal(m.event.cancel.ref, 2);
	session_request_finish(&m);
	client_encode_release(&out, 7, "");
	asked(&out, "client-release.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_RELEASE);
	assert_int_equal(m.event.release.lease, 7);
	assert_false(m.event.release.requeue);
	assert_null(m.event.release.token);
	assert_null(m.event.release.detail);
	session_request_finish(&m);
	client_encode_release(&out, 7, "exit status 1");
	asked(&out, "client-release-detail.json", "tab", &m);
	assert_string_equal(m.event.release.detail, "exit status 1");
	session_request_finish(&m);
	assert_false(m.event.release.moved);
	client_encode_requeue(&out, 7, false);
	asked(&out, "client-release-requeue.json", "tab", &m);
	assert_true(m.event.release.requeue);
	assert_false(m.event.release.moved);
	session_request_finish(&m);
	client_encode_requeue(&out, 7, true);
	asked(&out, "client-release-moved.json", "tab", &m);
	assert_true(m.event.release.requeue && m.event.release.moved);
	session_request_finish(&m);
	client_encode_yielding(&out, 7, 800);
	asked(&out, "client-yielding.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_YIELDING);
	assert_int_equal(m.event.renew.ttl_ms, 800);
	session_request_finish(&m);
	client_encode_renew(&out, 7);
	asked(&out, "client-renew.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_RENEW);
	assert_null(m.event.renew.token);
	session_request_finish(&m);
	client_encode_ready(&out, 7);
	asked(&out, "client-ready.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_READY);
	assert_int_equal(m.event.renew.lease, 7);
	session_request_finish(&m);
	client_encode_change(&out, 7, 0, 6144);
	asked(&out, "client-change.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_CHANGE);
	assert_int_equal(m.event.change.need.slots, 0);
	assert_int_equal(m.event.change.need.vram_bytes, UINT64_C(6144) << 20);
	session_request_finish(&m);
	client_encode_lend(&out, 7, 8);
	asked(&out, "client-lend.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_LEND);
	assert_int_equal(m.event.lend.to, 8);
	session_request_finish(&m);
	text_finish(&out);
}

/* What uses the GPU beside the client itself, and that nothing does any more. */
static void test_ask_processes(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	client_encode_processes(
		&out, &(struct client_processes){.pids = (pid_t[]){4711, 4712},
						 .keeper = 4712,
						 .count = 2,
						 .cgroup = "/sys/fs/cgroup/user.slice/job.scope"});
	asked(&out, "client-processes.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_PROCESSES);
	assert_ptr_equal(m.event.processes, &m.named);
	assert_int_equal(m.named.count, 2);
	assert_int_equal(m.named.v[1].pid, 4712);
	assert_int_equal(m.named.keeper, 4712);
	assert_string_equal(m.named.cgroup, "/sys/fs/cgroup/user.slice/job.scope");
	session_request_finish(&m);
	client_encode_processes(&out, &(struct client_processes){0});
	asked(&out, "client-processes-none.json", "tab", &m);
	assert_true(m.named.count == 0 && m.named.cgroup[0] == '\0');
	session_request_finish(&m);
	text_finish(&out);
}

/* What concerns the session as a whole, and questions to the broker. */
static void test_ask_rest(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	client_encode_alive(&out);
	asked(&out, "client-alive.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_ALIVE);
	session_request_finish(&m);
	client_encode_bye(&out);
	asked(&out, "client-bye.json", "tab", &m);
	assert_int_equal(m.event.type, EVENT_BYE);
	session_request_finish(&m);
	client_encode_status(&out, 50);
	asked(&out, "client-status.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_STATUS);
	assert_int_equal(m.limit, 50);
	session_request_finish(&m);
	client_encode_subscribe(&out, true, false);
	asked(&out, "client-subscribe.json", "tab", &m);
	assert_true(m.kind == REQUEST_SUBSCRIBE && m.events && !m.logs);
	session_request_finish(&m);
	client_encode_logs(&out, 20, 12);
	asked(&out, "client-logs.json", "tab", &m);
	assert_true(m.kind == REQUEST_LOGS && m.limit == 20 && m.since == 12);
	session_request_finish(&m);
	client_encode_admin(&out, ADMIN_REVOKE, 7, "maintenance");
	asked(&out, "client-admin.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_ADMIN);
	assert_int_equal(m.event.type, EVENT_ADMIN);
	assert_int_equal(m.event.admin.act, ADMIN_REVOKE);
	assert_int_equal(m.event.admin.lease, 7);
	assert_string_equal(m.event.admin.reason, "maintenance");
	assert_string_equal(m.event.admin.who, "tab");
	session_request_finish(&m);
	client_encode_admin(&out, ADMIN_FORCE_RELEASE_ALL, 0, NULL);
	asked(&out, "client-admin-all.json", "tab", &m);
	assert_int_equal(m.event.admin.act, ADMIN_FORCE_RELEASE_ALL);
	session_request_finish(&m);
	client_encode_admin(&out, ADMIN_CANCEL, 8, "wrong model");
	asked(&out, "client-admin-cancel.json", "tab", &m);
	assert_int_equal(m.event.admin.act, ADMIN_CANCEL);
	assert_int_equal(m.event.admin.lease, 8);
	session_request_finish(&m);
	client_encode_open(&out);
	asked(&out, "client-open.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_OPEN);
	session_request_finish(&m);
	client_encode_reload(&out);
	asked(&out, "client-reload.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_RELOAD);
	session_request_finish(&m);
	text_finish(&out);
}

/* What only pages say: no C program of ours writes it. */
static void test_ask_of_pages(void **state)
{
	(void)state;
	struct text out;
	struct session_request m;
	text_init(&out);
	text_str(&out, "{\"type\":\"about\",\"page\":\"Console\",\"visible\":true,"
		       "\"stalled_ms\":0,\"adapter\":\"nvidia ampere\","
		       "\"clamped\":\"maxBufferSize\",\"vram_mb\":512}");
	asked(&out, "client-about.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_ABOUT);
	assert_string_equal(m.about.page, "Console");
	assert_string_equal(m.about.adapter, "nvidia ampere");
	assert_string_equal(m.about.clamped, "maxBufferSize");
	assert_string_equal(m.about.origin, "");
	assert_true(m.about.visible && m.about.visible_known);
	assert_true(m.about.stalled_known && m.about.stalled_ms == 0);
	assert_true(m.about.vram_known && m.about.vram_mb == 512);
	session_request_finish(&m);
	text_str(&out, "{\"type\":\"about\",\"origin\":\"https://app.example\"}");
	asked(&out, "client-about-origin.json", "tab", &m);
	assert_string_equal(m.about.origin, "https://app.example");
	assert_false(m.about.visible_known || m.about.stalled_known || m.about.vram_known);
	session_request_finish(&m);
	text_str(&out, "{\"type\":\"clients\"}");
	asked(&out, "client-clients.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_CLIENTS);
	session_request_finish(&m);
	text_str(&out, "{\"type\":\"events\",\"limit\":100,\"since\":300000000012}");
	asked(&out, "client-events.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_EVENTS);
	assert_true(m.limit == 100 && m.since == UINT64_C(300000000012));
	session_request_finish(&m);
	text_str(&out, "{\"type\":\"samples\"}");
	asked(&out, "client-samples.json", "tab", &m);
	assert_int_equal(m.kind, REQUEST_SAMPLES);
	session_request_finish(&m);
	text_finish(&out);
}

/* Renders, compares with broker-NAME.json, parses as the client does. The caller finishes *r. */
static void said(struct send_effect *send, const struct encode_context *facts, const char *file,
		 struct received *r)
{
	struct text out;
	text_init(&out);
	session_encode(&out, send, facts);
	golden_check(file, out.bytes);
	assert_int_equal(client_decode(out.bytes, out.length, r), 0);
	text_finish(&out);
}

/* welcome carries the text that resume shows later. */
static void test_welcome(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config,
				       .epoch = 3,
				       .linger_ms = 2000,
				       .server = "baton/0.1.0",
				       .rights = "token"};
	struct send_effect send = {.msg = SEND_WELCOME, .lease = 17, .token = token()};
	struct received r;
	said(&send, &facts, "broker-welcome.json", &r);
	assert_int_equal(r.type, RECEIVED_WELCOME);
	assert_string_equal(r.session, "17-" HEX);
	assert_string_equal(r.server, "baton/0.1.0");
	assert_int_equal(r.epoch, 3);
	assert_int_equal(r.ping_ms, 5000);
	assert_int_equal(r.session_ttl_ms, 20000);
	assert_int_equal(r.linger_ms, 2000);
	assert_int_equal(r.lease, 0);
	assert_false(r.resumed);
	client_decode_finish(&r);
	send.flag = true;
	said(&send, &facts, "broker-welcome-resumed.json", &r);
	assert_true(r.resumed);
	client_decode_finish(&r);
	facts.rights = "admin";
	facts.dev = true;
	said(&send, &facts, "broker-welcome-dev.json", &r);
	assert_true(json_is(json_get(r.parsed.root, "dev"), JSON_KIND_TRUE));
	client_decode_finish(&r);
}

/* A claim after a resume: what it is now. */
static void test_claim(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config};
	struct send_effect send = {.msg = SEND_CLAIM, .ref = 2, .lease = 7, .state = CLAIM_QUEUED};
	struct received r;
	said(&send, &facts, "broker-claim-queued.json", &r);
	assert_int_equal(r.type, RECEIVED_CLAIM);
	assert_int_equal(r.state, CLAIM_QUEUED);
	assert_int_equal(r.gpu_count, 0);
	client_decode_finish(&r);
	send.state = CLAIM_HELD;
	send.fence = 1001;
	send.gpus = 1;
	said(&send, &facts, "broker-claim-held.json", &r);
	assert_int_equal(r.state, CLAIM_HELD);
	assert_int_equal(r.fence, 1001);
	assert_string_equal(r.gpus[0].uuid, "GPU-6f1d");
	client_decode_finish(&r);
}

/* queued says where, behind whom, how long and why. */
static void test_queued(void **state)
{
	(void)state;
	const struct why why = {
		.code = WHY_HOLDER, .holder = 5, .gpu = 0, .left_ms = 48000, .ahead = 1};
	struct encode_context facts = {.config = &config,
				       .has_place = true,
				       .position = 1,
				       .told = {.estimate = {.p50_ms = 29500, .p90_ms = 74100},
						.bound_ms = 95500,
						.wall = {UINT64_C(1766447001000)}},
				       .why = &why,
				       .holder_name = "Root \"Mic\"",
				       .ahead = {"first", "second"},
				       .ahead_count = 2};
	struct send_effect send = {.msg = SEND_QUEUED, .ref = 2, .lease = 7};
	struct received r;
	said(&send, &facts, "broker-queued.json", &r);
	assert_int_equal(r.type, RECEIVED_QUEUED);
	assert_int_equal(r.position, 1);
	assert_int_equal(r.eta_ms, 29500);
	assert_int_equal(r.eta_p90_ms, 74100);
	assert_string_equal(r.estimate, "about 30 s; 9 of 10 such waits under 75 s");
	assert_string_equal(r.sentence, "2nd in the queue, in about 30 s: Root \"Mic\" holds gpu0 "
					"and must give way in 48 s, now that others wait.");
	assert_int_equal(r.bound_ms, 96000);
	assert_string_equal(r.ahead, "first");
	assert_string_equal(
		r.why, "Root \"Mic\" holds gpu0 and must give way in 48 s, now that others wait.");
	client_decode_finish(&r);
}

/* offered and granted name the fence and every GPU; the token comes with the grant. */
static void test_granted(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config};
	struct send_effect send = {.msg = SEND_OFFERED, .ref = 2, .lease = 7, .fence = 1001};
	struct received r;
	send.gpus = 3;
	said(&send, &facts, "broker-offered.json", &r);
	assert_int_equal(r.type, RECEIVED_OFFERED);
	assert_int_equal(r.gpu_count, 2);
	assert_int_equal(r.gpus[1].index, 1);
	assert_string_equal(r.gpus[1].name, "big");
	assert_null(r.gpus[1].uuid); /* that of an address is none */
	assert_string_equal(r.gpus[0].maker, "nvidia");
	assert_int_equal(r.gpus[0].maker_index, 2);
	assert_string_equal(r.gpus[1].maker, "amd");
	assert_int_equal(r.gpus[1].maker_index, -1);
	assert_false(r.has_token);
	client_decode_finish(&r);
	send.msg = SEND_GRANTED;
	send.token = token();
	send.expires_ms = 20000;
	said(&send, &facts, "broker-granted.json", &r);
	assert_int_equal(r.type, RECEIVED_GRANTED);
	assert_int_equal(r.fence, 1001);
	assert_int_equal(r.expires_ms, 20000);
	assert_true(r.has_token);
	assert_memory_equal(r.token.b, token().b, 16);
	client_decode_finish(&r);

	send.observed = send.would_wait = true;
	said(&send, &facts, "broker-granted-observed.json", &r);
	assert_int_equal(r.type, RECEIVED_GRANTED);
	client_decode_finish(&r);
}

/* yield, revoked, released, timeout: how a lease or a wait ends, and why. */
static void test_endings(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config, .other_name = "Root-Mic"};
	struct send_effect send = {.msg = SEND_YIELD,
				   .lease = 7,
				   .other = 9,
				   .reason = YIELD_PREEMPTED,
				   .grace_ms = 2000};
	struct received r;
	said(&send, &facts, "broker-yield.json", &r);
	assert_int_equal(r.type, RECEIVED_YIELD);
	assert_string_equal(r.reason, "preempted");
	assert_string_equal(r.for_name, "Root-Mic");
	assert_int_equal(r.other, 9);
	assert_int_equal(r.grace_ms, 2000);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_YIELD,
				    .lease = 7,
				    .reason = YIELD_OPERATOR,
				    .grace_ms = 2000,
				    .detail = "maintenance"};
	said(&send, &facts, "broker-yield-operator.json", &r);
	assert_string_equal(r.detail, "maintenance");
	client_decode_finish(&r);
	send = (struct send_effect){
		.msg = SEND_REVOKED, .lease = 7, .reason = YIELD_OPERATOR, .detail = "maintenance"};
	said(&send, &facts, "broker-revoked.json", &r);
	assert_int_equal(r.type, RECEIVED_REVOKED);
	assert_string_equal(r.reason, "operator");
	assert_string_equal(r.detail, "maintenance");
	client_decode_finish(&r);
	send = (struct send_effect){
		.msg = SEND_REVOKED, .lease = 7, .reason = YIELD_PREEMPTED, .grace_ms = 8000};
	said(&send, &facts, "broker-revoked-grace.json", &r);
	assert_int_equal(r.type, RECEIVED_REVOKED);
	assert_int_equal(r.grace_ms, 8000);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_RELEASED,
				    .ref = 2,
				    .lease = 7,
				    .end = END_FORCE_RELEASED,
				    .detail = "maintenance"};
	said(&send, &facts, "broker-released.json", &r);
	assert_int_equal(r.type, RECEIVED_RELEASED);
	assert_string_equal(r.reason, "force-released");
	assert_string_equal(r.detail, "maintenance");
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_TIMEOUT, .ref = 2, .lease = 7};
	said(&send, &facts, "broker-timeout.json", &r);
	assert_int_equal(r.type, RECEIVED_TIMEOUT);
	assert_int_equal(r.ref, 2);
	client_decode_finish(&r);
}

/* denied carries the code of the error table, its words and when to try again. */
static void test_denied(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config};
	struct send_effect send = {.msg = SEND_DENIED, .ref = 2, .err = ERR_QUEUE_FULL};
	struct received r;
	struct text out;
	said(&send, &facts, "broker-denied.json", &r);
	assert_int_equal(r.type, RECEIVED_DENIED);
	assert_int_equal(r.err, ERR_QUEUE_FULL);
	assert_int_equal(r.retry_s, err_retry_s(ERR_QUEUE_FULL));
	assert_string_equal(r.message, err_text(ERR_QUEUE_FULL));
	client_decode_finish(&r);
	text_init(&out);
	session_encode_denied(&out, 5, -ERR_BAD_FIELD, "field `class`: expected \"voice\"");
	golden_check("broker-denied-field.json", out.bytes);
	assert_int_equal(client_decode(out.bytes, out.length, &r), 0);
	assert_int_equal(r.err, ERR_BAD_FIELD);
	assert_int_equal(r.ref, 5);
	assert_string_equal(r.detail, "field `class`: expected \"voice\"");
	client_decode_finish(&r);
	text_finish(&out);
}

/* The short answers. */
static void test_answers(void **state)
{
	(void)state;
	struct encode_context facts = {.config = &config};
	struct send_effect send = {.msg = SEND_RENEWED, .lease = 7, .expires_ms = 20000};
	struct received r;
	said(&send, &facts, "broker-renewed.json", &r);
	assert_true(r.type == RECEIVED_RENEWED && r.expires_ms == 20000);
	client_decode_finish(&r);
	send.flag = true;
	send.reason = YIELD_PREEMPTED;
	send.expires_ms = 1500;
	said(&send, &facts, "broker-renewed-yield.json", &r);
	assert_true(r.type == RECEIVED_RENEWED && r.expires_ms == 1500);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_CHANGED, .lease = 7};
	said(&send, &facts, "broker-changed.json", &r);
	assert_true(r.type == RECEIVED_CHANGED && r.lease == 7);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_KEEP, .lease = 7};
	said(&send, &facts, "broker-keep.json", &r);
	assert_true(r.type == RECEIVED_KEEP && r.lease == 7);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_LENT, .lease = 7, .other = 8};
	said(&send, &facts, "broker-lent.json", &r);
	assert_true(r.type == RECEIVED_LENT && r.lease == 7 && r.other == 8);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_NOTICE,
				    .lease = 7,
				    .notice = NOTICE_IDLE,
				    .detail = "gpu0 has computed nothing for 60 s."};
	said(&send, &facts, "broker-notice.json", &r);
	assert_true(r.type == RECEIVED_NOTICE && r.lease == 7);
	assert_string_equal(r.code, "idle");
	assert_string_equal(r.text, "gpu0 has computed nothing for 60 s.");
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_HEARTBEAT};
	said(&send, &facts, "broker-heartbeat.json", &r);
	assert_int_equal(r.type, RECEIVED_HEARTBEAT);
	client_decode_finish(&r);
	send = (struct send_effect){.msg = SEND_OK, .lease = 4};
	said(&send, &facts, "broker-ok.json", &r);
	assert_true(r.type == RECEIVED_OK && r.count == 4 && r.lease == 0);
	client_decode_finish(&r);
}

static void written(struct text *out, const char *file, struct received *r)
{
	golden_check(file, out->bytes);
	assert_int_equal(client_decode(out->bytes, out->length, r), 0);
	text_clear(out);
}

/* What the server adds of its own. */
static void test_server_messages(void **state)
{
	(void)state;
	static const char *const changed[] = {"grace_ms: 2000 -> 3000", "gpus"};
	struct text out;
	struct received r;
	text_init(&out);
	session_encode_ok(&out, 12);
	written(&out, "broker-ok-count.json", &r);
	assert_true(r.type == RECEIVED_OK && r.count == 12);
	client_decode_finish(&r);
	session_encode_log(&out, "2026-11-23T15:04:05.678Z INFO held lease=7 client=\"x\"");
	written(&out, "broker-log.json", &r);
	assert_int_equal(r.type, RECEIVED_LOG);
	assert_string_equal(r.text, "2026-11-23T15:04:05.678Z INFO held lease=7 client=\"x\"");
	client_decode_finish(&r);
	session_encode_link(&out, "http://127.0.0.1:8470/open?once=abc");
	written(&out, "broker-link.json", &r);
	assert_int_equal(r.type, RECEIVED_LINK);
	assert_string_equal(r.text, "http://127.0.0.1:8470/open?once=abc");
	client_decode_finish(&r);
	session_encode_reloaded(&out, changed, 2);
	written(&out, "broker-reloaded.json", &r);
	assert_int_equal(r.type, RECEIVED_RELOADED);
	client_decode_finish(&r);
	text_finish(&out);
}

/* Who is connected: a page that says much of itself, one that was not let speak, a program. */
static void test_clients(void **state)
{
	(void)state;
	const struct client_info about = {.page = "Console",
					  .adapter = "nvidia ampere",
					  .clamped = "maxBufferSize",
					  .origin = "https://elsewhere.example",
					  .visible_known = true,
					  .stalled_known = true,
					  .stalled_ms = 250,
					  .vram_known = true,
					  .vram_mb = 512};
	const struct client_info nothing = {0};
	const struct client_row page = {.session = 17,
					.id = "<b>Root</b>",
					.binding = BIND_TAB,
					.since_ms = 61500,
					.seen_ms = 40,
					.browser = true,
					.overdue = true,
					.origin = "http://127.0.0.1:8470",
					.uid = -1,
					.about = &about};
	const struct client_row program = {.session = 18,
					   .id = "trainer",
					   .binding = BIND_NATIVE,
					   .since_ms = 2000,
					   .uid = 1000,
					   .pid = 4711,
					   .about = &nothing};
	struct text out;
	struct received r;
	text_init(&out);
	encode_clients_begin(&out);
	encode_clients_add(&out, &page);
	encode_clients_add(&out, &program);
	encode_clients_end(&out, 0);
	written(&out, "broker-clients.json", &r);
	assert_int_equal(json_count(json_get(r.parsed.root, "clients")), 2);
	client_decode_finish(&r);
	encode_clients_begin(&out);
	encode_clients_end(&out, 3);
	written(&out, "broker-clients-left-off.json", &r);
	client_decode_finish(&r);
	text_finish(&out);
}

/* What is not known is null, and never zero. */
static void test_samples(void **state)
{
	(void)state;
	static const uint32_t granted_mb[] = {0, 6144, 6144};
	static const uint32_t used_mb[] = {SAMPLE_UNKNOWN, 6400, 6410};
	static const uint32_t unknown[] = {SAMPLE_UNKNOWN, SAMPLE_UNKNOWN, SAMPLE_UNKNOWN};
	struct text out;
	struct received r;
	text_init(&out);
	encode_samples_begin(&out, 5000, 1250);
	encode_samples_add(&out, &(struct sample_series){.name = "gpu0",
							 .total_known = true,
							 .total_mb = 8192,
							 .granted_mb = granted_mb,
							 .used_mb = used_mb,
							 .count = 3});
	encode_samples_add(&out, &(struct sample_series){.name = "big",
							 .granted_mb = granted_mb,
							 .used_mb = unknown,
							 .count = 3});
	encode_samples_end(&out);
	written(&out, "broker-samples.json", &r);
	assert_int_equal(json_count(json_get(r.parsed.root, "gpus")), 2);
	client_decode_finish(&r);
	text_finish(&out);
}

/* For who writes pages. */
static void test_reload(void **state)
{
	(void)state;
	struct text out;
	struct received r;
	text_init(&out);
	session_encode_reload(&out, "/ui/frame.css");
	written(&out, "broker-reload.json", &r);
	assert_int_equal(r.type, RECEIVED_OTHER); /* a program has nothing to reload */
	client_decode_finish(&r);
	text_finish(&out);
}

/* Every message of the core has a file, so a new one cannot be forgotten; each of the client too.
 */
static void test_every_type_has_a_file(void **state)
{
	(void)state;
	static const char *const files[SEND_COUNT] = {
		[SEND_WELCOME] = "broker-welcome.json", [SEND_CLAIM] = "broker-claim-held.json",
		[SEND_QUEUED] = "broker-queued.json",   [SEND_OFFERED] = "broker-offered.json",
		[SEND_GRANTED] = "broker-granted.json", [SEND_YIELD] = "broker-yield.json",
		[SEND_REVOKED] = "broker-revoked.json", [SEND_RELEASED] = "broker-released.json",
		[SEND_TIMEOUT] = "broker-timeout.json", [SEND_DENIED] = "broker-denied.json",
		[SEND_RENEWED] = "broker-renewed.json", [SEND_CHANGED] = "broker-changed.json",
		[SEND_LENT] = "broker-lent.json",       [SEND_HEARTBEAT] = "broker-heartbeat.json",
		[SEND_OK] = "broker-ok.json",           [SEND_KEEP] = "broker-keep.json",
		[SEND_NOTICE] = "broker-notice.json",
	};
	for (size_t msg = 0; msg < SEND_COUNT; msg++) {
		assert_non_null(files[msg]);
		free(golden_read(files[msg]));
	}
}

/* A newer broker's message is no error; a broken one is. close is what net says before it hangs up.
 */
static void test_foreign_replies(void **state)
{
	(void)state;
	struct received r;
	static const char later[] = "{\"type\":\"later\",\"lease\":\"x\",\"gpus\":5,\"ref\":-1}";
	assert_int_equal(client_decode(later, sizeof(later) - 1, &r), 0);
	assert_int_equal(r.type, RECEIVED_OTHER);
	assert_int_equal(r.ref, 0);
	client_decode_finish(&r);
	static const char bye[] = "{\"type\":\"close\",\"code\":4503,\"reason\":\"draining\"}";
	assert_int_equal(client_decode(bye, sizeof(bye) - 1, &r), 0);
	assert_true(r.type == RECEIVED_CLOSE && r.count == 4503);
	assert_string_equal(r.reason, "draining");
	client_decode_finish(&r);
	assert_int_equal(client_decode("{}", 2, &r), -ERR_BAD_FIELD);
	client_decode_finish(&r);
	assert_int_equal(client_decode("[]", 2, &r), -ERR_BAD_JSON);
	client_decode_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_hello),
		cmocka_unit_test(test_ask_acquire),
		cmocka_unit_test(test_ask_lease),
		cmocka_unit_test(test_ask_processes),
		cmocka_unit_test(test_ask_rest),
		cmocka_unit_test(test_ask_of_pages),
		cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_queued),
		cmocka_unit_test(test_granted),
		cmocka_unit_test(test_endings),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_server_messages),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_every_type_has_a_file),
		cmocka_unit_test(test_foreign_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

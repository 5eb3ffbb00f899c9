/* Goal: status, events, log lines and metrics show the truth in a form that strict readers take
 * (P35, P44). Method: rows written with and without clearing the buffer between them, parsed back
 * by tree.c, and compared with what went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/config.h"
#include "core/estimate.h"
#include "core/record.h"
#include "core/trace.h"
#include "golden.h"
#include "json/json_reader.h"
#include "wire/event_encode.h"
#include "wire/gpu_encode.h"
#include "wire/json_fields.h"
#include "wire/metrics_encode.h"
#include "wire/sight.h"
#include "wire/status_encode.h"
#include "wire/wait_reason.h"

static struct core_config config = {
	.gpu_count = 2,
	.gpus = {{.name = "gpu0",
		  .uuid = "GPU-6f1d",
		  .vram_bytes_total = UINT64_C(8192) << 20,
		  .vram_known = true,
		  .slots = 1},
		 {.name = "big", .slots = 2}},
};

static struct claim_record claim(uint64_t id, const char *name)
{
	struct claim_record rec = {.id = id,
				   .cls = LEASE_CHAT,
				   .binding = BIND_HTTP,
				   .need = {.slots = 1, .gpu_count = 1},
				   .arrival = {1000},
				   .arrival_wall = {1766447000123},
				   .wait_deadline = MONO_NEVER};
	snprintf(rec.name, sizeof(rec.name), "%s", name);
	snprintf(rec.principal, sizeof(rec.principal), "token");
	return rec;
}

static struct claim_view view(const struct claim_record *rec)
{
	return (struct claim_view){.rec = rec,
				   .conn = 9,
				   .detach_deadline = MONO_NEVER,
				   .yield_deadline = MONO_NEVER,
				   .kill_at = MONO_NEVER};
}

static void head(struct status_encoder *render, struct text *out, const char *owner,
		 uint32_t waiting)
{
	const struct core_stats stats = {.epoch = 3,
					 .fence = 1001,
					 .granted = {1, 2, 3, 4},
					 .ended = {[END_RELEASED] = 5},
					 .waiting = waiting,
					 .held = owner ? 1 : 0,
					 .journal_ok = true};
	const struct status_head values = {
		.stats = &stats,
		.waits = {{400, 2100, 31}, {-1, -1, 0}, {-1, -1, 0}, {-1, -1, 0}},
		.version = "0.1.0",
		.owner = owner,
		.uptime_ms = 61500,
		.wall = {1766447001000}};
	status_encode_begin(render, out, &values, false);
}

/* An empty broker: all parts are there and empty, owner is null. */
static void test_empty(void **state)
{
	(void)state;
	struct text out;
	struct status_encoder render;
	text_init(&out);
	head(&render, &out, NULL, 0);
	while (status_encode_next(&render) != STATUS_PART_END)
		;
	status_encode_finish(&render);
	golden_check("status-empty.json", out.bytes);
	text_finish(&out);
}

static struct gpu_process_row processes[] = {
	{.pid = 4711,
	 .command = "python3",
	 .use = "compute",
	 .vram_bytes = UINT64_C(100) << 20,
	 .bytes_known = true,
	 .since = {2000},
	 .session = 17,
	 .lease = 5,
	 .client = "Root-Mic"},
	{.use = "graphics",
	 .since = {4500},
	 .condition = "dead",
	 .condition_text = "It is dead.",
	 .container_runtime = "docker",
	 .container_id = "3f2a",
	 .container_pid = 17},
};

static const struct gpu_figures measured_figures = {
	.measured = true,
	.source = "nvml",
	.state = "ok",
	.text = "",
	.model = "NVIDIA \"A\"",
	.pci = "0000:01:00.0",
	.nvml_index = 0,
	.cuda_index = 1,
	.read_at = {4250},
	.memory_known = true,
	.free_bytes = UINT64_C(700) << 20,
	.utilisation_known = true,
	.utilisation_percent = 0,
	.power_known = true,
	.power_mw = 61250,
	.processes_known = true,
	.processes_partial = true,
	.pids_foreign = true,
	.left_off = 3,
	.process_count = 2,
	.cgroup_count = 2,
	.cgroups = {{.session = 17,
		     .vram_bytes = UINT64_C(150) << 20,
		     .vram_bytes_max = UINT64_C(200) << 20,
		     .client = "Root-Mic"},
		    {.session = 18, .vram_bytes_max = UINT64_MAX, .client = "b"}},
	.processes = processes};

/* A lost MIG instance that shares the machine's memory: all that may be left out is there, and no
 * figure is. */
static void test_measured_lost(void **state)
{
	static const struct gpu_figures figures = {.measured = true,
						   .source = "nvml",
						   .state = "lost",
						   .text = "The driver lost it.",
						   .detail = "NVML: GPU is lost (15)",
						   .model = "GB10",
						   .parent = "GPU-1",
						   .nvml_index = -1,
						   .cuda_index = -1,
						   .unified = true,
						   .read_at = {INT64_MIN}};
	const char *wanted =
		"{\"measured\":{\"source\":\"nvml\",\"model\":\"GB10\",\"parent\":\"GPU-1\","
		"\"unified\":true,\"state\":\"lost\",\"text\":\"The driver lost it.\","
		"\"detail\":\"NVML: GPU is lost (15)\",\"age_s\":null,\"vram_mb_free\":null,"
		"\"vram_mb_reserved\":null,\"utilisation_percent\":null,\"temperature_c\":null,"
		"\"power_w\":null";
	struct text out;

	(void)state;
	text_init(&out);
	text_char(&out, '{');
	gpu_encode_measured(&out, &figures, (struct mono_ms){1000}, true);
	assert_memory_equal(out.bytes, wanted, strlen(wanted));
	assert_string_equal(out.bytes + strlen(wanted),
			    "}"); /* no processes: only its own claims */

	text_clear(&out);
	text_char(&out, '{');
	gpu_encode_measured(&out, &figures, (struct mono_ms){1000}, false);
	assert_string_equal(out.bytes + strlen(wanted),
			    ",\"processes_known\":false,\"processes\":[]}");
	text_finish(&out);
}

static struct why yielding(uint32_t ahead)
{
	return (struct why){.code = WHY_YIELDING, .holder = 5, .left_ms = 1500, .ahead = ahead};
}

static void all_rows(struct status_encoder *render, void (*between)(struct text *out, void *ctx),
		     void *ctx)
{
	struct claim_record holder = claim(5, "Root-Mic"), first = claim(7, "tab \"1\""),
			    second = claim(8, "tab \"1\"");
	struct claim_view held = view(&holder), waits[2] = {view(&first), view(&second)};
	const struct mono_ms now = {4500};
	holder.state = CLAIM_YIELDING;
	holder.binding = BIND_TAB;
	holder.session = 17;
	holder.fence = 1001;
	holder.granted_mask = 1;
	holder.observed = holder.would_wait = true;
	holder.held_since = (struct mono_ms){2500};
	holder.held_wall = (struct wall_ms){1766446999000};
	held.measured = true;
	held.vram_bytes_measured = UINT64_C(100) << 20;
	held.yield_reason = YIELD_PREEMPTED;
	held.yield_for = 7;
	held.yield_deadline = (struct mono_ms){6000};
	second.label[0] = 'm';
	second.need.vram_bytes = UINT64_C(6144) << 20;
	second.wait_deadline = (struct mono_ms){64500};
	waits[1].conn = 0;
	waits[1].detach_deadline = (struct mono_ms){5500};
	between(render->out, ctx);
	status_encode_next(render);
	for (int i = 0; i < 2; i++) {
		between(render->out, ctx);
		status_encode_queued(render, &waits[i]);
	}
	between(render->out, ctx);
	status_encode_next(render);
	for (int i = 0; i < 2; i++) {
		between(render->out, ctx);
		status_encode_start_time(render, &waits[i]);
	}
	status_encode_next(render);
	for (uint32_t i = 0; i < 2; i++) {
		const struct gpu_view gpu = {.config = &config.gpus[i],
					     .slots_used = 1 - i,
					     .vram_bytes_granted = UINT64_C(100) << 20,
					     .vram_bytes_used = UINT64_C(300) << 20,
					     .vram_bytes_unmanaged = UINT64_C(200) << 20,
					     .used_known = i == 0,
					     .healthy = true};
		between(render->out, ctx);
		const struct status_measured measured = {
			.figures = i == 0 ? &measured_figures : NULL, .now = now};
		status_encode_gpu(render, i, &gpu, &measured);
	}
	status_encode_next(render);
	between(render->out, ctx);
	status_encode_lease(render, &held, now, &config, "tab \"1\"");
	status_encode_next(render);
	const struct told told[2] = {{.estimate = {.p50_ms = 1500, .p90_ms = 4210},
				      .bound_ms = 95001,
				      .wall = {1766447001000}},
				     {.estimate = {.p50_ms = -1, .p90_ms = -1},
				      .bound_ms = -1,
				      .bound_why = "stopped",
				      .bound_text = "Nothing is granted now."}};
	for (int i = 0; i < 2; i++) {
		const struct why why = yielding((uint32_t)i);
		const struct status_wait wait = {
			.position = i, .told = told[i], .why = &why, .holder_name = "Root-Mic"};
		between(render->out, ctx);
		status_encode_waiter(render, &waits[i], now, &config, &wait);
	}
	assert_int_equal(status_encode_next(render), STATUS_PART_END);
	between(render->out, ctx);
}

/* A native lease that was revoked is being stopped, until when is said, and that nobody sees its
 * process. */
static void test_stopping(void **state)
{
	(void)state;
	struct claim_record holder = claim(5, "trainer");
	struct claim_view held = view(&holder);
	struct text out;
	struct status_encoder render;
	text_init(&out);
	holder.state = CLAIM_YIELDING;
	holder.revoked = true;
	held.yield_deadline = held.kill_at = (struct mono_ms){6000};
	held.unwatched = "Too many open files";
	held.pid = 4711;
	head(&render, &out, "trainer", 0);
	while (status_encode_next(&render) != STATUS_PART_LEASES)
		;
	text_clear(&out);
	status_encode_lease(&render, &held, (struct mono_ms){4500}, &config, NULL);
	assert_non_null(strstr(out.bytes, "\"state\":\"stopping\""));
	assert_non_null(
		strstr(out.bytes, "\"watched\":false,\"unwatched\":\"Too many open files\""));
	assert_non_null(strstr(out.bytes, "\"revoked\":true,\"stop_in_s\":1.5"));
	assert_non_null(strstr(out.bytes, "\"pid\":4711"));
	status_encode_finish(&render);
	text_finish(&out);
}

static void keep(struct text *out, void *ctx)
{
	(void)out;
	(void)ctx;
}

/* As the server does: sends what there is and clears the buffer. */
static void drain(struct text *out, void *ctx)
{
	text_add(ctx, out->bytes, out->length);
	text_clear(out);
}

/* P35: each waiter is listed, twins too, each with its own start time; slices change no byte. */
static void test_full(void **state)
{
	(void)state;
	struct text out, sliced;
	struct status_encoder render;
	text_init(&out);
	text_init(&sliced);
	head(&render, &out, "Root-Mic", 2);
	all_rows(&render, keep, NULL);
	status_encode_finish(&render);
	golden_check("status-full.json", out.bytes);

	struct parsed parsed;
	assert_int_equal(json_parse(out.bytes, out.length, out.length, &parsed), 0);
	const struct json *times = json_get(parsed.root, "request_start_times");
	assert_int_equal(times->count, 2);
	assert_non_null(json_get(times, "tab \"1\""));
	assert_non_null(json_get(times, "tab \"1\" #8"));
	parsed_finish(&parsed);

	text_clear(&out);
	head(&render, &out, "Root-Mic", 2);
	all_rows(&render, drain, &sliced);
	status_encode_finish(&render);
	char *wanted = golden_read("status-full.json");
	assert_string_equal(sliced.bytes, wanted);
	free(wanted);
	text_finish(&out);
	text_finish(&sliced);
}

/* A plain HTTP lease shows its TTL, a sub-lease its lender, a pause its reason. */
static void test_http_lease(void **state)
{
	(void)state;
	const struct core_stats stats = {.paused = true, .held = 1};
	const struct status_head values = {
		.stats = &stats, .version = "0.1.0", .paused_reason = "night", .owner = "x"};
	struct claim_record rec = claim(5, "x");
	struct claim_view held = view(&rec);
	struct status_encoder render;
	struct parsed parsed;
	struct text out;
	rec.state = CLAIM_HELD;
	rec.ttl_deadline = (struct mono_ms){9000};
	rec.lender = 4;
	snprintf(rec.request_id, sizeof(rec.request_id), "r-1");
	text_init(&out);
	status_encode_begin(&render, &out, &values, true);
	while (status_encode_next(&render) != STATUS_PART_LEASES)
		;
	status_encode_lease(&render, &held, (struct mono_ms){4500}, &config, NULL);
	rec.state = CLAIM_QUEUED;
	rec.used_ms = 1000; /* an earlier turn */
	status_encode_next(&render);
	status_encode_waiter(&render, &held, (struct mono_ms){4500}, &config,
			     &(struct status_wait){0});
	status_encode_next(&render);
	status_encode_finish(&render);
	assert_int_equal(json_parse(out.bytes, out.length, out.length, &parsed), 0);
	const struct json *lease = json_at(json_get(parsed.root, "leases"), 0);
	const struct json *waiter = json_at(json_get(parsed.root, "waiting"), 0);
	const struct json *reason = json_get(parsed.root, "paused_reason");
	assert_string_equal(json_text(reason), "night");
	assert_true(json_number(json_get(lease, "expires_in_s")) == 4.5);
	assert_int_equal(json_whole(json_get(lease, "lender")), 4);
	assert_string_equal(json_text(json_get(waiter, "request_id")), "r-1");
	assert_null(json_get(waiter, "why"));
	assert_true(json_number(json_get(waiter, "waited_s")) == 2.5);
	assert_true(json_number(json_get(waiter, "age_s")) == 3.5);
	parsed_finish(&parsed);
	text_finish(&out);
}

/* Ten thousand twins: no start time is lost and no key comes twice, and it is quick. */
static void test_many_twins(void **state)
{
	(void)state;
	enum { COUNT = 10000 };
	struct text out;
	struct status_encoder render;
	text_init(&out);
	head(&render, &out, NULL, COUNT);
	status_encode_next(&render);
	status_encode_next(&render);
	for (uint64_t id = 1; id <= COUNT; id++) {
		struct claim_record rec = claim(id, id % 2 ? "a" : "b");
		struct claim_view waiter = view(&rec);
		status_encode_start_time(&render, &waiter);
	}
	while (status_encode_next(&render) != STATUS_PART_END)
		;
	status_encode_finish(&render);
	struct parsed parsed;
	assert_int_equal(json_parse(out.bytes, out.length, out.length, &parsed), 0);
	assert_int_equal(json_get(parsed.root, "request_start_times")->count, COUNT);
	parsed_finish(&parsed);
	text_finish(&out);
}

/* A name that looks like a twin's key is still one key of its own. */
static void test_forged_twin(void **state)
{
	(void)state;
	static const char *const names[] = {"x", "x #2", "x", "x #4"};
	struct text out;
	struct status_encoder render;
	text_init(&out);
	head(&render, &out, NULL, 4);
	status_encode_next(&render);
	status_encode_next(&render);
	for (uint64_t i = 0; i < 4; i++) {
		struct claim_record rec = claim(i == 2 ? 2 : 10 + i, names[i]);
		struct claim_view waiter = view(&rec);
		status_encode_start_time(&render, &waiter);
	}
	while (status_encode_next(&render) != STATUS_PART_END)
		;
	status_encode_finish(&render);
	struct parsed parsed;
	assert_int_equal(json_parse(out.bytes, out.length, out.length, &parsed), 0);
	assert_int_equal(json_get(parsed.root, "request_start_times")->count, 4);
	parsed_finish(&parsed);
	text_finish(&out);
}

/* Every reason to wait becomes a sentence without a field left open. */
static void test_why(void **state)
{
	(void)state;
	struct text out;
	text_init(&out);
	for (int code = 0; code < WHY_COUNT; code++) {
		const struct why why = {.code = (enum why_code)code, .ahead = 1, .left_ms = 90500};
		text_clear(&out);
		encode_why_text(&out, &why, "Root-Mic", &config);
		assert_null(strpbrk(out.bytes, "{}"));
		assert_int_equal(out.bytes[out.length - 1], '.');
	}
	static const struct {
		struct why why;
		const char *holder, *text;
	} rows[] = {
		{{.code = WHY_HOLDER, .gpu = 1, .left_ms = -1}, "Root-Mic", "Root-Mic holds big."},
		{{.code = WHY_HOLDER, .gpu = 9, .left_ms = -1},
		 NULL,
		 "Another client holds a GPU."},
		{{.code = WHY_HOLDER, .left_ms = 47100},
		 "x",
		 "x holds gpu0 and must give way in 48 s, now that others wait."},
		{{.code = WHY_SELF, .gpu = 1, .holder = 7, .left_ms = 47100},
		 "Root-Mic",
		 "Its own session holds big and must give way in 48 s, now that others wait: it "
		 "waits "
		 "for itself, until lease 7 ends."},
		{{.code = WHY_YIELDING, .left_ms = 1530},
		 "x",
		 "x was asked to give gpu0 back and has 1.5 s to do so."},
		{{.code = WHY_DETACHED, .left_ms = 90500},
		 "x",
		 "x is disconnected from gpu0 and has 1 min 30 s to come back."},
		{{.code = WHY_VRAM, .want_bytes = UINT64_C(6656) << 20, .free_bytes = 512 << 20},
		 NULL,
		 "It needs 6.5 GiB of VRAM on gpu0, where 512 MiB are free."},
		{{.code = WHY_VRAM,
		  .want_bytes = UINT64_C(20) << 30,
		  .free_bytes = UINT64_C(14) << 30,
		  .strange_bytes = UINT64_C(10) << 30},
		 NULL,
		 "It needs 20.0 GiB of VRAM on gpu0, where 14.0 GiB are free; programs without a "
		 "lease use 10.0 GiB."},
		{{.code = WHY_HOLDERS, .gpu_count = 3, .holder_count = 3},
		 "a, b and c",
		 "3 GPUs are held, by a, b and c."},
		{{.code = WHY_PINNED,
		  .held_bytes = UINT64_C(3) << 30,
		  .want_bytes = UINT64_C(22) << 30},
		 "pin",
		 "pin keeps 3.0 GiB of VRAM on gpu0 and ends only by itself; 22.0 GiB do not fit "
		 "beside it."},
		{{.code = WHY_BEHIND, .ahead = 1}, NULL, "1 claim is before it in the queue."},
		{{.code = WHY_BEHIND, .ahead = 3}, NULL, "3 claims are before it in the queue."},
		{{.code = WHY_BEHIND,
		  .head = WHY_HOLDER,
		  .ahead = 3,
		  .holder = 7,
		  .left_ms = 48000},
		 "a",
		 "3 claims are before it in the queue; a holds gpu0 and must give way in 48 s, now "
		 "that others wait."},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&out);
		encode_why_text(&out, &rows[i].why, rows[i].holder, &config);
		assert_string_equal(out.bytes, rows[i].text);
	}
	text_finish(&out);
}

/* Place, estimate and reason are one sentence, and no time is named where nobody knows one. */
static void test_sentence(void **state)
{
	(void)state;
	struct text out = {0};
	const struct {
		int64_t p50_ms;
		struct why why;
		const char *text;
	} rows[] = {
		{29500,
		 {.code = WHY_HOLDER, .left_ms = 48000},
		 "Next, in about 30 s: a holds gpu0 and must give way in 48 s, now that others "
		 "wait."},
		{-1, {.code = WHY_HOLDER, .left_ms = -1}, "Next: a holds gpu0."},
		{1500,
		 {.code = WHY_YIELDING, .left_ms = 1500},
		 "Next, in about 1.5 s: a was asked to give gpu0 back and has 1.5 s to do so."},
		{100, {.code = WHY_NEXT}, "Next: a GPU is offered to it at this moment."},
		{120000, {.code = WHY_BEHIND, .ahead = 1}, "2nd in the queue, in about 2 min."},
		{120000,
		 {.code = WHY_BEHIND, .ahead = 2, .head = WHY_HOLDER, .holder = 7, .left_ms = 0},
		 "3rd in the queue, in about 2 min: a holds gpu0 and must give way now."},
		{-1,
		 {.code = WHY_BEHIND,
		  .ahead = 3,
		  .head = WHY_LOCK_DELAY,
		  .holder = 7,
		  .left_ms = 90},
		 "4th in the queue: a lost gpu0; it is free in 0.1 s at most."},
		/* What the first one waits for ends by nobody's clock, so nor does this. */
		{30000,
		 {.code = WHY_BEHIND,
		  .ahead = 4,
		  .head = WHY_PINNED,
		  .holder = 7,
		  .left_ms = -1,
		  .held_bytes = UINT64_C(3) << 30,
		  .want_bytes = UINT64_C(2) << 30},
		 "5th in the queue: a keeps 3.0 GiB of VRAM on gpu0 and ends only by itself; 2.0 "
		 "GiB "
		 "do not fit beside it."},
		{5000,
		 {.code = WHY_PAUSED, .ahead = 10},
		 "11th in the queue: An operator paused grants."},
		{-1, {.code = WHY_BEHIND, .ahead = 21}, "22nd in the queue."},
		{-1, {.code = WHY_BEHIND, .ahead = 111}, "112th in the queue."},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct estimate estimate = {.p50_ms = rows[i].p50_ms, .p90_ms = -1};
		text_clear(&out);
		encode_sentence_text(&out, &estimate, &rows[i].why, "a", &config);
		assert_string_equal(out.bytes, rows[i].text);
	}
	const struct estimate unknown = {.p50_ms = -1, .p90_ms = -1};
	const struct why why = {.code = WHY_HOLDER, .left_ms = -1};
	text_clear(&out);
	encode_sentence_text(&out, &unknown, &why,
			     "forty-seven bytes, and a letter of two bytes: ääääääää", &config);
	assert_string_equal(out.bytes,
			    "Next: forty-seven bytes, and a letter of two bytes: ä… holds gpu0.");
	text_finish(&out);
}

static struct trace_effect trace(void)
{
	struct trace_effect effect = {.claim = 7,
				      .session = 17,
				      .from = CLAIM_HELD,
				      .to = CLAIM_YIELDING,
				      .reason = YIELD_PREEMPTED,
				      .cls = LEASE_BACKGROUND,
				      .fence = 1001,
				      .other = 9,
				      .age_ms = 3500,
				      .waited_ms = 1500,
				      .held_ms = 2000,
				      .gpus = 3,
				      .what = TRACE_YIELD};
	snprintf(effect.name, sizeof(effect.name), "x\n2026-01-01 RELEASED");
	return effect;
}

/* P44, C39: an event and its log line are one line each, whatever the name. */
static void test_trace(void **state)
{
	(void)state;
	struct text out;
	struct trace_effect effect = trace();
	const struct sight key = sight_of("key:ci");
	text_init(&out);
	event_encode(&out, &effect, 12, (struct wall_ms){1766447001000}, &config, NULL);
	golden_check("broker-event.json", out.bytes);
	text_clear(&out);
	event_encode_log(&out, &effect, &config);
	assert_string_equal(out.bytes,
			    "yield lease=7 session=17 client=\"x\\n2026-01-01 RELEASED\" "
			    "class=background reason=preempted fence=1001 for=9 gpu=gpu0,big "
			    "waited_s=1.5 held_s=2");
	text_clear(&out);
	effect = (struct trace_effect){.claim = 7,
				       .what = TRACE_ENDED,
				       .to = CLAIM_ENDED,
				       .end = END_RELEASED,
				       .principal = "uid:0",
				       .detail = "exit status 1"};
	event_encode(&out, &effect, 12, (struct wall_ms){0}, &config, NULL);
	assert_non_null(strstr(out.bytes, "\"principal\":\"uid:0\""));
	assert_non_null(strstr(out.bytes, "\"detail\":\"exit status 1\""));
	text_clear(&out);
	event_encode(&out, &effect, 12, (struct wall_ms){0}, &config, &key);
	assert_null(strstr(out.bytes, "exit status"));
	text_clear(&out);
	event_encode_log(&out, &effect, &config);
	assert_non_null(strstr(out.bytes, " why=\"exit status 1\""));
	assert_false(sight_tells_field(&key, "why", 3));
	text_clear(&out);
	effect = (struct trace_effect){.what = TRACE_PAUSED, .detail = "say \"why\""};
	event_encode_log(&out, &effect, &config);
	assert_string_equal(out.bytes, "paused detail=\"say \\\"why\\\"\"");
	text_clear(&out);
	event_encode(&out, &effect, 1, (struct wall_ms){-1}, &config, NULL);
	assert_string_equal(out.bytes,
			    "{\"type\":\"event\",\"id\":1,\"time\":\"1969-12-31T23:59:59.999Z\","
			    "\"what\":\"paused\",\"detail\":\"say \\\"why\\\"\"}");
	text_finish(&out);
}

/* Metrics: heads, labels escaped, what is unknown is absent and not zero. */
static void test_metrics(void **state)
{
	(void)state;
	const struct core_stats stats = {.granted = {1, 2, 3, UINT64_C(1) << 40}, .waiting = 2};
	const struct gpu_view gpus[2] = {
		{.config = &config.gpus[0], .slots_used = 1, .used_known = true, .healthy = true},
		{.config = &config.gpus[1]}};
	struct text out;
	text_init(&out);
	metrics_encode(&out, &stats);
	metrics_encode_gpus(&out, gpus, 2);
	assert_non_null(strstr(out.bytes, "# TYPE baton_granted_total counter\n"));
	assert_non_null(
		strstr(out.bytes, "\nbaton_granted_total{class=\"background\"} 1099511627776\n"));
	assert_non_null(strstr(out.bytes, "\nbaton_waiting 2\n"));
	assert_non_null(strstr(out.bytes, "\nbaton_gpu_vram_used_bytes{gpu=\"gpu0\"} 0\n"));
	assert_null(strstr(out.bytes, "baton_gpu_vram_used_bytes{gpu=\"big\"}"));
	assert_non_null(strstr(out.bytes, "\nbaton_gpu_vram_bytes{gpu=\"gpu0\"} 8589934592\n"));
	assert_null(strstr(out.bytes, "baton_gpu_vram_bytes{gpu=\"big\"}"));
	text_clear(&out);
	metrics_encode_value(&out, "x", "l", "a\"b\\c\nd", 0.5);
	assert_string_equal(out.bytes, "x{l=\"a\\\"b\\\\c\\nd\"} 0.5\n");
	text_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),       cmocka_unit_test(test_measured_lost),
		cmocka_unit_test(test_stopping),    cmocka_unit_test(test_full),
		cmocka_unit_test(test_many_twins),  cmocka_unit_test(test_http_lease),
		cmocka_unit_test(test_forged_twin), cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_why),         cmocka_unit_test(test_trace),
		cmocka_unit_test(test_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fake: the scripted broker of libbaton's tests. Knows the wire only as text, so that a mistake in
 * src/wire shows. */
#include "fake_broker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WELCOME                                                                                    \
	"{'type':'welcome','version':1,'session':'3-secret','resumed':%s,'epoch':1,'ping_s':5}"

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void fake_open(struct fake *fake)
{
	*fake = (struct fake){.listen_fd = -1, .fd = -1};
	snprintf(fake->folder, sizeof(fake->folder), "/tmp/baton-test-XXXXXX");
	assert_non_null(mkdtemp(fake->folder));
	/* Not a broker's name: those are looked up and asked who they are by any that starts. */
	snprintf(fake->path, sizeof(fake->path), "%s/fake.sock", fake->folder);
	fake_listen(fake);
}

void fake_listen(struct fake *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake->path);
	unlink(fake->path);
	fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fake->listen_fd >= 0);
	assert_int_equal(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->listen_fd, 8), 0);
}

void fake_stop_listening(struct fake *fake)
{
	if (fake->listen_fd >= 0)
		close(fake->listen_fd);
	fake->listen_fd = -1;
	unlink(fake->path);
}

void fake_hang_up(struct fake *fake)
{
	if (fake->fd >= 0)
		close(fake->fd);
	fake->fd = -1;
	buf_clear(&fake->in, 0);
}

void fake_close(struct fake *fake)
{
	fake_hang_up(fake);
	fake_stop_listening(fake);
	buf_finish(&fake->in);
	rmdir(fake->folder);
}

static bool wait_fd(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;
	while ((r = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
		;
	return r > 0;
}

bool fake_has_guest(struct fake *fake)
{
	return wait_fd(fake->listen_fd, 0);
}

void fake_accept(struct fake *fake)
{
	fake_hang_up(fake);
	assert_true(wait_fd(fake->listen_fd, FAKE_MS_MAX));
	fake->fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fake->fd >= 0);
}

void fake_send_bytes(struct fake *fake, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fake->fd, bytes, length, MSG_NOSIGNAL);
		if (n < 0)
			return; /* the client hung up; the test sees it by what follows */
		bytes += n;
		length -= (size_t)n;
	}
}

void fake_send(struct fake *fake, const char *format, ...)
{
	char line[4096];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	assert_in_range(length, 1, sizeof(line) - 2);
	for (char *c = line; *c; c++)
		if (*c == '\'')
			*c = '"';
	line[length] = '\n';
	fake_send_bytes(fake, line, (size_t)length + 1);
}

/* Reads until a line is there. False: closed, or the deadline passed. */
static bool read_line(struct fake *fake, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	while (fake->in.length == 0 || !memchr(buf_data(&fake->in), '\n', fake->in.length)) {
		char bytes[4096];
		int64_t left = deadline - now_ms();
		if (!wait_fd(fake->fd, left > 0 ? (int)left : 0))
			return false;
		ssize_t n = recv(fake->fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			return false;
		assert_int_equal(buf_append(&fake->in, bytes, (size_t)n), 0);
	}
	return true;
}

json_t *fake_take(struct fake *fake, const char *type)
{
	for (;;) {
		if (!read_line(fake, FAKE_MS_MAX))
			fail_msg("no message came, expected %s", type);
		char *line = buf_data(&fake->in);
		size_t length = (size_t)((char *)memchr(line, '\n', fake->in.length) - line);
		json_t *message = json_loadb(line, length, 0, NULL);
		assert_non_null(message);
		const char *got = json_string_value(json_object_get(message, "type"));
		bool skip = got && strcmp(got, "processes") == 0 && strcmp(type, got) != 0;
		if (!skip && (!got || strcmp(got, type) != 0))
			fail_msg("expected %s, got %.*s", type, (int)length, line);
		buf_consume(&fake->in, length + 1);
		if (!skip)
			return message;
		json_decref(message);
	}
}

json_int_t fake_expect(struct fake *fake, const char *type)
{
	json_t *message = fake_take(fake, type);
	json_t *number = json_object_get(message, "lease");
	if (!number)
		number = json_object_get(message, "ref");
	json_int_t value = json_integer_value(number);
	json_decref(message);
	return value;
}

bool fake_is_quiet(struct fake *fake)
{
	return !read_line(fake, 0);
}

bool fake_is_closed(struct fake *fake)
{
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	char bytes[4096];
	ssize_t n;
	do {
		int64_t left = deadline - now_ms();
		if (left <= 0 || !wait_fd(fake->fd, (int)left))
			return false;
		n = recv(fake->fd, bytes, sizeof(bytes), 0);
	} while (n > 0);
	return true;
}

struct script {
	struct fake *fake;
	const char *answer;
};

static void *answer_hello(void *arg)
{
	struct script *script = arg;
	fake_accept(script->fake);
	fake_expect(script->fake, "hello");
	if (script->answer)
		fake_send(script->fake, "%s", script->answer);
	else
		fake_send(script->fake, WELCOME, "false");
	return NULL;
}

int fake_connect(struct fake *fake, const struct baton_options *options, const char *answer,
		 struct baton **ret_baton)
{
	struct baton_options copy;
	struct script script = {.fake = fake, .answer = answer};
	pthread_t thread;
	if (options)
		copy = *options;
	else
		baton_options_init(&copy);
	copy.socket_path = fake->path;
	copy.name = copy.name ? copy.name : "test";
	assert_int_equal(pthread_create(&thread, NULL, answer_hello, &script), 0);
	int r = baton_connect(&copy, ret_baton);
	pthread_join(thread, NULL);
	return r;
}

void fake_resume(struct fake *fake, bool known)
{
	fake_accept(fake);
	json_t *hello = fake_take(fake, "hello");
	assert_string_equal(json_string_value(json_object_get(hello, "resume")), "3-secret");
	json_decref(hello);
	fake_send(fake, WELCOME, known ? "true" : "false");
}

/* ---- handlers ---- */

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct seen *seen = ctx;
	assert_null(baton_claim_lease(claim));
	seen->queued++;
	seen->place = *place;
	snprintf(seen->why, sizeof(seen->why), "%s", place->why);
	snprintf(seen->reason, sizeof(seen->reason), "%s", place->why_code);
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct seen *seen = ctx;
	assert_ptr_equal(baton_claim_lease(claim), lease);
	seen->granted++;
	seen->fence = baton_lease_fence(lease);
	seen->lease = baton_lease_id(lease);
	snprintf(seen->gpu, sizeof(seen->gpu), "%s", baton_lease_gpu_name(lease, 0));
	snprintf(seen->uuid, sizeof(seen->uuid), "%s", baton_lease_gpu_uuid(lease, 0));
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct seen *seen = ctx;
	seen->yields++;
	seen->grace_ms = yield->grace_ms;
	snprintf(seen->reason, sizeof(seen->reason), "%s", yield->reason);
	snprintf(seen->for_whom, sizeof(seen->for_whom), "%s", yield->for_whom);
	if (seen->release_in_yield)
		assert_int_equal(baton_release(claim, false), 0);
}

static void on_kept(struct baton_claim *claim, void *ctx)
{
	struct seen *seen = ctx;
	assert_non_null(baton_claim_lease(claim));
	seen->kept++;
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct seen *seen = ctx;
	seen->revoked++;
	seen->lease_in_revoked = baton_claim_lease(claim) != NULL;
	seen->fence_in_revoked = baton_claim_fence(claim);
	if (seen->stopped_in_revoked)
		assert_int_equal(baton_lease_stopped(claim), 0);
	snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
}

static void on_answered(struct baton_claim *claim, enum baton_question question, int code,
			void *ctx)
{
	struct seen *seen = ctx;
	(void)claim;
	seen->answered++;
	seen->question = question;
	seen->answer_code = code;
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct seen *seen = ctx;
	(void)reason;
	assert_null(baton_claim_lease(claim));
	seen->ended++;
	seen->code = code;
}

void seen_handlers(struct baton_claim_handlers *ret_handlers)
{
	baton_claim_handlers_init(ret_handlers);
	ret_handlers->queued = on_queued;
	ret_handlers->granted = on_granted;
	ret_handlers->yield = on_yield;
	ret_handlers->kept = on_kept;
	ret_handlers->revoked = on_revoked;
	ret_handlers->answered = on_answered;
	ret_handlers->ended = on_ended;
}

void seen_link(struct baton *baton, enum baton_link link, void *ctx)
{
	struct seen *seen = ctx;
	(void)baton;
	seen->links++;
	seen->link = link;
}

void pump(struct baton *baton, const int *count, int wanted)
{
	int64_t deadline = now_ms() + FAKE_MS_MAX;
	while (*count < wanted) {
		if (now_ms() > deadline)
			fail_msg("saw %d of %d", *count, wanted);
		baton_dispatch(baton, 20);
	}
	assert_int_equal(*count, wanted);
}

static struct baton_claim *claim_with(struct fake *fake, struct baton *baton, struct seen *seen,
				      bool stops_later)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;
	struct baton_claim *claim;
	seen_handlers(&handlers);
	handlers.stops_later = stops_later;
	baton_request_init(&request);
	request.handlers = &handlers;
	request.ctx = seen;
	assert_int_equal(baton_acquire(baton, &request, &claim), 0);
	assert_true(fake_expect(fake, "acquire") > 0);
	return claim;
}

struct baton_claim *fake_claim(struct fake *fake, struct baton *baton, struct seen *seen)
{
	return claim_with(fake, baton, seen, false);
}

static struct baton_claim *held(struct fake *fake, struct baton *baton, struct seen *seen,
				struct baton_claim *claim)
{
	fake_send(fake, "{'type':'offered','ref':1,'lease':7,'fence':100}");
	baton_dispatch(baton, 0);
	assert_int_equal(fake_expect(fake, "accept"), 7);
	fake_send(fake, "{'type':'granted','ref':1,'lease':7,'fence':100,"
			"'gpus':[{'index':0,'name':'gpu0','uuid':'GPU-1'}]}");
	pump(baton, &seen->granted, 1);
	return claim;
}

struct baton_claim *fake_hold(struct fake *fake, struct baton *baton, struct seen *seen)
{
	return held(fake, baton, seen, fake_claim(fake, baton, seen));
}

struct baton_claim *fake_hold_later(struct fake *fake, struct baton *baton, struct seen *seen)
{
	return held(fake, baton, seen, claim_with(fake, baton, seen, true));
}

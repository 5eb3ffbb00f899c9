/* upstream_scene: see upstream_scene.h. */
#include "upstream_scene.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

struct scene *scene_open(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene->descriptors = count_descriptors();
	assert_int_equal(loop_create(&scene->loop), 0);
	assert_int_equal(upstream_create(scene->loop, 256, &scene->upstream), 0);
	scene->origin = origin_open(scene->loop);
	(void)snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u/v1/x?y=z",
		       scene->origin.port);
	return scene;
}

void scene_close(struct scene *scene)
{
	assert_int_equal(upstream_count(scene->upstream), 0);
	upstream_destroy(scene->upstream);
	loop_destroy(scene->loop);
	origin_close(&scene->origin);
	assert_int_equal(count_descriptors(), scene->descriptors);
	free(scene);
}

static void on_head(void *ctx, uint64_t id, int status, struct http_field_iterator fields)
{
	struct asked *asked = ctx;
	struct http_field field;
	assert_int_equal(id, asked->id);
	assert_int_equal(asked->ends, 0);
	asked->heads++;
	asked->status = status;
	asked->fields[0] = '\0';
	while (http_field_next(&fields, &field))
		(void)snprintf(asked->fields + strlen(asked->fields),
			       sizeof(asked->fields) - strlen(asked->fields), "%.*s=%.*s|",
			       (int)field.name_length, field.name, (int)field.value_length,
			       field.value);
	if (asked->pause_in_head)
		upstream_pause(asked->scene->upstream, id, true);
	if (asked->cancel_in_head)
		upstream_cancel(asked->scene->upstream, id);
}

static void on_body(void *ctx, uint64_t id, const char *bytes, size_t length)
{
	struct asked *asked = ctx;
	assert_int_equal(asked->heads, 1);
	assert_int_equal(asked->ends, 0);
	assert_true(length > 0);
	size_t at = asked->bytes < sizeof(asked->body) - 1 ? asked->bytes : sizeof(asked->body) - 1;
	size_t n = length < sizeof(asked->body) - 1 - at ? length : sizeof(asked->body) - 1 - at;
	memcpy(asked->body + at, bytes, n);
	asked->bytes += length;
	asked->bodies++;
	if (asked->pause_in_body)
		upstream_pause(asked->scene->upstream, id, true);
	if (asked->cancel_in_body)
		upstream_cancel(asked->scene->upstream, id);
}

static void on_writable(void *ctx, uint64_t id)
{
	struct asked *asked = ctx;
	assert_int_equal(id, asked->id);
	asked->writable++;
}

static void on_end(void *ctx, uint64_t id, const struct upstream_end *end)
{
	struct asked *asked = ctx;
	assert_int_equal(id, asked->id);
	asked->ends++;
	asked->err = end->err;
	asked->phase = end->phase;
	(void)snprintf(asked->what, sizeof(asked->what), "%s", end->what);
	asked->nobody = end->nobody;
	if (asked->again_in_end)
		scene_start(asked->again,
			    &(struct upstream_request){.method = "GET", .url = asked->scene->url});
}

const struct upstream_handlers scene_handlers = {on_head, on_body, on_writable, on_end};

void scene_start(struct asked *asked, const struct upstream_request *request)
{
	assert_int_equal(
		upstream_start(asked->scene->upstream, request, &scene_handlers, asked, &asked->id),
		0);
	assert_int_equal(asked->heads + asked->bodies + asked->ends, 0); /* none within */
}

struct asked scene_get(struct scene *scene)
{
	return (struct asked){.scene = scene};
}

struct upstream_request scene_plain(const struct scene *scene, const char *method)
{
	return (struct upstream_request){.method = method,
					 .url = scene->url,
					 .connect_time_ms = 9000,
					 .first_byte_time_ms = 9000,
					 .idle_time_ms = 9000};
}

void scene_wait(struct scene *scene, const unsigned *counter, unsigned at_least)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	while (*counter < at_least) {
		origin_turn(scene->loop);
		if (mono_due(deadline, loop_now()))
			fail_msg("waited for %u and got %u", at_least, *counter);
	}
}

void scene_check_end(struct asked *asked, int err, enum upstream_phase phase)
{
	scene_wait(asked->scene, &asked->ends, 1);
	if (asked->err != err || asked->phase != phase)
		fail_msg("ended with %s in phase %d: %s", err_name(asked->err), asked->phase,
			 asked->what);
	assert_true((err == 0) == (asked->what[0] == '\0'));
}

char *scene_bytes(size_t length)
{
	char *bytes = malloc(length);
	assert_non_null(bytes);
	memset(bytes, 'x', length);
	return bytes;
}

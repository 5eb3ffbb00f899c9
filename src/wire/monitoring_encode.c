/* monitoring_encode: renders what watching pages ask for. Asks nobody anything and keeps no state.
 * Used by the server's monitoring.c and the session room. */
#include "wire/monitoring_encode.h"

#include "core/binding.h"
#include "json/json_writer.h"
#include "wire/client_info.h"

void encode_clients_begin(struct text *out)
{
	text_str(out, "{\"type\":\"clients\"");
	text_json_key(out, "clients");
	text_char(out, '[');
}

void encode_clients_add(struct text *out, const struct client_row *client)
{
	struct client_info about = *client->about;

	/* What the browser itself showed counts more than what the page says. */
	if (client->origin)
		about.origin[0] = '\0';

	text_json_item(out);
	text_char(out, '{');
	text_json_u64(out, "session", client->session);
	text_json_str(out, "id", client->id);
	text_json_str(out, "binding", binding_name(client->binding));
	if (client->principal)
		text_json_str(out, "principal", client->principal);

	text_json_seconds(out, "since_s", client->since_ms);
	text_json_seconds(out, "seen_s", client->seen_ms);
	text_json_bool(out, "browser", client->browser);
	if (client->overdue)
		text_json_bool(out, "overdue", true);

	client_info_encode(out, &about);
	if (client->origin)
		text_json_str(out, "origin", client->origin);
	if (client->uid >= 0)
		text_json_i64(out, "uid", client->uid);
	if (client->pid > 0)
		text_json_i64(out, "pid", client->pid);
	text_char(out, '}');
}

void encode_clients_end(struct text *out, unsigned left_off)
{
	text_char(out, ']');
	if (left_off)
		text_json_u64(out, "left_off", left_off);
	text_char(out, '}');
}

void encode_samples_begin(struct text *out, int64_t step_ms, int64_t newest_ago_ms)
{
	text_str(out, "{\"type\":\"samples\"");
	text_json_seconds(out, "step_s", step_ms);
	text_json_seconds(out, "newest_ago_s", newest_ago_ms);
	text_json_key(out, "gpus");
	text_char(out, '[');
}

static void add_numbers(struct text *out, const char *key, const uint32_t *numbers, size_t count)
{
	text_json_key(out, key);
	text_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		text_json_item(out);
		if (numbers[i] == SAMPLE_UNKNOWN)
			text_str(out, "null");
		else
			text_u64(out, numbers[i]);
	}
	text_char(out, ']');
}

void encode_samples_add(struct text *out, const struct sample_series *gpu)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "name", gpu->name);
	text_json_key(out, "vram_mb_total");
	if (gpu->total_known)
		text_u64(out, gpu->total_mb);
	else
		text_str(out, "null");
	add_numbers(out, "granted_mb", gpu->granted_mb, gpu->count);
	add_numbers(out, "used_mb", gpu->used_mb, gpu->count);
	text_char(out, '}');
}

void encode_samples_end(struct text *out)
{
	text_str(out, "]}");
}

void session_encode_reload(struct text *out, const char *path)
{
	text_str(out, "{\"type\":\"reload\"");
	text_json_str(out, "path", path);
	text_char(out, '}');
}

/* client_info: reads, keeps and shows what a client says of itself. All texts are names, so none
 * can end a line, reorder what stands beside it or be empty; whoever shows one still shows it as
 * text. Called by session_decode.c, by the sessions, and by monitoring_encode.c of this folder. */
#include "wire/client_info.h"

#include <stdio.h>
#include <string.h>

#include "json/json_reader.h"
#include "json/json_writer.h"
#include "wire/json_fields.h"

static int text_field(struct parsed *parsed, const char *field,
		      char ret[CLIENT_INFO_TEXT_BYTES + 1])
{
	const char *text = NULL;
	int err = json_name(parsed, parsed->root, field, CLIENT_INFO_TEXT_BYTES, &text);
	if (err == 0 && text)
		snprintf(ret, CLIENT_INFO_TEXT_BYTES + 1, "%s", text);
	return err;
}

static int number_field(struct parsed *parsed, const char *field, uint32_t *ret, bool *ret_known)
{
	uint64_t number = 0;
	int err = json_u64(parsed, parsed->root, field, 0, CLIENT_INFO_NUMBER_MAX, &number,
			   ret_known);
	*ret = (uint32_t)number;
	return err;
}

int client_info_decode(struct parsed *parsed, struct client_info *ret_about)
{
	struct client_info *about = ret_about;

	*about = (struct client_info){0};

	int err = text_field(parsed, "page", about->page);
	if (!err)
		err = text_field(parsed, "adapter", about->adapter);
	if (!err)
		err = text_field(parsed, "clamped", about->clamped);
	if (!err)
		err = text_field(parsed, "origin", about->origin);
	if (!err)
		err = number_field(parsed, "stalled_ms", &about->stalled_ms, &about->stalled_known);
	if (!err)
		err = number_field(parsed, "vram_mb", &about->vram_mb, &about->vram_known);
	if (!err)
		err = json_bool(parsed, parsed->root, "visible", &about->visible);

	const struct json *visible = json_get(parsed->root, "visible");
	about->visible_known =
		json_is(visible, JSON_KIND_TRUE) || json_is(visible, JSON_KIND_FALSE);
	return err;
}

static void merge_text(char kept[CLIENT_INFO_TEXT_BYTES + 1],
		       const char said[CLIENT_INFO_TEXT_BYTES + 1])
{
	if (said[0])
		memcpy(kept, said, CLIENT_INFO_TEXT_BYTES + 1);
}

void client_info_merge(struct client_info *about, const struct client_info *said)
{
	merge_text(about->page, said->page);
	merge_text(about->adapter, said->adapter);
	merge_text(about->clamped, said->clamped);
	merge_text(about->origin, said->origin);
	if (said->visible_known) {
		about->visible = said->visible;
		about->visible_known = true;
	}

	if (said->stalled_known) {
		about->stalled_ms = said->stalled_ms;
		about->stalled_known = true;
	}

	if (said->vram_known) {
		about->vram_mb = said->vram_mb;
		about->vram_known = true;
	}
}

static void add_text(struct text *out, const char *key, const char *value)
{
	if (value[0])
		text_json_str(out, key, value);
}

void client_info_encode(struct text *out, const struct client_info *about)
{
	add_text(out, "page", about->page);
	if (about->visible_known)
		text_json_bool(out, "visible", about->visible);
	if (about->stalled_known)
		text_json_u64(out, "stalled_ms", about->stalled_ms);
	add_text(out, "adapter", about->adapter);
	add_text(out, "clamped", about->clamped);
	if (about->vram_known)
		text_json_u64(out, "vram_mb", about->vram_mb);
	add_text(out, "origin", about->origin);
}

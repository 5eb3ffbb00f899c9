/* config_route: see config_route.h. */
#include "server/http/config_route.h"

#include <string.h>

#include "base/err.h"
#include "config/options.h"
#include "json/json_writer.h"
#include "server/reload.h"
#include "server/respond.h"

static void add_words(struct text *out, const char *key, const char *words)
{
	char copy[512], *save = NULL;
	snprintf(copy, sizeof(copy), "%s", words);
	text_json_key(out, key);
	text_char(out, '[');
	for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		text_json_item(out);
		text_json_string(out, word);
	}
	text_char(out, ']');
}

void route_reload(struct reload *reload, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	struct settings_change change;
	char detail[512];
	if (reload_settings(reload, &change, detail, sizeof(detail))) {
		respond_error(context, ERR_CONFIG, detail);
		return;
	}
	text_str(&body, "{\"status\":\"ok\"");
	add_words(&body, "changed", change.applied);
	add_words(&body, "needs_restart", change.restart);
	text_char(&body, '}');
	respond_json(context, 200, &body);
}

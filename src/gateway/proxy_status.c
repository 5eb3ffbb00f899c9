/* proxy_status: what is shown of the listeners of pages and of what waits or runs by them. */
#include <stdio.h>
#include <string.h>

#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy.h"
#include "gateway/proxy_impl.h"
#include "json/json_writer.h"

void proxies_status(const struct gateway *gateway, struct text *out)
{
	text_json_key(out, "pages");
	text_char(out, '[');
	list_each (it, next, &gateway->proxies) {
		const struct proxy *proxy = container_of(it, struct proxy, link);
		cleanup_text struct text url = {0};

		if (proxy->close_at.v != MONO_NEVER.v)
			continue;
		text_format(&url, "http://%s", proxy->hosts.v[0]);
		text_json_item(out);
		text_char(out, '{');
		text_json_str(out, "server", proxy->server);
		text_json_str(out, "url", url.bytes);
		text_char(out, '}');
	}
	text_char(out, ']');
}

static const char *stage_name(const struct proxied *p)
{
	static const char *const names[] = {
		[PROXIED_RECEIVING] = "receiving",
		[PROXIED_MODEL] = "waits for its model",
		[PROXIED_TURN] = "waits for its turn",
		[PROXIED_FORWARDED] = "running",
		[PROXIED_WORKING] = "running",
		[PROXIED_PUT_OFF] = "put off",
		[PROXIED_ASKING] = "asks whether it was sent",
	};
	return names[p->stage];
}

uint64_t proxied_waiting_claim(const struct proxied *p)
{
	if (p->stage == PROXIED_TURN)
		return p->claim;
	return p->stage == PROXIED_MODEL ? model_waiting_claim(p->model) : 0;
}

void proxied_status(const struct gateway *gateway, struct text *out, struct mono_ms now)
{
	list_each (it, next, &gateway->proxied) {
		const struct proxied *p = container_of(it, struct proxied, link);
		bool granted = p->granted.v != MONO_NEVER.v;
		char path[LIMIT_ID_BYTES];

		if (!p->takes_turn)
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(p->target, "?"), p->target);
		text_json_item(out);
		text_char(out, '{');
		text_json_str(out, "client", p->model->server->name);
		text_json_str(out, "path", path);
		text_json_str(out, "model", p->label);
		text_json_str(out, "class", lease_class_name(p->cls));
		text_json_str(out, "state", stage_name(p));
		text_json_u64(out, "lease", p->lease);
		text_json_u64(out, "claim", proxied_waiting_claim(p));
		text_json_seconds(out, "waited_s",
				  mono_since(granted ? p->granted : now, p->since));
		text_json_seconds_or_null(out, "running_s",
					  granted ? mono_since(now, p->granted) : -1);
		text_json_seconds_or_null(out, "first_byte_s", -1);
		text_char(out, '}');
	}
}

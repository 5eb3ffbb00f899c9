/* session_list: see session_list.h. Knows nothing of what they say. */
#include "server/session/session_list.h"

#include "base/text.h"
#include "net/session.h"
#include "server/endpoints.h"
#include "wire/monitoring_encode.h"
#include "wire/session_decode.h"

unsigned sessions_of_site(const struct endpoints *endpoints, uint64_t site)
{
	unsigned count = 0;
	list_each (it, next, &endpoints->kinds[ENDPOINT_SESSION])
		count += container_of(it, struct endpoint, link)->session->site == site;
	return count;
}

/* Its page hears that it is over and stops; who is next comes after the linger of a tab. */
void sessions_end_site(struct endpoints *endpoints, uint64_t site)
{
	list_each (it, next, &endpoints->kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->site == site)
			net_session_close(endpoints->net, endpoint->conn, CLOSE_TOKEN, "revoked");
	}
}

void sessions_tell_reload(void *ctx, const char *path)
{
	cleanup_text struct text body = {0};
	const struct endpoints *endpoints = ctx;

	session_encode_reload(&body, path);
	list_each (it, next, &endpoints->kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->binding == BIND_TAB && endpoint->session->id != 0)
			net_session_send(endpoints->net, endpoint->conn, body.bytes, body.length);
	}
}

/* refusal: see refusal.h. */
#include "server/session/refusal.h"

#include "base/err.h"
#include "base/text.h"
#include "net/session.h"
#include "server/endpoints.h"
#include "wire/session_encode.h"

void session_deny(struct net *net, uint64_t conn, uint64_t ref, int err, const char *detail)
{
	cleanup_text struct text body = {0};

	session_encode_denied(&body, ref, err, detail && detail[0] ? detail : NULL);
	net_session_send(net, conn, body.bytes, body.length);
}

void session_turn_away(struct endpoints *endpoints, uint64_t conn, int err, const char *detail,
		       int code)
{
	struct endpoint *endpoint = endpoint_of(endpoints, conn);

	session_deny(endpoints->net, conn, 0, err, detail);
	net_session_close(endpoints->net, conn, code, err_name(err));
	if (endpoint)
		endpoint_turn(endpoints, endpoint, ENDPOINT_LEAVING);
}

/* endpoint_ops: from a connection's number to the operation of its endpoint's kind. Knows none of
 * the kinds. */
#include "server/endpoint_ops.h"

#include <assert.h>
#include <string.h>

static const struct endpoint_server *server_of(const struct endpoints *endpoints,
					       const struct endpoint *endpoint)
{
	assert(endpoints->servers[endpoint->kind].ops);
	return &endpoints->servers[endpoint->kind];
}

void endpoints_serve(struct endpoints *endpoints, enum endpoint_kind kind,
		     const struct endpoint_ops *ops, void *ctx)
{
	endpoints->servers[kind] = (struct endpoint_server){ops, ctx};
	endpoints->stream_kinds |= ops->keepalive ? 1u << kind : 0;
}

void endpoints_send(struct endpoints *endpoints, uint64_t conn, const struct send_effect *send)
{
	struct endpoint *endpoint = endpoint_of(endpoints, conn);
	if (!endpoint)
		return;
	const struct endpoint_server *by = server_of(endpoints, endpoint);
	if (by->ops->send)
		by->ops->send(by->ctx, endpoint, send);
}

void endpoints_message(struct endpoints *endpoints, uint64_t conn, const char *text, size_t length)
{
	struct endpoint *endpoint = endpoint_of(endpoints, conn);
	if (!endpoint)
		return;
	const struct endpoint_server *by = server_of(endpoints, endpoint);
	if (by->ops->message)
		by->ops->message(by->ctx, endpoint, text, length);
}

void endpoints_gone(struct endpoints *endpoints, uint64_t conn)
{
	struct endpoint *endpoint = endpoint_of(endpoints, conn);
	if (!endpoint)
		return;
	const struct endpoint_server *by = server_of(endpoints, endpoint);
	if (by->ops->gone)
		by->ops->gone(by->ctx, endpoint);
	endpoint_shut(endpoints, endpoint);
}

void endpoints_delivered(struct endpoints *endpoints, uint64_t conn)
{
	struct endpoint *endpoint = endpoint_of(endpoints, conn);
	if (!endpoint)
		return;
	const struct endpoint_server *by = server_of(endpoints, endpoint);
	if (by->ops->delivered)
		by->ops->delivered(by->ctx, endpoint);
}

void endpoints_drain(struct endpoints *endpoints)
{
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++) {
		const struct endpoint_server *by = &endpoints->servers[kind];
		if (!by->ops || !by->ops->drain)
			continue;
		list_each (it, next, &endpoints->kinds[kind])
			by->ops->drain(by->ctx, container_of(it, struct endpoint, link));
	}
}

static bool is_of(const struct endpoint *endpoint, const char *principal)
{
	const char *own = endpoint->session ? endpoint->session->principal : endpoint->principal;
	return own && strcmp(own, principal) == 0;
}

void endpoints_shut_out(struct endpoints *endpoints, const char *principal)
{
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++) {
		const struct endpoint_server *by = &endpoints->servers[kind];
		if (!by->ops || !by->ops->shut_out)
			continue;
		list_each (it, next, &endpoints->kinds[kind]) {
			struct endpoint *endpoint = container_of(it, struct endpoint, link);
			if (is_of(endpoint, principal))
				by->ops->shut_out(by->ctx, endpoint);
		}
	}
}

void endpoints_keepalive(struct endpoints *endpoints, const struct text *comment)
{
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++) {
		const struct endpoint_server *by = &endpoints->servers[kind];
		if (!by->ops || !by->ops->keepalive)
			continue;
		list_each (it, next, &endpoints->kinds[kind])
			by->ops->keepalive(by->ctx, container_of(it, struct endpoint, link),
					   comment);
	}
}

unsigned endpoints_stream_count(const struct endpoints *endpoints)
{
	unsigned count = 0;
	for (uint32_t kinds = endpoints->stream_kinds; kinds; kinds &= kinds - 1)
		count += endpoints->counts[__builtin_ctz(kinds)];
	return count;
}

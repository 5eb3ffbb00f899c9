/* endpoints: the table of connections that wait for something. Carries nothing out. Called by the
 * routes, the sessions and whoever delivers effects. */
#include "server/endpoints.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

void endpoints_init(struct endpoints *endpoints, struct net *net)
{
	*endpoints =
		(struct endpoints){.net = net, .message = calloc(1, sizeof(*endpoints->message))};
	if (!endpoints->message)
		abort();
	hash_init(&endpoints->by_conn);
	hash_init(&endpoints->by_browser);
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++)
		list_init(&endpoints->kinds[kind]);
}

void endpoints_finish(struct endpoints *endpoints)
{
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++)
		list_each (it, next, &endpoints->kinds[kind])
			endpoint_shut(endpoints, container_of(it, struct endpoint, link));
	hash_finish(&endpoints->by_conn);
	hash_finish(&endpoints->by_browser);
	text_finish(endpoints->message);
	free(endpoints->message);
}

struct endpoint *endpoint_open(struct endpoints *endpoints, uint64_t conn, enum endpoint_kind kind,
			       const char *origin)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	assert(!endpoint_of(endpoints, conn));
	if (!endpoint)
		abort();
	if (origin && !(endpoint->origin = strdup(origin)))
		abort();
	list_init(&endpoint->link);
	endpoint->conn = conn;
	endpoint->kind = kind;
	hash_add(&endpoints->by_conn, &endpoint->by_conn, hash_u64(conn));
	list_append(&endpoints->kinds[kind], &endpoint->link);
	endpoints->counts[kind]++;
	return endpoint;
}

void endpoint_belongs(struct endpoint *endpoint, const char *principal)
{
	assert(!endpoint->principal);
	endpoint->principal = strdup(principal);
	if (!endpoint->principal)
		abort();
}

struct endpoint *endpoint_of(const struct endpoints *endpoints, uint64_t conn)
{
	for (struct hash_node *n = hash_first(&endpoints->by_conn, hash_u64(conn)); n;
	     n = hash_next(n)) {
		struct endpoint *endpoint = container_of(n, struct endpoint, by_conn);
		if (endpoint->conn == conn)
			return endpoint;
	}
	return NULL;
}

static void uncount_browser(struct endpoints *endpoints, struct endpoint *endpoint)
{
	if (endpoint->browser_key)
		hash_remove(&endpoints->by_browser, &endpoint->by_browser);
	endpoint->browser_key = 0;
}

void endpoint_turn(struct endpoints *endpoints, struct endpoint *endpoint, enum endpoint_kind kind)
{
	uncount_browser(endpoints, endpoint);
	list_remove(&endpoint->link);
	endpoints->counts[endpoint->kind]--;
	endpoint->kind = kind;
	list_append(&endpoints->kinds[kind], &endpoint->link);
	endpoints->counts[kind]++;
}

void endpoint_shut(struct endpoints *endpoints, struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	uncount_browser(endpoints, endpoint);
	list_remove(&endpoint->link);
	hash_remove(&endpoints->by_conn, &endpoint->by_conn);
	assert(endpoints->counts[endpoint->kind] > 0);
	endpoints->counts[endpoint->kind]--;
	if (endpoint->session && endpoint->session->pidfd >= 0)
		(void)close(endpoint->session->pidfd);
	free(endpoint->origin);
	free(endpoint->principal);
	free(endpoint->session);
	free(endpoint);
}

void endpoint_revoked(struct endpoint *endpoint, uint64_t lease)
{
	struct endpoint_session *session = endpoint->session;
	endpoint_released(endpoint, lease); /* said twice after a resume */
	if (session->unconfirmed_count == ENDPOINT_UNCONFIRMED_MAX)
		endpoint_released(endpoint, session->unconfirmed[0]);
	session->unconfirmed[session->unconfirmed_count++] = lease;
}

void endpoint_released(struct endpoint *endpoint, uint64_t lease)
{
	struct endpoint_session *session = endpoint->session;
	unsigned kept = 0;
	for (unsigned i = 0; i < session->unconfirmed_count; i++)
		if (session->unconfirmed[i] != lease)
			session->unconfirmed[kept++] = session->unconfirmed[i];
	session->unconfirmed_count = kept;
}

struct endpoint *endpoint_oldest(const struct endpoints *endpoints, enum endpoint_kind kind)
{
	const struct list *head = &endpoints->kinds[kind];
	return list_empty(head) ? NULL : container_of(head->next, struct endpoint, link);
}

bool endpoint_count_browser(struct endpoints *endpoints, struct endpoint *endpoint,
			    const char *origin, const char *user_agent)
{
	uint64_t key = hash_bytes(hash_bytes(0, origin, strlen(origin)), user_agent,
				  user_agent ? strlen(user_agent) : 0);
	unsigned parked = 0;
	key = key ? key : 1;
	for (struct hash_node *n = hash_first(&endpoints->by_browser, key); n; n = hash_next(n))
		parked++;
	if (parked >= LIMIT_WAITING_PER_BROWSER)
		return false;
	endpoint->browser_key = key;
	hash_add(&endpoints->by_browser, &endpoint->by_browser, key);
	return true;
}

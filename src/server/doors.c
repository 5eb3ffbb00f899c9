/* doors: the table of connections that wait for something. Carries nothing out. Called by the
 * routes, the sessions and whoever delivers effects. */
#include "server/doors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void doors_init(struct doors *doors, struct net *net)
{
	*doors = (struct doors){.net = net};
	hash_init(&doors->by_conn);
	hash_init(&doors->by_browser);
	for (int kind = 0; kind < DOOR_KIND_COUNT; kind++)
		list_init(&doors->kinds[kind]);
}

void doors_finish(struct doors *doors)
{
	for (int kind = 0; kind < DOOR_KIND_COUNT; kind++)
		list_each(it, next, &doors->kinds[kind])
			door_shut(doors, container_of(it, struct door, link));
	hash_finish(&doors->by_conn);
	hash_finish(&doors->by_browser);
}

struct door *door_open(struct doors *doors, uint64_t conn, enum door_kind kind, const char *origin)
{
	struct door *door = calloc(1, sizeof *door);
	assert(!door_of(doors, conn));
	if (!door)
		abort();
	if (origin && !(door->origin = strdup(origin)))
		abort();
	list_init(&door->link);
	door->conn = conn;
	door->kind = kind;
	hash_add(&doors->by_conn, &door->by_conn, hash_u64(conn));
	list_append(&doors->kinds[kind], &door->link);
	doors->counts[kind]++;
	return door;
}

struct door *door_of(const struct doors *doors, uint64_t conn)
{
	for (struct hash_node *n = hash_first(&doors->by_conn, hash_u64(conn)); n;
	     n = hash_next(n)) {
		struct door *door = container_of(n, struct door, by_conn);
		if (door->conn == conn)
			return door;
	}
	return NULL;
}

static void uncount_browser(struct doors *doors, struct door *door)
{
	if (door->browser_key)
		hash_remove(&doors->by_browser, &door->by_browser);
	door->browser_key = 0;
}

void door_turn(struct doors *doors, struct door *door, enum door_kind kind)
{
	uncount_browser(doors, door);
	list_remove(&door->link);
	doors->counts[door->kind]--;
	door->kind = kind;
	list_append(&doors->kinds[kind], &door->link);
	doors->counts[kind]++;
}

void door_shut(struct doors *doors, struct door *door)
{
	if (!door)
		return;
	uncount_browser(doors, door);
	list_remove(&door->link);
	hash_remove(&doors->by_conn, &door->by_conn);
	assert(doors->counts[door->kind] > 0);
	doors->counts[door->kind]--;
	if (door->session && door->session->pidfd >= 0)
		(void)close(door->session->pidfd);
	free(door->origin);
	free(door->session);
	free(door);
}

void door_revoked(struct door *door, uint64_t lease)
{
	struct door_session *session = door->session;
	door_released(door, lease); /* said twice after a resume */
	if (session->unconfirmed_count == DOOR_UNCONFIRMED_MAX)
		door_released(door, session->unconfirmed[0]);
	session->unconfirmed[session->unconfirmed_count++] = lease;
}

void door_released(struct door *door, uint64_t lease)
{
	struct door_session *session = door->session;
	unsigned kept = 0;
	for (unsigned i = 0; i < session->unconfirmed_count; i++)
		if (session->unconfirmed[i] != lease)
			session->unconfirmed[kept++] = session->unconfirmed[i];
	session->unconfirmed_count = kept;
}

struct door *door_oldest(const struct doors *doors, enum door_kind kind)
{
	const struct list *head = &doors->kinds[kind];
	return list_empty(head) ? NULL : container_of(head->next, struct door, link);
}

bool door_count_browser(struct doors *doors, struct door *door, const char *origin,
			const char *user_agent)
{
	uint64_t key = hash_bytes(hash_bytes(0, origin, strlen(origin)), user_agent,
				  user_agent ? strlen(user_agent) : 0);
	unsigned parked = 0;
	key = key ? key : 1;
	for (struct hash_node *n = hash_first(&doors->by_browser, key); n; n = hash_next(n))
		parked++;
	if (parked >= LIMIT_WAITING_PER_BROWSER)
		return false;
	door->browser_key = key;
	hash_add(&doors->by_browser, &door->by_browser, key);
	return true;
}

/* upstream_socket: the sockets that libcurl has open, and what it does not ask of them. On one that
 * is used again, bytes that came after the last answer would be taken for the next one, so it has
 * one owner and must be clean; and a server that has read a request before it closed is not asked a
 * second time. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/upstream_impl.h"

static void forget_socket(struct upstream *upstream, int fd)
{
	for (unsigned i = 0; i < upstream->socket_count; i++) {
		if (upstream->sockets[i].fd != fd)
			continue;
		upstream->sockets[i] = upstream->sockets[--upstream->socket_count];
		return;
	}
}

static bool note_socket(struct upstream *upstream, int fd)
{
	if (upstream->socket_count == upstream->socket_capacity) {
		unsigned capacity = upstream->socket_capacity ? 2 * upstream->socket_capacity : 16;
		struct upstream_socket *grown =
			reallocarray(upstream->sockets, capacity, sizeof(*grown));
		if (!grown)
			return false;
		upstream->sockets = grown;
		upstream->socket_capacity = capacity;
	}

	upstream->sockets[upstream->socket_count++] = (struct upstream_socket){.fd = fd};
	return true;
}

/* Without its flags they would be inherited by programs that the daemon executes. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct upstream *upstream = ctx;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	(void)purpose;

	if (fd < 0)
		return CURL_SOCKET_BAD;
	forget_socket(upstream, fd); /* one by this number was closed in another way */
	if (note_socket(upstream, fd))
		return fd;
	(void)close(fd);
	return CURL_SOCKET_BAD;
}

/* What it had not read is answered by a reset when it closes; then the state is another. */
bool upstream_socket_was_read(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state == TCP_CLOSE_WAIT && info.tcpi_unacked == 0;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
	struct upstream *upstream = ctx;

	for (unsigned i = 0; i < upstream->slot_count; i++) {
		struct transfer *transfer = upstream->slots[i];
		if (!transfer || transfer->fd != fd)
			continue;
		transfer->was_read = upstream_socket_was_read(fd);
		transfer->fd = -1;
	}
	forget_socket(upstream, fd);
	return close(fd);
}

void upstream_socket_watch(struct upstream *upstream, CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, upstream);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, upstream);
}

static int port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)address)->sin_port);
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return -1;
}

/* Asked once of each: there may be hundreds. */
static bool is_connected(struct upstream_socket *socket)
{
	struct sockaddr_storage here, there;
	socklen_t here_size = sizeof(here), there_size = sizeof(there);

	if (socket->port)
		return true;
	if (getsockname(socket->fd, (struct sockaddr *)&here, &here_size) != 0 ||
	    getpeername(socket->fd, (struct sockaddr *)&there, &there_size) != 0)
		return false;

	socket->local_port = port_of(&here);
	socket->port = port_of(&there);
	return true;
}

static struct upstream_socket *find_socket(const struct upstream *upstream, int local_port,
					   int port)
{
	for (unsigned i = 0; i < upstream->socket_count; i++) {
		struct upstream_socket *socket = &upstream->sockets[i];
		if (is_connected(socket) && socket->local_port == local_port &&
		    socket->port == port)
			return socket;
	}
	return NULL;
}

/* Nothing came on it, and it is not closed. */
static bool is_clean(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* An answer that comes too late to be seen before the next request is sent reaches its own owner at
 * most. */
bool upstream_socket_take(struct transfer *transfer, int local_port, int port)
{
	struct upstream_socket *socket = find_socket(transfer->upstream, local_port, port);

	transfer->fd = -1;
	if (!socket) /* of the Unix domain */
		return true;
	if (!transfer->fresh && ((socket->used && strcmp(socket->owner, transfer->owner) != 0) ||
				 !is_clean(socket->fd)))
		return false;

	socket->used = true;
	memcpy(socket->owner, transfer->owner, sizeof(socket->owner));
	transfer->fd = socket->fd;
	return true;
}

/* A server that has more to say may wait for that. */
void upstream_socket_acknowledge(const struct transfer *transfer)
{
	int on = 1;

	if (transfer->fd >= 0)
		(void)setsockopt(transfer->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

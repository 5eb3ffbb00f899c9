/* upstream_socket: the sockets that libcurl has open, and what it does not ask of them. On one that
 * is used again, bytes that came after the last answer would be taken for the next one, so it has
 * one owner and must be clean; and a request that may have been read is not sent a second time,
 * unless it may be done twice. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h> /* glibc's tcp_info ends before what is counted */
#include <stddef.h>
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

enum { STATE_CLOSE_WAIT = 8 }; /* TCP_CLOSE_WAIT of glibc, which cannot be included beside it */

/* False: it is no TCP, or the kernel counts less. */
static bool ask_kernel(int fd, struct tcp_info *ret_info)
{
	socklen_t size = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &size) == 0 &&
	       size >= offsetof(struct tcp_info, tcpi_bytes_sent) +
			       sizeof(ret_info->tcpi_bytes_sent);
}

struct upstream_mark upstream_socket_mark(int fd)
{
	struct tcp_info info;

	if (!ask_kernel(fd, &info))
		return (struct upstream_mark){.known = false};
	return (struct upstream_mark){.known = true,
				      .sent = info.tcpi_bytes_sent,
				      .acked = info.tcpi_bytes_acked,
				      .received = info.tcpi_bytes_received};
}

/* A server that closes before a request comes says so first (its FIN counts as a byte); what comes
 * then is answered by a reset, and acknowledged by nobody. A reset alone tells nothing: whether the
 * server had read the request, or closed with it unread, and what was read may not be acknowledged
 * yet. */
bool upstream_socket_cannot_be_read(int fd, const struct upstream_mark *mark)
{
	struct tcp_info info;

	if (!mark->known || !ask_kernel(fd, &info))
		return false;
	if (info.tcpi_bytes_sent == mark->sent)
		return true;
	return info.tcpi_bytes_acked == mark->acked &&
	       (info.tcpi_state == STATE_CLOSE_WAIT ||
		info.tcpi_bytes_received == mark->received + 1);
}

bool upstream_socket_came_before(const struct transfer *transfer)
{
	struct tcp_info info;

	return transfer->reused && transfer->mark.known && ask_kernel(transfer->fd, &info) &&
	       info.tcpi_bytes_acked == transfer->mark.acked;
}

static bool was_read(int fd)
{
	struct tcp_info info;

	return ask_kernel(fd, &info) && info.tcpi_state == STATE_CLOSE_WAIT &&
	       info.tcpi_unacked == 0;
}

/* What may be done twice is, unless its server ended after it had read it. */
bool upstream_socket_may_repeat(const struct transfer *transfer)
{
	if (transfer->fd < 0)
		return transfer->may_repeat;
	return transfer->idempotent ? !was_read(transfer->fd)
				    : upstream_socket_cannot_be_read(transfer->fd, &transfer->mark);
}

static int close_socket(void *ctx, curl_socket_t fd)
{
	struct upstream *upstream = ctx;

	for (unsigned i = 0; i < upstream->slot_count; i++) {
		struct transfer *transfer = upstream->slots[i];
		if (!transfer || transfer->fd != fd)
			continue;
		transfer->may_repeat = upstream_socket_may_repeat(transfer);
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

/* An answer to the last request that is sent after its server has the next one reaches its own
 * owner at most. */
bool upstream_socket_take(struct transfer *transfer, int local_port, int port)
{
	struct upstream_socket *socket = find_socket(transfer->upstream, local_port, port);

	transfer->fd = -1;
	transfer->reused = false;
	if (!socket) /* of the Unix domain */
		return true;
	if (!transfer->fresh && ((socket->used && strcmp(socket->owner, transfer->owner) != 0) ||
				 !is_clean(socket->fd)))
		return false;

	transfer->reused = socket->used;
	socket->used = true;
	memcpy(socket->owner, transfer->owner, sizeof(socket->owner));
	transfer->fd = socket->fd;
	transfer->mark = upstream_socket_mark(socket->fd);
	return true;
}

/* A server that has more to say may wait for that. */
void upstream_socket_acknowledge(const struct transfer *transfer)
{
	int on = 1;

	if (transfer->fd >= 0)
		(void)setsockopt(transfer->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* listen: listening sockets and admission. At capacity the connection idle for longest is dropped,
 * the last slots are reserved for local programs, and beyond that the response is 503 (CASES.md
 * C31). Without free descriptors, accepting pauses instead of spinning (C42). */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "http/fault.h"
#include "net/http_reply.h"
#include "net/line_session.h"
#include "net/loop.h"
#include "net/net_impl.h"
#include "net/peer.h"

enum { ACCEPTS_PER_TURN = 64, ACCEPT_PAUSE_MS = 500, IDLE_TIME_MS_MIN = 1000 };

static int explain_failure(char *detail, size_t detail_size, int err, const char *what,
			   const char *name)
{
	if (detail)
		(void)snprintf(detail, detail_size, "%s: %s: %s", name, what,
			       errno ? strerror(errno) : "not possible");
	return -err;
}

static void set_accepting(struct net *net, bool accepting)
{
	list_each (node, next, &net->listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		if (accepting)
			(void)event_add(&listener->event, NULL);
		else
			(void)event_del(&listener->event);
	}
	net->accept_paused = !accepting;
}

/* The pending connection stays in the kernel's queue. Closing a connection of this net ends the
 * pause at once; descriptors freed elsewhere are noticed by the timer. */
static void pause_accepting(struct net *net)
{
	struct timeval wait = {.tv_sec = 0, .tv_usec = ACCEPT_PAUSE_MS * 1000};

	if (!net->accept_paused && net->handlers.on_protocol_error)
		net->handlers.on_protocol_error(net->ctx, 0, ERR_TOO_MANY_CONNECTIONS,
						"no descriptor free, accepting pauses");

	set_accepting(net, false);
	(void)evtimer_add(&net->accept_timer, &wait);
}

static void on_accept_timer(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	set_accepting(ctx, true);
}

void listen_init(struct net *net)
{
	(void)evtimer_assign(&net->accept_timer, loop_base(net->loop), on_accept_timer, net);
}

void net_accept_resume(struct net *net)
{
	if (!net->accept_paused || net->destroyed)
		return;
	(void)evtimer_del(&net->accept_timer);
	set_accepting(net, true);
}

/* Spares connections that were just accepted or answered: their next request may be on the way. */
static bool drop_longest_idle(struct net *net)
{
	if (list_empty(&net->idle))
		return false;

	struct conn *conn = container_of(net->idle.next, struct conn, idle);
	if (mono_since(loop_now(), conn->idle_since) < IDLE_TIME_MS_MIN)
		return false;
	conn_drop(conn);
	return true;
}

/* Sends the refusal and closes once the peer has read it. */
static void refuse_connection(struct net *net, int fd, bool is_http, const struct net_peer *peer)
{
	const struct http_fault fault = {503, ERR_TOO_MANY_CONNECTIONS, "too many connections"};
	struct conn *conn = net->refused_count < CONN_REFUSED_MAX
				    ? conn_create(net, fd, is_http ? &conn_http : &conn_line, peer)
				    : NULL;

	if (net->handlers.on_protocol_error)
		net->handlers.on_protocol_error(net->ctx, 0, fault.err, fault.what);
	if (!conn) {
		(void)close(fd);
		return;
	}

	conn->refused = true;
	net->count--;
	net->refused_count++;

	if (is_http) {
		http_write_refusal(conn, &fault);
	} else {
		static const char line[] = "{\"type\":\"close\",\"code\":4429,"
					   "\"reason\":\"too many connections\"}\n";
		conn_write(conn, line, sizeof(line) - 1, NULL, 0);
	}

	conn_linger(conn);
}

/* The last quarter of the reserve is for HTTP only, which is what operators use. A program that
 * leaks sessions is stopped earlier: first by its own limit, then by the limit on all line
 * sessions, which still admits holders that reconnect. */
static bool can_admit(const struct listener *listener, struct net_peer *peer)
{
	const struct net *net = listener->net;
	unsigned max = net->options.connections_max;
	unsigned reserved = net->options.connections_reserved_max;
	unsigned per_process = net->options.connections_per_process_max;
	unsigned own = per_process ? crowd_count(&net->crowd, peer->pid) : 0;
	unsigned general = max - reserved;

	/* TCP gets only half of the reserve: any page can open TCP connections, only the user's own
	 * programs reach the Unix sockets. */
	if (!listener->is_unix)
		return net->count < max - reserved / 2;

	bool over_own = per_process && own >= per_process;
	if (listener->is_http) {
		peer->crowded = over_own; /* its requests are marked as reserved, see http.c */
		return net->count < max && (!over_own || own < per_process + reserved / 2);
	}

	bool over_all = net->count >= general && net->crowd.sessions >= general / 2;
	unsigned room = over_all ? general + reserved / 4 : max - reserved / 4;
	peer->crowded = over_own || over_all;
	return net->count < room && (!over_own || own < per_process + reserved / 4);
}

static void count_process(struct conn *conn)
{
	struct net *net = conn->net;
	if (net->options.connections_per_process_max)
		conn->process = crowd_enter(&net->crowd, conn->peer.pid);
	conn->counted_session = conn->kind == &conn_line;
	net->crowd.sessions += conn->counted_session;
}

static void admit_connection(struct listener *listener, int fd)
{
	struct net *net = listener->net;
	unsigned general = net->options.connections_max - net->options.connections_reserved_max;
	struct net_peer peer;

	peer_of_socket(fd, listener->is_unix, &peer);
	if (net->count >= general)
		(void)drop_longest_idle(net);

	if (!can_admit(listener, &peer)) {
		refuse_connection(net, fd, listener->is_http, &peer);
		return;
	}

	struct conn *conn =
		conn_create(net, fd, listener->is_http ? &conn_http : &conn_line, &peer);
	if (!conn) {
		(void)close(fd);
		return;
	}

	conn->reserved = net->count > general || peer.crowded;
	if (listener->is_unix)
		count_process(conn);
	if (!listener->is_http) {
		line_conn_begin(conn);
		return;
	}

	conn_idles(conn);
	if (conn->reserved) /* reserved slots are not for idling */
		conn_deadline(conn, DEADLINE_HEADER);
}

static void on_acceptable(evutil_socket_t listen_fd, short events, void *ctx)
{
	(void)events;
	struct listener *listener = ctx;

	loop_touch(listener->net->loop);
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			admit_connection(listener, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			if (!drop_longest_idle(listener->net)) {
				pause_accepting(listener->net);
				return;
			}
		}
		/* Other errors (ECONNABORTED, EINTR, ..) concern that one connection. */
	}
}

/* Takes ownership of the descriptor always, of `path` only on success. */
static int add_listener(struct net *net, int listen_fd, struct listener *wanted)
{
	cleanup_close int fd = listen_fd;
	struct listener *listener = malloc(sizeof(*listener));
	if (!listener)
		return -ERR_NO_MEMORY;

	*listener = *wanted;
	listener->net = net;
	listener->fd = fd;
	list_init(&listener->node);
	(void)event_assign(&listener->event, loop_base(net->loop), fd, EV_READ | EV_PERSIST,
			   on_acceptable, listener);

	if (event_add(&listener->event, NULL) != 0) {
		free(listener);
		return -ERR_NO_MEMORY;
	}

	list_append(&net->listeners, &listener->node);
	(void)take_fd(&fd);
	return 0;
}

/* getaddrinfo accepts any number, and an empty port. */
static bool is_port(const char *text)
{
	size_t length = strlen(text);
	return length >= 1 && length <= 5 && strspn(text, "0123456789") == length &&
	       atoi(text) <= UINT16_MAX;
}

static int resolve_address(const char *address, struct addrinfo **ret_info)
{
	char host[64];
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	bool bracketed = length >= 2 && address[0] == '[' && address[length - 1] == ']';

	if (!colon || !is_port(colon + 1) || length == 0 || length >= sizeof(host) ||
	    (!bracketed && memchr(address, ':', length)))
		return -ERR_BAD_FIELD;

	(void)snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? length - 2 : length),
		       bracketed ? address + 1 : address);

	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				       .ai_socktype = SOCK_STREAM};
	return getaddrinfo(host, colon + 1, &hints, ret_info) == 0 ? 0 : -ERR_BAD_FIELD;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage name = {0};
	socklen_t length = sizeof(name);
	if (getsockname(fd, (struct sockaddr *)&name, &length) != 0)
		return 0;
	return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
						: ((struct sockaddr_in *)&name)->sin_port);
}

int net_listen_tcp(struct net *net, const char *address, uint16_t *ret_port, char *detail,
		   size_t detail_size)
{
	struct addrinfo *info = NULL;

	errno = 0;
	if (resolve_address(address, &info) != 0)
		return explain_failure(detail, detail_size, ERR_BAD_FIELD,
				       "not an address like 127.0.0.1:8470 or [::1]:8470", address);

	cleanup_close int fd =
		socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;
	bool fine = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0;
	if (fine && info->ai_family == AF_INET6)
		fine = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0;

	/* Accepted sockets inherit both: no delayed responses, and dead peers are detected. */
	fine = fine && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) == 0 &&
	       bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0;

	int saved = errno;
	freeaddrinfo(info);
	errno = saved;
	if (!fine)
		return explain_failure(detail, detail_size,
				       errno == EADDRINUSE ? ERR_ALREADY_RUNNING : ERR_IO,
				       "cannot listen", address);

	uint16_t port = port_of(fd);
	int rc = add_listener(net, take_fd(&fd), &(struct listener){.is_http = true});
	if (rc == 0 && ret_port)
		*ret_port = port;
	return rc;
}

/* Removes the socket file of a daemon that is gone; fails if it still answers, or is not a socket.
 */
static int clear_stale_socket(const struct sockaddr_un *name, char *detail, size_t detail_size)
{
	struct stat status;
	const char *path = name->sun_path;

	if (lstat(path, &status) != 0)
		return errno == ENOENT
			       ? 0
			       : explain_failure(detail, detail_size, ERR_IO, "cannot look", path);

	errno = 0;
	if (!S_ISSOCK(status.st_mode))
		return explain_failure(detail, detail_size, ERR_IO, "is there and no socket", path);

	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return explain_failure(detail, detail_size, ERR_IO, "cannot make a socket", path);

	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 ||
	    errno != ECONNREFUSED) {
		errno = EADDRINUSE;
		return explain_failure(detail, detail_size, ERR_ALREADY_RUNNING, "somebody listens",
				       path);
	}

	if (unlink(path) != 0 && errno != ENOENT)
		return explain_failure(detail, detail_size, ERR_IO, "cannot remove", path);
	return 0;
}

int net_listen_unix(struct net *net, const char *path, bool http, char *detail, size_t detail_size)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat status;

	errno = ENAMETOOLONG;
	if (strlen(path) >= sizeof(name.sun_path))
		return explain_failure(detail, detail_size, ERR_BAD_FIELD, "cannot be a socket",
				       path);
	memcpy(name.sun_path, path, strlen(path) + 1);

	int rc = clear_stale_socket(&name, detail, detail_size);
	if (rc)
		return rc;

	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Nobody can connect before listen(), so the mode is in time. */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) != 0 ||
	    chmod(path, 0600) != 0 || lstat(path, &status) != 0 || listen(fd, SOMAXCONN) != 0)
		return explain_failure(detail, detail_size, ERR_IO, "cannot listen", path);

	cleanup_free char *kept = strdup(path);
	struct listener wanted = {.is_unix = true,
				  .is_http = http,
				  .path = kept,
				  .device = status.st_dev,
				  .inode = status.st_ino};
	rc = kept ? add_listener(net, take_fd(&fd), &wanted) : -ERR_NO_MEMORY;
	if (rc == 0)
		kept = NULL;
	return rc;
}

/* False if the file was removed or belongs to another daemon. */
static bool is_in_place(const struct listener *listener)
{
	struct stat status;
	return lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
	       status.st_ino == listener->inode;
}

static void close_listener(struct listener *listener)
{
	(void)event_del(&listener->event);
	(void)close(listener->fd);
	list_remove(&listener->node);
	free(listener->path);
	free(listener);
}

int net_listen_again(struct net *net, const char *path, char *detail, size_t detail_size)
{
	struct listener *old = NULL;

	list_each (node, next, &net->listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		if (listener->path && strcmp(listener->path, path) == 0)
			old = listener;
	}

	if (!old)
		return -ERR_NOT_FOUND;
	if (is_in_place(old))
		return 0;

	int rc = net_listen_unix(net, path, old->is_http, detail, detail_size);
	if (rc)
		return rc;

	on_acceptable(old->fd, EV_READ, old); /* accept what was pending on the old socket */
	close_listener(old);
	return 1;
}

void net_stop_listening(struct net *net)
{
	(void)evtimer_del(&net->accept_timer);
	list_each (node, next, &net->listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		if (listener->path && is_in_place(listener))
			(void)unlink(listener->path);
		close_listener(listener);
	}
}

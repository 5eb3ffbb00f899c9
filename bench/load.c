/* load: the engine of the lock benchmark. One thread, epoll, N keep-alive clients; prints one JSON
 * line with cycles per second and the hand-off from a release being written to the next grant being
 * read. The same engine drives every server, so the ratios compare servers and nothing else. usage:
 * load PROTOCOL ADDRESS CLIENTS SECONDS [BEARER-FILE]; "500c" in place of seconds: 500 cycles */
#include "load.h"

#include <arpa/inet.h>
#include <limits.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VRAM_HISTORY_MAX = 1 << 22 };

struct samples {
	double *v;
	size_t count;
};

struct tally {
	struct samples offered, granted; /* seconds from a release */
	long cycles, errors, violations;
	struct client *holder; /* gives the lock back once the batch of events is read */
	double released_at;    /* of the release that nobody has answered by a grant yet; 0: none */
};

const char *load_bearer = "";

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int connect_tcp(const char *host_port)
{
	char host[64];
	const char *colon = strrchr(host_port, ':');
	if (colon == NULL || (size_t)(colon - host_port) >= sizeof(host))
		return -1;
	memcpy(host, host_port, (size_t)(colon - host_port));
	host[colon - host_port] = '\0';
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(colon + 1))};
	inet_pton(AF_INET, host, &address.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void client_write(struct client *client, const char *bytes, size_t length)
{
	if (write(client->fd, bytes, length) != (ssize_t)length)
		die("write");
}

void client_consume(struct client *client, size_t length)
{
	memmove(client->in, client->in + length, client->in_count - length + 1);
	client->in_count -= length;
}

static void sample_add(struct samples *samples, double seconds)
{
	if (samples->count < VRAM_HISTORY_MAX)
		samples->v[samples->count++] = seconds;
}

/* What one message of one client means for the count; writes the client's next request. */
static void tally_outcome(struct tally *tally, const struct protocol *protocol,
			  struct client *client, enum outcome outcome, double now)
{
	switch (outcome) {
	case OUTCOME_OFFERED:
		if (tally->released_at > 0)
			sample_add(&tally->offered, now - tally->released_at);
		break;
	case OUTCOME_GRANTED:
		if (tally->holder != NULL)
			tally->violations++;
		if (tally->released_at > 0)
			sample_add(&tally->granted, now - tally->released_at);
		tally->holder = client;
		break;
	case OUTCOME_RELEASED:
		tally->cycles++;
		protocol->take(client);
		break;
	case OUTCOME_ERROR:
		tally->errors++;
		protocol->take(client);
		break;
	case OUTCOME_MORE:
	case OUTCOME_IGNORED:
		break;
	}
}

static void client_readable(struct tally *tally, const struct protocol *protocol,
			    struct client *client)
{
	ssize_t count = read(client->fd, client->in + client->in_count,
			     sizeof(client->in) - 1 - client->in_count);
	double now = now_s();
	if (count <= 0)
		die("the server closed a connection");
	client->in_count += (size_t)count;
	client->in[client->in_count] = '\0';
	for (;;) {
		enum outcome outcome = protocol->read(client);
		if (outcome == OUTCOME_MORE)
			break;
		tally_outcome(tally, protocol, client, outcome, now);
	}
}

/* Only after all messages of a turn were read: a second grant among them would be seen as a
 * violation. */
static void holder_gives(struct tally *tally, const struct protocol *protocol)
{
	struct client *holder = tally->holder;
	if (holder == NULL)
		return;
	tally->holder = NULL;
	protocol->give(holder);
	tally->released_at = now_s();
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double percentile_us(struct samples *samples, double share)
{
	if (samples->count == 0)
		return 0;
	qsort(samples->v, samples->count, sizeof(double), by_value);
	return samples->v[(size_t)((double)(samples->count - 1) * share)] * 1e6;
}

static const struct protocol *protocol_of(const char *name)
{
	static const struct protocol *const all[] = {&protocol_http, &protocol_session,
						     &protocol_redis};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}

static void read_bearer(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	if (file == NULL || fgets(buf, (int)size, file) == NULL)
		die(path);
	buf[strcspn(buf, "\n")] = '\0';
	fclose(file);
	load_bearer = buf;
}

static struct client *clients_connect(const struct protocol *protocol, const char *address,
				      int count, int epoll)
{
	struct client *clients = calloc((size_t)count, sizeof(*clients));
	if (clients == NULL)
		die("calloc");
	for (int i = 0; i < count; i++) {
		clients[i].number = i;
		clients[i].fd = protocol->connect(address, i);
		if (clients[i].fd < 0)
			die("connect");
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
		protocol->greet(&clients[i]);
	}
	return clients;
}

int main(int argc, char **argv)
{
	const struct protocol *protocol = argc >= 5 ? protocol_of(argv[1]) : NULL;
	if (protocol == NULL) {
		fprintf(stderr,
			"usage: load http|session|redis ADDRESS CLIENTS SECONDS [BEARER-FILE]\n");
		return 64;
	}
	char bearer[256];
	if (argc > 5)
		read_bearer(argv[5], bearer, sizeof(bearer));
	int count = atoi(argv[3]), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct client *clients = clients_connect(protocol, argv[2], count, epoll);
	struct tally tally = {.offered.v = malloc(VRAM_HISTORY_MAX * sizeof(double)),
			      .granted.v = malloc(VRAM_HISTORY_MAX * sizeof(double))};
	bool by_cycles = strchr(argv[4], 'c') != NULL;
	long cycles_max = by_cycles ? atol(argv[4]) : LONG_MAX;
	double begin = now_s(), end = by_cycles ? INFINITY : begin + atof(argv[4]);
	for (int i = 0; i < count; i++)
		protocol->take(&clients[i]);
	struct epoll_event events[256];
	while (tally.cycles < cycles_max && now_s() < end) {
		int ready = epoll_wait(epoll, events, 256, 100);
		for (int i = 0; i < ready; i++)
			client_readable(&tally, protocol, events[i].data.ptr);
		holder_gives(&tally, protocol);
	}
	double elapsed = now_s() - begin;
	printf("{\"protocol\":\"%s\",\"clients\":%d,\"cycles_per_s\":%.0f,\"offered_p50_us\":%.1f,"
	       "\"offered_p99_us\":%.1f,\"granted_p50_us\":%.1f,\"granted_p99_us\":%.1f,"
	       "\"errors\":%ld,\"violations\":%ld}\n",
	       protocol->name, count, (double)tally.cycles / elapsed,
	       percentile_us(&tally.offered, 0.5), percentile_us(&tally.offered, 0.99),
	       percentile_us(&tally.granted, 0.5), percentile_us(&tally.granted, 0.99),
	       tally.errors, tally.violations);
	return tally.violations != 0;
}

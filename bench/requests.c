/* requests: inference requests at a given rate, or streams beside each other, timed by the client.
 * The rate is kept whatever the answers take. Prints one line of JSON.
 * usage: requests rate HOST:PORT BEARER PER_SECOND SECONDS
 *        requests streams HOST:PORT BEARER COUNT SECONDS_AT_MOST */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES_MAX = 4 * 1000 * 1000, STALL_NS = 1000 * 1000 * 1000, ANSWER_BYTES = 4096 };

struct samples {
	int64_t *ns;
	size_t count;
};

struct client {
	struct bufferevent *io;
	struct client *next_idle;
	int64_t sent, first, last_token, longest_gap;
	bool busy;
};

static struct event_base *base;
static struct sockaddr_in address;
static struct client *idle;
static char request[1024];
static bool streams;
static struct samples first_bytes, wholes, tokens;
static unsigned wanted, sent_count, done_count, error_count, client_count, stalled_count;
static int64_t began, interval_ns, longest_gap;

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void add_sample(struct samples *samples, int64_t ns)
{
	if (!samples->ns)
		samples->ns = calloc(SAMPLES_MAX, sizeof(*samples->ns));
	if (samples->ns && samples->count < SAMPLES_MAX)
		samples->ns[samples->count++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return left < right ? -1 : left > right;
}

static double percentile_us(struct samples *samples, double share)
{
	if (samples->count == 0)
		return -1;
	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare_ns);
	return (double)samples->ns[(size_t)(share * (double)(samples->count - 1))] / 1000;
}

static void end_when_done(void)
{
	if (done_count + error_count >= wanted)
		event_base_loopbreak(base);
}

static void finish(struct client *client, bool success)
{
	if (success)
		done_count++;
	else
		error_count++;
	client->busy = false;
	if (client->longest_gap > longest_gap)
		longest_gap = client->longest_gap;
	if (client->longest_gap > STALL_NS)
		stalled_count++;
	client->next_idle = idle;
	idle = client;
	end_when_done();
}

/* Tokens carry the time at which the server wrote them. */
static void take_tokens(struct client *client, struct evbuffer *in)
{
	char *line;

	while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF)) != NULL) {
		int64_t now = now_ns();
		if (!strncmp(line, "data: {\"t\":", 11)) {
			add_sample(&tokens, now - strtoll(line + 11, NULL, 10));
			if (client->last_token && now - client->last_token > client->longest_gap)
				client->longest_gap = now - client->last_token;
			client->last_token = now;
		}
		bool ended = !strncmp(line, "data: [DONE]", 12);
		free(line);
		if (ended) {
			finish(client, true);
			return;
		}
	}
}

static bool is_whole(const char *bytes, size_t length)
{
	const char *end = memmem(bytes, length, "\r\n\r\n", 4), *field;

	if (!end)
		return false;
	if (memmem(bytes, (size_t)(end - bytes), "chunked", 7))
		return length >= 5 && !memcmp(bytes + length - 5, "0\r\n\r\n", 5);
	field = strcasestr(bytes, "content-length:");
	return field && length >= (size_t)(end - bytes) + 4 + strtoull(field + 15, NULL, 10);
}

static void on_read(struct bufferevent *io, void *ctx)
{
	struct client *client = ctx;
	struct evbuffer *in = bufferevent_get_input(io);
	int64_t now = now_ns();

	if (!client->first) {
		client->first = now;
		add_sample(&first_bytes, now - client->sent);
	}
	if (streams) {
		take_tokens(client, in);
		return;
	}

	char answer[ANSWER_BYTES];
	ssize_t length = evbuffer_copyout(in, answer, sizeof(answer) - 1);
	if (length < 0)
		return;
	answer[length] = '\0';
	if (!is_whole(answer, (size_t)length))
		return;

	add_sample(&wholes, now - client->sent);
	evbuffer_drain(in, (size_t)length);
	finish(client, !strncmp(answer, "HTTP/1.1 200", 12));
}

static void on_event(struct bufferevent *io, short what, void *ctx)
{
	struct client *client = ctx;

	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
		return;
	bufferevent_free(io);
	client->io = NULL;
	if (client->busy)
		finish(client, false);
}

static void open_connection(struct client *client)
{
	int one = 1;

	client->io = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client->io, on_read, NULL, on_event, client);
	bufferevent_enable(client->io, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(client->io, (struct sockaddr *)&address, sizeof(address)) !=
	    0)
		exit(1);
	setsockopt(bufferevent_getfd(client->io), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void send_one(void)
{
	struct client *client = idle;

	if (client) {
		idle = client->next_idle;
	} else {
		client = calloc(1, sizeof(*client));
		if (!client)
			abort();
		client_count++;
	}
	if (!client->io)
		open_connection(client);

	client->busy = true;
	client->first = client->last_token = client->longest_gap = 0;
	client->sent = now_ns();
	bufferevent_write(client->io, request, strlen(request));
	sent_count++;
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what, (void)ctx;
	while (sent_count < wanted && began + (int64_t)sent_count * interval_ns <= now_ns())
		send_one();
}

static void prepare(const char *where, const char *bearer)
{
	char host[64], body[160];
	const char *colon = strchr(where, ':');

	snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
	address = (struct sockaddr_in){.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)atoi(colon + 1))};
	inet_pton(AF_INET, host, &address.sin_addr);
	snprintf(body, sizeof(body),
		 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}",
		 streams ? ",\"stream\":true" : "");
	snprintf(request, sizeof(request),
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 where, bearer, strlen(body), body);
}

static void print_result(void)
{
	unsigned open = sent_count - done_count - error_count;

	printf("{\"sent\":%u,\"done\":%u,\"errors\":%u,\"open\":%u,\"connections\":%u,", sent_count,
	       done_count, error_count, open, client_count);
	printf("\"first_p50_us\":%.1f,\"first_p99_us\":%.1f,", percentile_us(&first_bytes, 0.5),
	       percentile_us(&first_bytes, 0.99));
	printf("\"whole_p50_us\":%.1f,\"whole_p99_us\":%.1f,", percentile_us(&wholes, 0.5),
	       percentile_us(&wholes, 0.99));
	printf("\"tokens\":%zu,\"token_p50_us\":%.1f,\"token_p99_us\":%.1f,\"longest_gap_ms\":%.1f,"
	       "\"stalled\":%u}\n",
	       tokens.count, percentile_us(&tokens, 0.5), percentile_us(&tokens, 0.99),
	       (double)longest_gap / 1e6, stalled_count);
}

int main(int argc, char **argv)
{
	struct event_config *config = event_config_new();
	struct timeval tick = {.tv_usec = 500}, most;

	if (argc != 6)
		return 64;
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	streams = !strcmp(argv[1], "streams");
	prepare(argv[2], argv[3]);
	wanted = (unsigned)(streams ? atoi(argv[4]) : atoi(argv[4]) * atoi(argv[5]));
	interval_ns = streams ? 1000 * 1000 : 1000000000 / atoi(argv[4]);
	most = (struct timeval){.tv_sec = atoi(argv[5]) + (streams ? 0 : 10)};

	if (!streams) { /* the first one opens the way and is not counted */
		unsigned counted = wanted;
		wanted = 1;
		send_one();
		event_base_dispatch(base);
		wanted = counted;
		sent_count = done_count = 0;
		first_bytes.count = wholes.count = 0;
	}

	struct event *ticker = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(ticker, &tick);
	began = now_ns();
	event_base_loopexit(base, &most);
	event_base_dispatch(base);
	print_result();
	return 0;
}

/* ask: one connection per question, none of which waits for another. Follows no redirect. */
#include "cli/discover/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/clock.h"
#include "http/response_parser.h"

enum { BODY_BYTES_MAX = 1024 * 1024, REQUEST_BYTES = 256 };

struct question {
	struct ask *ask;
	int fd; /* -1: over */
	bool sent;
	struct http_response_parser parser;
	struct buf body;
};

static void end_question(struct question *question)
{
	if (question->fd >= 0)
		close(question->fd);
	question->fd = -1;
}

static void begin_question(struct question *question, struct ask *ask)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons(ask->port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	question->ask = ask;
	http_response_init(&question->parser);
	question->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (question->fd >= 0 &&
	    connect(question->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 &&
	    errno != EINPROGRESS)
		end_question(question);
}

/* It fits into the socket's buffer, which is empty. */
static void send_question(struct question *question)
{
	char text[REQUEST_BYTES];
	int length =
		snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: application/json\r\n"
			 "Connection: close\r\n\r\n",
			 question->ask->path, question->ask->port);

	question->sent = true;
	if (send(question->fd, text, (size_t)length, MSG_NOSIGNAL) != length)
		end_question(question);
}

static void collect_body(void *ctx, const char *bytes, size_t length)
{
	struct buf *body = ctx;

	if (body->length + length <= BODY_BYTES_MAX && buf_append(body, bytes, length) != 0)
		abort();
}

static void take_answer(struct question *question)
{
	const char *body = buf_data(&question->body);
	size_t length = question->body.length;

	question->ask->status = question->parser.status;
	if (length)
		question->ask->json = json_loadb(body, length, 0, NULL);
	if (length && !question->ask->json) {
		question->ask->text = strndup(body, length);
		if (!question->ask->text)
			abort();
	}
	end_question(question);
}

static void read_answer(struct question *question)
{
	char bytes[16 * 1024];
	ssize_t n = recv(question->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n == 0 && http_response_close(&question->parser) == 0)
			take_answer(question);
		end_question(question);
		return;
	}

	if (http_response_feed(&question->parser, bytes, (size_t)n, collect_body,
			       &question->body) != 0)
		end_question(question);
	else if (question->parser.phase == HTTP_RESPONSE_DONE)
		take_answer(question);
}

/* False: all are over, or the time is. */
static bool wait_for_some(struct question *questions, struct pollfd *polls, size_t count,
			  int64_t until_ms)
{
	int64_t left_ms = until_ms - clock_now_ms();
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		polls[i] = (struct pollfd){.fd = questions[i].fd,
					   .events = questions[i].sent ? POLLIN : POLLOUT};
		any = any || questions[i].fd >= 0;
	}
	if (!any || left_ms <= 0)
		return false;
	return poll(polls, count, (int)left_ms) > 0 || errno == EINTR;
}

void ask_all(struct ask *asks, size_t count, int64_t time_ms)
{
	int64_t until_ms = clock_now_ms() + time_ms;
	struct question *questions = calloc(count + 1, sizeof(*questions));
	struct pollfd *polls = calloc(count + 1, sizeof(*polls));

	if (!questions || !polls)
		abort();
	for (size_t i = 0; i < count; i++)
		begin_question(&questions[i], &asks[i]);

	while (wait_for_some(questions, polls, count, until_ms))
		for (size_t i = 0; i < count; i++) {
			if (questions[i].fd < 0 || !polls[i].revents)
				continue;
			if (questions[i].sent)
				read_answer(&questions[i]);
			else
				send_question(&questions[i]);
		}

	for (size_t i = 0; i < count; i++) {
		end_question(&questions[i]);
		buf_finish(&questions[i].body);
	}
	free(questions);
	free(polls);
}

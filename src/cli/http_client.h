/* http_client: the broker's HTTP API over http.sock, which lies beside the session socket. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct command;

enum { HTTP_CLIENT_ERROR_BYTES = 1024 };

/* One request and its whole answer as JSON; the caller calls json_decref. Waits briefly for a
 * broker that is restarting. Returns 0, or an exit status after printing what failed. `body` may be
 * NULL. */
int http_client_call(const struct command *command, const char *method, const char *path,
		     const char *body, json_t **ret_answer);
/* The same without printing or waiting: 0 or a negative enum err, with its text in `error`. */
int http_client_try(const char *method, const char *path, const char *body, json_t **ret_answer,
		    char *error, size_t error_size);
/* The status without its waiters, or NULL if there is no answer; the caller calls json_decref. */
json_t *http_client_status(void);
/* The broker's process, pinned: the caller closes *ret_pidfd. 0 or a negative enum err. */
int http_client_broker(pid_t *ret_pid, int *ret_pidfd, char *error, size_t error_size);
/* Prints why a call failed. Returns the exit status. */
int http_client_fail(const struct command *command, int err, const char *error);

/* One request whose answer the caller waits for with poll, so that nothing stands still meanwhile.
 */
struct http_exchange;
int http_exchange_begin(const char *method, const char *path, const char *body,
			struct http_exchange **ret_exchange, char *error, size_t error_size);
int http_exchange_fd(const struct http_exchange *exchange);
/* Reads what has arrived. 1: more is to come, 0: the answer is whole, or a negative enum err. */
int http_exchange_step(struct http_exchange *exchange);
/* Frees the exchange. `rc` is what the last step said, or -ERR_SLOW after waiting too long. 0, or a
 * negative enum err with its text. */
int http_exchange_end(struct http_exchange *exchange, int rc, json_t **ret_answer, char *error,
		      size_t error_size);
void http_exchange_drop(struct http_exchange *exchange); /* takes NULL */

/* A streamed answer. */
struct http_stream;
/* Sends the request without waiting for an answer; what that says, http_stream_read finds. */
int http_stream_request(const char *path, struct http_stream **ret_stream, char *error,
			size_t error_size);
/* Sends the request and waits for the head. 0 or a negative enum err. */
int http_stream_open(const char *path, struct http_stream **ret_stream, char *error,
		     size_t error_size);
void http_stream_close(struct http_stream *stream); /* takes NULL */
int http_stream_fd(const struct http_stream *stream);
/* Reads what has arrived, without waiting, and calls `on_line` for each line of the body. 1: more
 * may come, 0: the broker ended it, or a negative enum err. */
int http_stream_read(struct http_stream *stream, void (*on_line)(void *ctx, const char *line),
		     void *ctx);

/* http_client: the broker's HTTP API over http.sock, which lies beside the session socket. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli/cli.h"

enum { HTTP_CLIENT_ERROR_BYTES = 1024 };

/* One request and its whole answer as JSON, which is the caller's to json_decref. Waits a moment
 * for a broker that restarts. Returns 0, or an exit status after it printed what failed. `body` may
 * be NULL. */
int http_client_call(const struct command *command, const char *method, const char *path,
		     const char *body, json_t **ret_answer);
/* The same, silent and without waiting: 0 or a negative enum err. `error` gets the words. */
int http_client_try(const char *method, const char *path, const char *body, json_t **ret_answer,
		    char *error, size_t error_size);
/* The broker's process, pinned: the caller closes *ret_pidfd. 0 or a negative enum err. */
int http_client_broker(pid_t *ret_pid, int *ret_pidfd, char *error, size_t error_size);
/* Prints why a call failed. Returns the exit status. */
int http_client_fail(const struct command *command, int err, const char *error);

/* A streamed answer. */
struct http_stream;
/* Asks, and waits for the head. 0 or a negative enum err. */
int http_stream_open(const char *path, struct http_stream **ret_stream, char *error,
		     size_t error_size);
void http_stream_close(struct http_stream *stream); /* takes NULL */
int http_stream_fd(const struct http_stream *stream);
/* Reads what is there without waiting, one line of the body per call of `on_line`. 1: goes on, 0:
 * the broker ended it, or a negative enum err. */
int http_stream_read(struct http_stream *stream, void (*on_line)(void *ctx, const char *line),
		     void *ctx);

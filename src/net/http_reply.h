/* http_reply: answers to HTTP exchanges, by number: whole ones, files and streams. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct conn;
struct http_fault;
struct http_header;
struct net;

/* Adds Content-Length and Date. Copies the response. */
void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length);
/* The same with `length` bytes of an open file as the body. Takes ownership of the descriptor. Sent
 * as fast as the peer reads; a file that turns out shorter closes the connection. */
void http_reply_file(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		     size_t header_count, int file, uint64_t offset, uint64_t length);
/* A streamed response (SSE, long listings, proxied responses): chunked on HTTP/1.1; it may begin
 * while the request's body is still arriving. */
void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count);
/* The same with a Content-Length in place of chunks. More than announced is dropped; a stream that
 * ends with less is cut. */
void http_stream_begin_sized(struct net *net, uint64_t conn, int status,
			     const struct http_header *headers, size_t header_count,
			     uint64_t length);
/* Takes the bytes, copying if needed. False: more than 64 KiB are unsent, so wait for on_writable;
 * a writer that carries on loses the connection beyond LIMIT_SEND_BUFFER_BYTES. Also false for an
 * exchange that is gone. */
bool http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length);
/* Bytes not yet accepted by the kernel. */
size_t http_stream_pending(const struct net *net, uint64_t conn);
void http_stream_end(struct net *net, uint64_t conn);
/* Cuts the connection, so that the peer does not take a truncated stream for a complete one. No
 * callback follows. */
void http_stream_abort(struct net *net, uint64_t conn);

/* For the other files of src/net: heads of streams that wait for their first bytes go out by
 * themselves at the end of an iteration, and with their connection they are lost. */
void http_send_due_heads(struct net *net);
void http_forget_due_head(struct conn *conn);
/* Net's own answer to a malformed request; the caller closes. */
void http_write_refusal(struct conn *conn, const struct http_fault *fault);
/* The same as bytes, for a connection over the limit. False: no memory. */
bool http_format_refusal(struct buf *out, const struct http_fault *fault);

/* http_reply: answers to HTTP exchanges, by number: whole ones, files and streams. */
#pragma once
#include "net/http.h"

/* Content-Length and Date are added. The answer is copied. */
void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length);
/* The same with `length` bytes of an open file as its body. Takes the descriptor. Sent by and by,
 * as the peer takes it; a file that turns out shorter ends the connection. */
void http_reply_file(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		     size_t header_count, int file, uint64_t offset, uint64_t length);
/* A streamed answer (SSE, long listings, what a proxy brings): chunked on HTTP/1.1; it may begin
 * while the request's body still comes. */
void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count);
/* The bytes are taken, by copy if need be. False: more than 64 KiB wait for the peer, so write on
 * when on_writable comes; who writes on regardless loses the connection past
 * LIMIT_SEND_BUFFER_BYTES. Also false for an exchange that is gone. */
bool http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length);
/* Bytes not yet taken by the peer. */
size_t http_stream_pending(const struct net *net, uint64_t conn);
void http_stream_end(struct net *net, uint64_t conn);
/* What was to follow cannot: the connection is cut, so that the peer does not take the stream for a
 * whole one. Nothing is told of it any more. */
void http_stream_abort(struct net *net, uint64_t conn);

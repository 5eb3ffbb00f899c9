/* limits: everything that a client can make grow has its bound here (DESIGN.md sections 7 and 12).
 * Checked at the edge, with an error that the client understands. */
#pragma once
#include <assert.h>

enum {
	LIMIT_REQUEST_LINE_BYTES = 8 * 1024,
	LIMIT_HEADER_COUNT = 64,
	LIMIT_HEADER_BYTES = 16 * 1024,
	LIMIT_BODY_BYTES = 64 * 1024,           /* of an API request */
	LIMIT_COLLECT_BYTES = 16 * 1024 * 1024, /* what a route may want of a body in one piece */
	LIMIT_FRAME_BYTES = 64 * 1024,          /* one session message, WebSocket or line */
	LIMIT_SEND_BUFFER_BYTES = 1024 * 1024,  /* a peer that does not read is closed past this */
	LIMIT_JSON_DEPTH = 16,
	LIMIT_ID_BYTES = 128,       /* names of clients: 1..128 printable bytes of UTF-8 */
	LIMIT_PRINCIPAL_BYTES = 63, /* "uid:1000", "origin:https://host:8443" */
	LIMIT_REQUEST_ID_BYTES = 64,
	LIMIT_LABEL_BYTES = 64,   /* model or job label */
	LIMIT_REASON_BYTES = 120, /* an operator's reason, an error's detail */
	LIMIT_GPU_NAME_BYTES = 63,
	LIMIT_HEADER_TIME_MS = 5000,
	LIMIT_HELLO_TIME_MS = 2000,
	LIMIT_CONNECTIONS = 1024,
	LIMIT_CONNECTIONS_RESERVED = 64, /* of those, kept for holders and local programs */
	LIMIT_MESSAGES_PER_S = 200,      /* per WebSocket session, burst of the same size */
	LIMIT_WAITING_PER_BROWSER = 4,   /* parked lock requests per Origin and User-Agent */
	LIMIT_QUEUE = 4096,
	LIMIT_QUEUE_PER_SESSION = 16,
	LIMIT_QUEUE_PER_PRINCIPAL = 512,
	LIMIT_HELD_PER_PRINCIPAL = 512,
	LIMIT_NEEDS_PER_PRINCIPAL = 64, /* distinct ones among its waiting claims */
	LIMIT_GPUS = 16,
	LIMIT_PROCESSES = 16,     /* that a session may name as using the GPU for it */
	LIMIT_MARK_BYTES = 32,    /* of `baton run`, in the environment of its job */
	LIMIT_CGROUP_BYTES = 255, /* a path in a session message */
	LIMIT_LOG_LINES = 2000,   /* ring behind /logs */
	LIMIT_EVENT_RING = 4096,  /* ring behind /v1/gpu/events */
	LIMIT_HISTORY = 100000,   /* ended claims kept by the journal */
};

static_assert(LIMIT_CONNECTIONS_RESERVED < LIMIT_CONNECTIONS, "the reserve is part of the whole");
static_assert(LIMIT_QUEUE_PER_SESSION < LIMIT_QUEUE, "one session cannot fill the queue");
static_assert(LIMIT_QUEUE_PER_PRINCIPAL < LIMIT_QUEUE, "one user cannot fill the queue");
static_assert(LIMIT_BODY_BYTES == LIMIT_FRAME_BYTES, "what HTTP may say, a session may say");

/* err: the one table of errors: code, wire name, HTTP status, exit code, retry hint, text.
 * Functions return 0 or a negative `enum err` (`-ERR_STALE`). The text says what to do next;
 * whoever answers adds which object failed. Exit codes follow sysexits(3); 75 means: try again
 * later. */
#pragma once

/*      code                 wire name               http exit retry_s text */
#define ERR_TABLE(X)                                                                               \
	X(ERR_BAD_REQUEST, "bad_request", 400, 65, 0, "The request is malformed.")                 \
	X(ERR_BAD_JSON, "bad_json", 400, 65, 0, "The body is not one valid JSON object.")          \
	X(ERR_BAD_FIELD, "bad_field", 400, 65, 0, "A field has the wrong type or value.")          \
	X(ERR_TOO_LARGE, "too_large", 413, 65, 0, "The request is larger than the limit.")         \
	X(ERR_HEADERS_TOO_LARGE, "headers_too_large", 431, 65, 0, "Too many or too long headers.") \
	X(ERR_SLOW, "too_slow", 408, 75, 0, "The request did not arrive in time.")                 \
	X(ERR_MEDIA_TYPE, "unsupported_media_type", 415, 65, 0,                                    \
	  "Send the body as Content-Type: application/json.")                                      \
	X(ERR_METHOD, "method_not_allowed", 405, 65, 0, "This route does not take that method.")   \
	X(ERR_NOT_FOUND, "not_found", 404, 66, 0, "There is nothing by that name here.")           \
	X(ERR_BAD_HOST, "bad_host", 403, 77, 0,                                                    \
	  "The Host header names another server; use the address that Baton listens on.")          \
	X(ERR_BAD_ORIGIN, "bad_origin", 403, 77, 0,                                                \
	  "This origin is not allowed; list it under origins in the configuration.")               \
	X(ERR_UNAUTHORIZED, "unauthorized", 401, 77, 0,                                            \
	  "Send Authorization: Bearer with the content of the token file in the state folder.")    \
	X(ERR_FORBIDDEN, "forbidden", 403, 77, 0,                                                  \
	  "Admin acts work over the Unix socket, or with the admin token.")                        \
	X(ERR_RATE_LIMITED, "rate_limited", 429, 75, 1, "Too many attempts; wait and try again.")  \
	X(ERR_TOO_MANY_WAITING, "too_many_waiting", 429, 75, 1,                                    \
	  "This browser already has four parked lock requests; use one WebSocket session "         \
	  "instead.")                                                                              \
	X(ERR_QUEUE_FULL, "queue_full", 429, 75, 5, "The queue is full; try again later.")         \
	X(ERR_CLASS, "class_not_allowed", 403, 77, 0,                                              \
	  "That class is not yours to ask for; name another one, or none.")                        \
	X(ERR_QUOTA, "quota", 429, 75, 5,                                                          \
	  "You have as many claims as you may; end some of them first.")                           \
	X(ERR_SITES_FULL, "sites_full", 409, 75, 0,                                                \
	  "As many sites are allowed as may be; revoke one first.")                                \
	X(ERR_KEYS_FULL, "keys_full", 409, 75, 0,                                                  \
	  "There are as many keys as may be; revoke one first.")                                   \
	X(ERR_NAME_TAKEN, "name_taken", 409, 65, 0,                                                \
	  "Another one has that name; choose another, or end that one first.")                     \
	X(ERR_TOO_MANY_CONNECTIONS, "too_many_connections", 503, 75, 1,                            \
	  "The broker has no free connection; close some and try again.")                          \
	X(ERR_STALE, "stale", 409, 75, 0, "No held lease carries this token; acquire again.")      \
	X(ERR_REVOKED, "revoked", 409, 75, 0, "The lease was revoked; stop using the GPU.")        \
	X(ERR_RELEASED, "released", 409, 75, 0, "The claim was ended by an operator; ask again.")  \
	X(ERR_TIMEOUT, "timeout", 503, 75, 1, "GPU Queue Timeout")                                 \
	X(ERR_BUSY, "busy", 503, 75, 1, "The GPU is taken, and the claim was not to wait.")        \
	X(ERR_PAUSED, "paused", 503, 75, 5, "An operator paused grants; baton status says why.")   \
	X(ERR_DRAINING, "draining", 503, 75, 5,                                                    \
	  "The broker is stopping; connect again in a moment.")                                    \
	X(ERR_JOURNAL, "journal_unavailable", 503, 75, 5,                                          \
	  "The journal cannot be written, so nothing new is granted; free disk space.")            \
	X(ERR_IN_DOUBT, "in_doubt", 503, 75, 5,                                                    \
	  "The record of who held the GPUs is lost, so nothing is granted for a while; "           \
	  "baton status says how long.")                                                           \
	X(ERR_NO_GPU, "no_such_gpu", 400, 66, 0, "No GPU of that name; baton status lists them.")  \
	X(ERR_NEVER_FITS, "never_fits", 409, 72, 0, "The GPUs here can never serve this need.")    \
	X(ERR_NO_ROOM, "no_room", 409, 75, 1,                                                      \
	  "The GPU has no room for the change; nothing changed.")                                  \
	X(ERR_DEADLOCK, "deadlock", 409, 75, 0,                                                    \
	  "The claim would wait for a lease that waits for it; name it as host, or "               \
	  "release it first.")                                                                     \
	X(ERR_HOST_OVER, "host_over", 409, 75, 0,                                                  \
	  "The lease inside which it was to run has ended.")                                       \
	X(ERR_STATE, "wrong_state", 409, 65, 0, "The claim is not in a state that allows this.")   \
	X(ERR_PROTOCOL, "protocol", 400, 76, 0,                                                    \
	  "This message is not part of the session protocol.")                                     \
	X(ERR_VERSION, "protocol_version", 400, 76, 0,                                             \
	  "The broker speaks another protocol version.")                                           \
	X(ERR_ALREADY_RUNNING, "already_running", 503, 69, 0,                                      \
	  "Another broker uses this state folder; stop it first or name another with --state.")    \
	X(ERR_UNREACHABLE, "unreachable", 503, 69, 1,                                              \
	  "No broker answers; start it with: baton serve")                                         \
	X(ERR_UPSTREAM_UNREACHABLE, "upstream_unreachable", 502, 69, 1,                            \
	  "The model server cannot be reached; see that it runs.")                                 \
	X(ERR_UPSTREAM_SLOW, "upstream_slow", 504, 75, 1,                                          \
	  "The model server did not answer in time; try again, or raise its limits.")              \
	X(ERR_UPSTREAM_BROKEN, "upstream_broken", 502, 76, 1,                                      \
	  "The model server broke its answer off, or sent none that can be trusted; see its log.") \
	X(ERR_MODEL_NOT_FOUND, "model_not_found", 404, 66, 0,                                      \
	  "No model of that name is served here; GET /v1/models lists them.")                      \
	X(ERR_MODEL_FAILED, "model_failed", 503, 69, 15,                                           \
	  "The model could not be loaded; see the model server's log.")                            \
	X(ERR_OUTRANKED, "outranked", 503, 75, 5,                                                  \
	  "The GPU was given to others before the answer was complete; ask again.")                \
	X(ERR_NO_HEADROOM, "no_headroom", 503, 75, 5,                                              \
	  "The GPU's memory is in use, and nobody can be asked to give it back now.")              \
	X(ERR_STUCK_VRAM, "stuck_vram", 503, 75, 5,                                                \
	  "The GPU's memory is still used by what has ended; baton gpus says by whom.")            \
	X(ERR_CONFIG, "bad_config", 400, 78, 0, "The configuration was refused; nothing changed.") \
	X(ERR_IO, "io", 500, 74, 0, "Reading or writing failed.")                                  \
	X(ERR_NO_MEMORY, "no_memory", 503, 71, 5, "The broker is out of memory.")                  \
	X(ERR_INTERNAL, "internal", 500, 70, 0, "A bug in Baton; please report it with the log.")

enum err {
	ERR_NONE = 0,
#define X(code, name, http, exit, retry_s, text) code,
	ERR_TABLE(X)
#undef X
		ERR_COUNT
};

/* All take a code with or without the minus sign; an unknown code reads as ERR_INTERNAL. */
const char *err_name(int code);
const char *err_text(int code);
int err_http_status(int code);
int err_exit_code(int code);
int err_retry_s(int code); /* 0: do not retry by yourself */
/* The code of a wire name, or ERR_INTERNAL. */
int err_from_name(const char *name);

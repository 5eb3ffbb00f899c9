/* proxied: one request for the pages of a server on its way: passed on at once, or held until it
 * has its turn; then, where its server answers before it works, the work that it began. It gives
 * back what it held when it ends. */
#pragma once
#include "base/buf.h"
#include "base/hash.h"
#include "base/mono.h"
#include "base/token.h"
#include "gateway/held.h"

struct call;
struct gateway;
struct model;
struct proxy;

enum proxied_stage {
	PROXIED_RECEIVING, /* its body, to the disk */
	PROXIED_MODEL,     /* waits for its server's memory */
	PROXIED_TURN,      /* waits for its turn */
	PROXIED_FORWARDED, /* its server has it */
	PROXIED_WORKING,   /* answered or left; its server works on it */
	PROXIED_PUT_OFF,   /* of an earlier broker; its server cannot be reached */
	PROXIED_ASKING,    /* its server is asked whether it was sent already */
};

struct proxied {
	struct hash_node by_conn; /* proxy.by_conn, while there is a client */
	struct list link;         /* gateway.proxied */
	struct gateway *gateway;
	struct proxy *proxy; /* NULL: its client is gone */
	uint64_t conn;       /* 0: the same */
	enum proxied_stage stage;
	struct model *model; /* what its server has loaded */

	char method[8], *target, *host; /* target: path and query, as they came */
	char *fields;                   /* that go on: "name\0value\0.." */
	size_t fields_size;
	int64_t body_bytes; /* as announced; -1: not */
	bool has_body, body_paused;
	bool kept; /* from an earlier broker */
	bool takes_turn, from_disk, websocket, tunnelled, wants_html, head_only;
	bool starts;      /* it asks for no more than that its server is started */
	uint64_t browser; /* which one asks; 0: none */
	struct held *held;
	bool reads_held; /* its server takes no more for now: false */

	enum lease_class cls;
	uint64_t party, lease; /* of its turn; 0: none */
	uint64_t claim;        /* in the queue for that; 0: not yet */
	struct token token;
	char label[32];
	struct mono_ms since, granted; /* granted MONO_NEVER: not yet */
	struct mono_ms due;            /* when it waited too long, or is tried again */

	uint64_t request; /* to the server; 0: none */
	int status;
	bool begun;                       /* something of the answer was sent */
	struct buf head;                  /* of a WebSocket's answer, until it is complete */
	struct buf answer, answer_fields; /* kept until complete: it names the prompt */
	bool keeps_answer;

	char id[HELD_ID_BYTES];           /* that its prompt is to have; "": none */
	size_t id_at;                     /* of the body, where that is put in; 0: it is not */
	char known_as[HELD_PROMPT_BYTES]; /* PROXIED_ASKING: that, or the client's own */
	char prompt[HELD_PROMPT_BYTES];
	struct mono_ms look_at, heard_at; /* whether its server still works; when it said so last */
	int64_t pace_ms;
	unsigned idle_count, tries, breaks;
	struct call *call;
};

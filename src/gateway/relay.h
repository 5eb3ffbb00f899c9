/* relay: one client's request on its way: received, waiting for its model and its turn, forwarded,
 * answered. It ends once: answered, cut, or left by its client, and gives back what it held. */
#pragma once
#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mono.h"
#include "base/token.h"
#include "gateway/float_pack.h"
#include "gateway/form_scan.h"
#include "gateway/json_scan.h"
#include "gateway/stream_watch.h"

struct call;
struct model;

enum relay_stage {
	RELAY_RECEIVING, /* its body, until the model is known */
	RELAY_RESOLVING, /* servers are asked for their models */
	RELAY_MODEL,     /* waits for the model's memory */
	RELAY_TURN,      /* waits for its turn */
	RELAY_WORKER,    /* waits until a tab has room */
	RELAY_FORWARDED, /* the server works */
	RELAY_SETTLING,  /* over for its client; the turn is kept until the server is idle */
};

struct relay {
	struct hash_node by_conn; /* gateway.by_conn until it settles */
	struct list link;         /* gateway.relays */
	struct list in_model;     /* model.waiting, while RELAY_MODEL */
	uint64_t conn;
	const struct api_route *route;
	enum relay_stage stage;
	enum lease_class cls;
	char *principal, *name, *origin, *query; /* origin may be NULL */
	char *models;                            /* that its client may know; NULL: all */
	char *fields;                            /* of the request, "name\0value\0.." */
	size_t fields_size;

	struct buf body; /* what has come and was not sent */
	bool body_complete, body_paused;
	bool body_passed;   /* some of it went to the server and is not kept */
	bool server_full;   /* it takes no more of the body for now */
	int64_t body_bytes; /* as announced; -1: not */
	size_t body_sent;
	struct json_scan scan;
	struct form_scan form;
	bool streams; /* the client reads events as they come */

	struct model *model;
	char model_name[JSON_SCAN_MODEL_BYTES]; /* as the client said it */
	char aside[JSON_SCAN_MODEL_BYTES];      /* .. beside the body; "": not */
	char body_model[JSON_SCAN_MODEL_BYTES]; /* as the body says it now */
	uint64_t party, lease, fence;           /* of its turn; 0: none */
	uint64_t claim;                         /* in the queue for that; 0: not yet */
	uint64_t turn; /* another relay's party, in whose turn it has part; 0: in none */
	struct mono_ms turn_since; /* of it, whoever began it; `granted` is its own part */
	struct token token;
	bool outranked;  /* was asked to give way, in this turn */
	bool taken_back; /* gave way before, in an earlier one */
	bool had_worker; /* some tab has its model, or had it */
	unsigned tries;  /* of tabs that did not begin to answer */

	bool asked_floats; /* instead of the base64 that the server refused */
	bool packs;        /* numbers that came where base64 was asked */
	struct float_pack pack;

	uint64_t request; /* to the server; 0: none */
	int status;
	bool begun;    /* something was sent to the client */
	bool answered; /* of the server's answer */
	bool hung_up;  /* the server was silent for too long: it may still work */
	struct stream_watch watch;
	struct buf
		held; /* of an event whose end has not come: a client gets none that breaks off */
	bool torn;    /* it was too long to be held, and its beginning was sent */
	struct event_scan id_scan; /* of an answer in one piece that has an id */
	bool noted;                /* who asked for that id, and of whom */
	bool pending;              /* the server makes that response in the background */
	bool cut;                  /* its turn was taken back, or all ends */
	bool stopping;             /* its server was told to stop making it */
	bool too_long;             /* what its server says of that; the log has it */
	struct call *busy_call;

	struct mono_ms since, granted, first_byte; /* MONO_NEVER: not yet */
	struct mono_ms alive_at; /* when something is sent next, to keep it warm */
	struct mono_ms due;      /* when it waited, or settles, too long */
	struct mono_ms look_at;  /* RELAY_SETTLING: whether the server is idle; RELAY_TURN:
				    whether there is room in another's turn */
	int64_t pace_ms;         /* .. and how long until the look after that */
};

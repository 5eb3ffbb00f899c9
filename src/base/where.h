/* where: the places in which a broker of this user may listen, for its clients and for the words
 * of refusals. Looks at the file system and asks sockets; makes nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WHERE_PLACES_MAX = 4,
	WHERE_PATH_BYTES = 108,     /* of a socket address, with its NUL */
	WHERE_RESTART_MS = 3000,    /* how long a client waits for a broker that is restarting */
	WHERE_RESTART_STEP_MS = 20, /* its first pause; doubled each time, up to .. */
	WHERE_RESTART_STEP_MS_MAX = 200,
};

/* Sockets of sessions, in the order in which they are tried. */
struct where {
	bool given; /* by $BATON_SOCKET: then it is the only one */
	unsigned count;
	char paths[WHERE_PLACES_MAX][WHERE_PATH_BYTES];
};

/* $BATON_SOCKET, else $XDG_RUNTIME_DIR/baton, /run/user/UID/baton, /tmp/baton-UID, and what the
 * default state folder tells (struct where_note). A folder that strangers could have made is left
 * out. 0, -ERR_BAD_FIELD: what is given is too long, -ERR_FORBIDDEN: none can be trusted. */
int where_look(struct where *ret_where);
/* The first that answers; when none does, the first whose file is there; else the first. */
const char *where_pick(const struct where *where);
/* Whether a broker may be restarting: a socket is there that nobody listens on, or its folder
 * changed within the last two seconds. */
bool where_may_return(const struct where *where);
/* "A, B or C" */
void where_tried(const struct where *where, char *ret_text, size_t size);
/* The HTTP socket beside one of sessions: baton.sock has http.sock, x.sock has x.http.sock. False:
 * too long. */
bool where_http(const char *path, char *ret_path, size_t size);
/* Other sockets that brokers of this user listen on, as the kernel lists them, those in a place
 * like the usual one first. Returns how many. */
unsigned where_elsewhere(const struct where *where, struct where *ret_others);
/* The process that listens on a socket; 0: none, or unknown. */
int64_t where_listener(const char *path);

/* What a broker writes into its state folder: who it is and where it listens. */
struct where_note {
	int64_t pid;
	char socket[WHERE_PATH_BYTES], http[256]; /* http: "http://127.0.0.1:8470", the first */
};
enum { WHERE_NOTE_BYTES = 512 };
/* False: there is none, or it is no such note, or not this user's. */
bool where_note_read(const char *state_dir, struct where_note *ret_note);
/* Its text; returns the length. */
int where_note_write(const struct where_note *note, char ret_text[WHERE_NOTE_BYTES]);
extern const char where_note_name[]; /* the file in the state folder */

/* sockets: the Unix sockets that clients find the broker by, kept in their place: whatever sweeps
 * them away (a cleaner of /tmp, the last logout, rm), they are bound again. */
#pragma once
#include "base/mono.h"
#include "server/trail.h"

struct active_config;
struct endpoints;
struct log;
struct loop;
struct run_state;

enum {
	SOCKETS_SETTLE_MS = 100, /* let an `rm -r` come to its end */
	SOCKETS_RETRY_MS_MIN = 500,
	SOCKETS_RETRY_MS_MAX = 16 * 1000,
};

/* The pointers are borrowed. */
struct sockets {
	const struct endpoints *endpoints;  /* its net listens */
	const struct active_config *active; /* where they are, and the state folder */
	const struct run_state *state;
	const char *home; /* http://host:port */
	struct log *log;
	struct trail trail;
	char path[SETTINGS_SOCKET_BYTES + 1], http[SETTINGS_SOCKET_BYTES + 16];
	char folder[SETTINGS_SOCKET_BYTES + 1];
	struct mono_ms due; /* MONO_NEVER: nothing changed since they were looked at */
	int64_t retry_ms;   /* 0: all is well */
	bool noted;         /* in the state folder */
	char said[256];     /* why not, as it was logged last */
};

/* Makes the folder and listens. 0 or a negative enum err with detail. */
int sockets_listen(struct sockets *sockets, char *detail, size_t detail_size);
/* From now on they are watched, and the state folder tells where they are. */
void sockets_watch(struct sockets *sockets, struct loop *loop);
/* SIGHUP: looks whether they are in their place, now. */
void sockets_look(struct sockets *sockets);
/* Looks if that is due; returns when to ask again. */
struct mono_ms sockets_when_due(struct sockets *sockets, struct mono_ms now);
void sockets_end(struct sockets *sockets);
/* Takes back what the state folder tells. */
void sockets_forget(const struct sockets *sockets);

/* client: a simulated program: native, tab, stream, plain HTTP or the gateway. Honest or not, it
 * only knows what messages and signals told it. */
#pragma once
#include "core/event.h"
#include "event_queue.h"
#include "scenario.h"

struct world;
struct job;
struct envelope;

enum client_state {
	CLIENT_DEAD,
	CLIENT_OFFLINE,  /* a session client without a connection */
	CLIENT_GREETING, /* hello is sent */
	CLIENT_READY,    /* HTTP and streams always are */
};

enum timer {
	TIMER_CONNECT,
	TIMER_THINK,   /* time for another claim? */
	TIMER_SILENCE, /* offline too long: stop using the GPU */
	TIMER_UNPAUSE,
	TIMER_DIE,
	TIMER_RESPAWN,
	TIMER_HTTP_DONE, /* the last timer with a client as subject */
	TIMER_ACCEPT,    /* from here on the subject is a job */
	TIMER_RELEASE,
	TIMER_REQUEUE,
	TIMER_YIELDING,
	TIMER_CANCEL,
	TIMER_RENEW,
	TIMER_CHANGE,
	TIMER_LEND,
	TIMER_READY,
	TIMER_RETRY,
	TIMER_STOPPED, /* the work has stopped: now it may be said */
	TIMER_PARK,
	TIMER_PARKED, /* does somebody still wait for its turn? */
	TIMER_RETURN, /* a job that was left: asks for its place */
};

struct client {
	unsigned index;
	const struct client_scenario *scenario;
	uint32_t life; /* rises when the process dies */
	int64_t pid;
	uint64_t pid_start;
	enum client_state state;
	uint64_t conn;          /* session clients */
	uint64_t session;       /* 0: none */
	uint64_t blind_session; /* whose process cannot be watched now; 0: none */
	uint32_t blind_life;    /* .. and of which life it is */
	struct token secret;
	unsigned claim_count;
	bool paused;
	uint64_t attached;        /* conn of its session, as the broker said last; 0: none */
	int64_t compute_ended_ms; /* its session's last turn, monotonic */
	int64_t linger_ms;        /* as welcome told */
	int64_t silence_t;        /* offline: when it must stop using the GPU */
	int64_t broke_ms;         /* by the monotonic clock, when it saw its connection break */
	bool stood_still;         /* stopped or asleep since then */
	struct item *deferred;    /* while paused */
	size_t deferred_count, deferred_capacity;
};

/* client_gateway.c */
void client_gateway_draw(const struct world *w, struct job *job);
void client_gateway_unload(struct world *w, struct client *client, struct job *job);
void client_gateway_lost(struct world *w, struct client *client, struct job *job);

void client_start(struct world *w, struct client *client);
void client_timer(struct world *w, const struct item *item);
void client_arrive(struct world *w, const struct item *item);
void client_pause(struct world *w, struct client *client, int64_t pause_ms);
void client_die(struct world *w, struct client *client);
void client_signal(struct world *w, struct client *client, int signo);
void client_cut(struct world *w, struct client *client);         /* its connections break */
void client_reload(struct world *w, struct client *client);      /* a tab closes and resumes */
void client_machine_off(struct world *w, struct client *client); /* reboot: dead at once */
void client_finish(struct client *client);

/* client_ask.c: what clients say. */
void client_set_timer(struct world *w, struct client *client, enum timer what, uint64_t subject,
		      int64_t after_ms);
void client_hello(struct world *w, struct client *client);
void client_ask_new(struct world *w, struct client *client);
void client_ask_one(struct world *w, struct client *client); /* now, whatever it has */
void client_job_timer(struct world *w, struct client *client, enum timer what, struct job *job);
void client_release(struct world *w, struct job *job, bool requeue);
void client_bye(struct world *w, struct client *client);
void client_send_alive(struct world *w, struct client *client);

/* client_inside.c: what they load, and whom they run inside of. */
void client_draw_inside(struct world *w, const struct client *client, struct job *job);
/* From its grant on: loading, perhaps forever. Then how long it keeps its lease in all. */
void client_schedule_ready(struct world *w, struct client *client, struct job *job);
int64_t client_work_ms(struct world *w, const struct job *job);
void client_say_ready(struct world *w, struct client *client, struct job *job);
/* A new exchange of plain HTTP or a stream, or the session's connection; NULL: not now. */
struct envelope *client_act(struct world *w, struct client *client, struct job *job,
			    enum event_type type);

/* Under a new request, or the same again; false: not now. */
bool client_ask_for(struct world *w, struct client *client, struct job *job);
void client_ask_again(struct world *w, struct client *client, uint64_t left); /* its place */
void client_cancel(struct world *w, struct client *client, struct job *job);

/* client_park.c: jobs that can be frozen. */
bool client_may_park(const struct world *w, const struct client *client, const struct job *job);
/* Gives its turn back and keeps its memory. Moves the jobs. */
void client_park(struct world *w, struct client *client, struct job *job);
void client_unpark(struct world *w, struct client *client, struct job *job); /* it goes */
/* A claim for the turn of a parked lease, or such a lease: now and then. */
void client_watch_parked(struct world *w, struct client *client, struct job *job);
/* Such a claim was granted; was refused; was granted, and nobody reads it. */
void client_resume(struct world *w, struct client *client, struct job *turn);
void client_park_refused(struct world *w, struct job *turn);
void client_turn_unread(struct world *w, const struct job *turn);

/* client_hear.c: what clients do about what they are told. */
void client_hear(struct world *w, struct client *client, const struct envelope *envelope);
void client_lose_conn(struct world *w, struct client *client, uint64_t conn);
/* Stops the work, which takes a slow one up to max_ms, and says so only then. */
void client_stopped(struct world *w, struct client *client, struct job *job);
void client_stop(struct world *w, struct client *client, struct job *job, int64_t max_ms);

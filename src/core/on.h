/* on: what each event does, one function per event; core_step.c calls them and then lets the
 * scheduler run. */
#pragma once

struct core;
struct event;

void on_acquire(struct core *core, const struct event *event);
void on_accept(struct core *core, const struct event *event);
void on_cancel(struct core *core, const struct event *event);
void on_release(struct core *core, const struct event *event);
void on_renew(struct core *core, const struct event *event);
void on_yielding(struct core *core, const struct event *event);
void on_change(struct core *core, const struct event *event);
void on_lend(struct core *core, const struct event *event);
void on_conn_closed(struct core *core, const struct event *event);
void on_admin(struct core *core, const struct event *event);
void on_restore(struct core *core, const struct event *event);
void on_start(struct core *core, const struct event *event);

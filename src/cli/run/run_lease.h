/* run_lease: the claim of `baton run`: asked for, granted, asked back, taken. */
#pragma once
#include <baton/baton.h>

struct baton;
struct run;
struct run_options;

/* Asks for a lease; the handlers do the rest. 0 or the exit status, then it was said why. */
int run_lease_ask(struct run *run);
/* The same with a new claim, when the old one has ended. */
void run_lease_ask_anew(struct run *run);
/* For baton_options. */
void run_lease_link(struct baton *baton, enum baton_link link, void *ctx);
/* The options as a request. */
void run_lease_fill(const struct run_options *options, struct baton_request *request);
const char *run_cgroup_path(const struct run *run); /* NULL: it has none */
/* Attached: the broker learns which processes there are now, if others than it knows. */
void run_lease_name_attached(struct run *run);
/* All of it stands still: should we and the keeper die, only the broker can find it. */
void run_lease_name_frozen(struct run *run);
/* Attached: the program goes on, and we end. */
void run_lease_let_go(struct run *run);

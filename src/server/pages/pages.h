/* pages: what the pages are served from. Knows no lease. */
#pragma once
#include <stdbool.h>

#include "server/pages/static_files.h"

struct access_setup;
struct log;
struct net;
struct paths;
struct random_pool;
struct request_context;

/* All is borrowed but the policies. */
struct pages {
	struct net *net;
	const struct paths *paths;
	const struct settings *settings;
	struct access_setup *access;
	struct log *log;
	struct random_pool *random;
	struct content_policies policies;
};

/* Answers the address of a page; its one-time link is spent here (see pages_sign_in.c). */
void pages_answer(struct pages *pages, const struct request_context *context);
/* Leads whoever typed a page's name, or a slash too many, to its address. False: it is no page's,
 * and nothing was answered. */
bool pages_lead(struct pages *pages, const struct request_context *context);

/* pages: what the pages are served from. Knows no lease. */
#pragma once
#include "base/log.h"
#include "config/options.h"
#include "server/access/access_setup.h"
#include "server/pages/static_files.h"
#include "server/random_pool.h"

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

/* Answers the address of a page; its one-time link is spent here (see sign_in.c). */
void pages_answer(struct pages *pages, const struct request_context *context);

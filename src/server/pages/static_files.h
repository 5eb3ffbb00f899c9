/* static_files: answers with files: compiled in, or from the disk. */
#pragma once
#include "config/settings.h"

struct pages;
struct request_context;
struct text;

/* The longest policy: fixed words and each origin that models may come from. */
enum {
	FILES_POLICY_BYTES = 512 + SETTINGS_MODEL_ORIGIN_COUNT * (SETTINGS_ORIGIN_BYTES + 1),
	PAGES_POLICY_BYTES = FILES_POLICY_BYTES + 1024,
};

struct content_policies {
	char files[FILES_POLICY_BYTES]; /* Content-Security-Policy of all files */
	char pages[PAGES_POLICY_BYTES]; /* the same for pages, with Trusted Types and what
					   stands in them */
};

/* Lets pages load models from the origins of the settings. */
void content_policies_set(struct content_policies *policies, const struct settings *settings);
/* Answers with the file that `url` ("/pages/mic/mic.js") names, in the form that was asked for, or
 * with 404. `vary`: what else the answer depends on, such as "Accept, ", or "". */
void static_files_answer(const struct pages *pages, const struct request_context *context,
			 const char *url, const char *vary);
/* An HTML text of our own, never kept, under the same policy. `cookie` may be NULL. */
void static_files_answer_html(const struct pages *pages, const struct request_context *context,
			      int status, const struct text *html, const char *cookie);
/* The URL of a source by its path below web/: "kernel/sovereign.js" is "/modules/sovereign.js".
 * False: it is not served. For a path without an end, such as a folder's, ask with size 0: it is
 * true when something below it may be served. */
bool static_files_url(const char *path, char *ret_url, size_t size);

/* static_files: finds the file of a URL and answers with it: whole or in part, packed or not, or
 * only that it has not changed. Sources of pages are what is compiled in, or under --dev the source
 * tree; large libraries and models lie on the disk and go from there to the socket without passing
 * through here. Knows no lease. */
#include "server/pages/static_files.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"
#include "config/paths.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "server/pages/embedded_assets.h"
#include "server/pages/http_conditional.h"
#include "server/pages/mime_types.h"
#include "server/pages/open_beneath.h"
#include "server/pages/pages.h"
#include "server/respond.h"

enum { HEADERS_MAX = ACCESS_HEADERS_MAX + 16, ETAG_BYTES = 64, VARY_BYTES = 64 };

/* What was found; the descriptor, if there is one, is ours to give on or to close. */
struct found {
	const struct embedded_asset *asset; /* NULL: on the disk */
	int fd;
	uint64_t length;
	bool packed;
	char etag[ETAG_BYTES];
};

/* The folders of the source tree by the URLs under which they are served. */
static const struct {
	const char *prefix, *folder;
} sources[] = {
	{"/pages/", "pages"},     {"/ui/", "ui"},   {"/inference/", "inference"},
	{"/storage/", "storage"}, {"/sdk/", "sdk"}, {"/modules/", "compat"},
};

/* Of pages, not of their workers, in which libraries make workers of their own: a text becomes
 * markup or a script's address only through web/ui/trusted.js. */
static const char trusted_types[] =
	"; require-trusted-types-for 'script'; trusted-types baton baton-sdk default";

static const char models[] = "/models/", vendor[] = "/vendor/";
static const char package[] = "/sdk/baton-sdk.tgz"; /* made of the sources; lies on the disk */

static bool begins_with(const char *url, const char *prefix)
{
	return strncmp(url, prefix, strlen(prefix)) == 0;
}

/* `scripts` and `styles`: which may stand in a page itself. */
static void write_policy(char *policy, size_t size, const char *scripts, const char *styles,
			 const char *more, const struct settings *settings)
{
	int used = snprintf(
		policy, size,
		"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'%s; style-src 'self'%s; "
		"img-src 'self' data: blob:; font-src 'self'; worker-src 'self' blob:; "
		"media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'%s; connect-src 'self'",
		scripts, styles, more);
	for (uint32_t i = 0; i < settings->model_origin_count; i++)
		used += snprintf(policy + used, size - (size_t)used, " %s",
				 settings->model_origins[i]);
	assert((size_t)used < size);
}

void content_policies_set(struct content_policies *policies, const struct settings *settings)
{
	write_policy(policies->files, sizeof(policies->files), "", "", "", settings);
	write_policy(policies->pages, sizeof(policies->pages), embedded_script_hashes,
		     embedded_style_hashes, trusted_types, settings);
}

bool static_files_url(const char *path, char *ret_url, size_t size)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		size_t length = strlen(sources[i].folder);
		if (strncmp(path, sources[i].folder, length) != 0)
			continue;
		if (size == 0)
			return path[length] == '/' || path[length] == '\0';
		return path[length] == '/' && mime_type_is_known(path) &&
		       (size_t)snprintf(ret_url, size, "%s%s", sources[i].prefix,
					path + length + 1) < size;
	}
	return false;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* The packed twin that lies beside a file, if it is not older. `st` is then the twin's: what is
 * sent has the tag, so that a twin that was caught half written is not taken for the whole one. */
static void prefer_twin(const char *root, const char *path, struct stat *st, struct found *found)
{
	char name[SETTINGS_PATH_BYTES + 1];
	struct stat twin;
	int fd;
	if ((size_t)snprintf(name, sizeof(name), "%s.gz", path) >= sizeof(name) ||
	    open_beneath(root, name, &fd, &twin) != 0)
		return;
	if (is_older(&twin.st_mtim, &st->st_mtim)) {
		(void)close(fd);
		return;
	}
	(void)close(found->fd);
	found->fd = fd;
	found->packed = true;
	*st = twin;
}

static bool find_on_disk(const char *root, const char *path, bool packed, struct found *found)
{
	struct stat st;
	if (!root[0] || open_beneath(root, path, &found->fd, &st) != 0)
		return false;
	if (packed)
		prefer_twin(root, path, &st, found);
	found->length = (uint64_t)st.st_size;
	snprintf(found->etag, sizeof(found->etag), "\"%" PRIx64 "-%" PRIx64 ".%lx%s\"",
		 (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
		 (unsigned long)st.st_mtim.tv_nsec, found->packed ? "-gz" : "");
	return true;
}

static bool find_compiled_in(const char *url, bool packed, struct found *found)
{
	const struct embedded_asset *asset = embedded_asset_find(url);
	if (!asset)
		return false;
	found->asset = asset;
	found->packed = packed;
	found->length = packed ? asset->gzip_length : asset->length;
	snprintf(found->etag, sizeof(found->etag), "%.*s%s\"", (int)strlen(asset->etag) - 1,
		 asset->etag, packed ? "-gz" : "");
	return true;
}

static bool find_file(const struct pages *pages, const char *url, bool packed,
		      struct found *ret_found)
{
	const struct paths *paths = pages->paths;
	char path[SETTINGS_PATH_BYTES + 1];

	*ret_found = (struct found){.fd = -1};
	for (size_t i = 0; paths->dev[0] && i < sizeof(sources) / sizeof(*sources); i++) {
		if (!begins_with(url, sources[i].prefix) || strcmp(url, package) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", sources[i].folder,
			 url + strlen(sources[i].prefix));
		return find_on_disk(paths->dev, path, packed, ret_found);
	}

	if (find_compiled_in(url, packed, ret_found))
		return true;
	if (begins_with(url, models) &&
	    find_on_disk(pages->settings->models_dir, url + strlen(models), packed, ret_found))
		return true;

	return (begins_with(url, models) || begins_with(url, vendor) ||
		strcmp(url, package) == 0) &&
	       find_on_disk(paths->web, url + 1, packed, ret_found);
}

static size_t add_header(struct http_header *headers, size_t count, const char *name,
			 const char *value)
{
	headers[count] = (struct http_header){name, value};
	return count + 1;
}

/* What each answer of ours carries: nothing is sniffed, framed, or shared with other origins but by
 * CORS, and pages are isolated from them, so that their workers may share memory. */
static size_t add_common_headers(const struct pages *pages, const struct request_context *context,
				 struct http_header headers[HEADERS_MAX], const char *type)
{
	struct access_header cors[ACCESS_HEADERS_MAX];
	size_t count = 0, cors_count = access_headers(&context->verdict, cors);

	count = add_header(headers, count, "Content-Type", type);
	count = add_header(headers, count, "X-Content-Type-Options", "nosniff");
	count = add_header(headers, count, "Content-Security-Policy",
			   begins_with(type, "text/html") ? pages->policies.pages
							  : pages->policies.files);
	count = add_header(headers, count, "Cross-Origin-Opener-Policy", "same-origin");
	count = add_header(headers, count, "Cross-Origin-Embedder-Policy", "require-corp");

	count = add_header(headers, count, "Cross-Origin-Resource-Policy",
			   (context->verdict.match.route->flags & ROUTE_OPEN) ? "cross-origin"
									      : "same-origin");
	count = add_header(headers, count, "Referrer-Policy", "no-referrer");
	for (size_t i = 0; i < cors_count; i++)
		count = add_header(headers, count, cors[i].name, cors[i].value);
	return count;
}

/* A part of a file on the disk, or all of it. */
static void send_disk(const struct pages *pages, const struct request_context *context,
		      struct found *found, struct http_header *headers, size_t count)
{
	const struct http_request *request = context->request;
	struct net *net = pages->net;
	uint64_t first = 0, last = 0;
	char shown[80];
	enum http_conditional_range range = RANGE_WHOLE;

	if (!found->packed) {
		count = add_header(headers, count, "Accept-Ranges", "bytes");
		if (!request->if_range || strcmp(request->if_range, found->etag) == 0)
			range = http_conditional_range(request->range, found->length, &first,
						       &last);
	}

	switch (range) {
	case RANGE_WHOLE:
		http_reply_file(net, request->conn, 200, headers, count, found->fd, 0,
				found->length);
		return;
	case RANGE_PART:
		snprintf(shown, sizeof(shown), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
			 last, found->length);
		count = add_header(headers, count, "Content-Range", shown);
		http_reply_file(net, request->conn, 206, headers, count, found->fd, first,
				last - first + 1);
		return;
	case RANGE_OUTSIDE:
		(void)close(found->fd);
		snprintf(shown, sizeof(shown), "bytes */%" PRIu64, found->length);
		count = add_header(headers, count, "Content-Range", shown);
		http_reply(net, request->conn, 416, headers, count, "", 0);
		return;
	}
}

void static_files_answer(const struct pages *pages, const struct request_context *context,
			 const char *url, const char *vary)
{
	const struct http_request *request = context->request;
	struct http_header headers[HEADERS_MAX];
	struct found found;
	char varies[VARY_BYTES];

	/* A part is one of the file as it is. */
	bool packed = !request->range && http_conditional_takes_gzip(request->accept_encoding);
	if (!find_file(pages, url, packed, &found)) {
		respond_error(context, ERR_NOT_FOUND, NULL);
		return;
	}

	/* A model was made by somebody else: it must not be a page or script of our origin. */
	const char *type = begins_with(url, models) ? mime_type_of_data(url) : mime_type(url);
	size_t count = add_common_headers(pages, context, headers, type);
	snprintf(varies, sizeof(varies), "%sAccept-Encoding", vary);
	count = add_header(headers, count, "Vary", varies);
	count = add_header(headers, count, "Cache-Control", "no-cache");
	count = add_header(headers, count, "ETag", found.etag);

	if (http_conditional_etag_known(request->if_none_match, found.etag)) {
		if (found.fd >= 0)
			(void)close(found.fd);
		http_reply(pages->net, request->conn, 304, headers, count, "", 0);
		return;
	}

	if (found.packed)
		count = add_header(headers, count, "Content-Encoding", "gzip");
	if (!found.asset) {
		send_disk(pages, context, &found, headers, count);
		return;
	}

	const unsigned char *bytes = found.packed ? found.asset->gzip : found.asset->bytes;
	http_reply(pages->net, request->conn, 200, headers, count, (const char *)bytes,
		   found.length);
}

void static_files_answer_html(const struct pages *pages, const struct request_context *context,
			      int status, const struct text *html, const char *cookie)
{
	struct http_header headers[HEADERS_MAX];
	size_t count = add_common_headers(pages, context, headers, "text/html; charset=utf-8");
	count = add_header(headers, count, "Cache-Control", "no-store");
	if (cookie)
		count = add_header(headers, count, "Set-Cookie", cookie);
	http_reply(pages->net, context->request->conn, status, headers, count, html->bytes,
		   html->length);
}

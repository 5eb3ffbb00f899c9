/* request: copies what a program passed in: structs of any older or newer version of the header
 * (identified by their size), and strings that must outlive the call. Refuses what could not be
 * sent. */
#include "client/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "client/world.h"
#include "wire/display_name.h"

/* Copies a caller's struct into ours of `size` bytes. Fields missing from the caller's header are
 * zero; fields missing from ours must be unused. */
static int struct_copy(const void *theirs, size_t their_size, void *ours, size_t size)
{
	memset(ours, 0, size);
	if (their_size < sizeof(size_t))
		return BATON_E_INVALID;
	memcpy(ours, theirs, their_size < size ? their_size : size);
	const unsigned char *bytes = theirs;
	for (size_t i = size; i < their_size; i++)
		if (bytes[i])
			return BATON_E_INVALID;
	return 0;
}

static bool is_printable(const char *text, size_t max_bytes)
{
	size_t length = strnlen(text, max_bytes + 1);
	return length > 0 && display_name_problem(text, length, max_bytes) == NULL;
}

/* The program's, if its file is called by what can be a name. */
static void own_name(struct baton *baton)
{
	char name[101];
	snprintf(name, sizeof(name), "%s", program_invocation_short_name);
	bool can_be = is_printable(name, sizeof(name) - 1);
	snprintf(baton->name, sizeof(baton->name), "%s-%ld", can_be ? name : "program",
		 (long)getpid());
}

/* Replaces a borrowed string with our own copy. */
static int string_own(const char **text, size_t max_bytes)
{
	const char *given = *text;
	*text = NULL;
	if (!given)
		return 0;
	if (!is_printable(given, max_bytes))
		return BATON_E_INVALID;
	*text = strdup(given);
	return *text ? 0 : BATON_E_NO_MEMORY;
}

static int request_id_make(const char **ret_id)
{
	unsigned char random[12];
	char id[2 * sizeof(random) + 1];
	if (client_world()->random(client_world()->ctx, random, sizeof(random)) < 0)
		return BATON_E_IO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	*ret_id = strdup(id);
	return *ret_id ? 0 : BATON_E_NO_MEMORY;
}

int client_request_id_renew(struct baton_request *request)
{
	const char *id;
	int rc = request_id_make(&id);
	if (rc == 0) {
		free((char *)request->request_id);
		request->request_id = id;
	}
	return rc;
}

/* What is wrong with the numbers, or NULL. */
static const char *number_problem(const struct baton_request *request)
{
	if (request->slots > INT32_MAX && request->slots != BATON_SLOTS_ALL)
		return "slots: there are not so many";
	if (request->gpus < 1 || request->gpus > LIMIT_GPUS)
		return "gpus: 1 to 16 at once";
	if (request->slots == 0 && request->vram_bytes == 0)
		return "0 slots need vram, or nothing is claimed";
	if (request->vram_bytes > (uint64_t)1 << 44)
		return "vram: at most 16 TiB";
	if (request->uninterruptible_ms < 0 || request->min_residence_ms < 0 ||
	    request->load_ms < 0 || request->timeout_ms < BATON_TIMEOUT_DEFAULT)
		return "a time is negative";
	return NULL;
}

int client_request_copy(const struct baton_request *request, struct baton_request *ret_request,
			struct baton_claim_handlers *ret_handlers, const char **ret_problem)
{
	static const char *const problems[] = {
		"class: 1 to 64 printable bytes",
		"gpu: 1 to 63 printable bytes",
		"label: 1 to 64 printable bytes",
		"request_id: 1 to 64 printable bytes",
	};
	struct baton_request copy;
	struct baton_claim_handlers handlers = {.size = sizeof(handlers)};
	*ret_problem = "a struct has fields that this library does not know";

	int rc = struct_copy(request, request->size, &copy, sizeof(copy));
	if (rc == 0 && copy.handlers)
		rc = struct_copy(copy.handlers, copy.handlers->size, &handlers, sizeof(handlers));
	if (rc < 0)
		return rc;

	copy.handlers = NULL;

	/* Each string becomes our copy or NULL, so client_request_finish is safe after any failure.
	 */
	int failed[] = {
		string_own(&copy.lease_class, LIMIT_LABEL_BYTES),
		string_own(&copy.gpu, LIMIT_GPU_NAME_BYTES),
		string_own(&copy.label, LIMIT_LABEL_BYTES),
		string_own(&copy.request_id, LIMIT_REQUEST_ID_BYTES),
	};

	*ret_problem = number_problem(&copy);
	if (*ret_problem)
		rc = BATON_E_INVALID;
	for (size_t i = 0; i < sizeof(failed) / sizeof(*failed); i++) {
		if (failed[i] == BATON_E_INVALID)
			*ret_problem = problems[i];
		if (rc == 0)
			rc = failed[i];
	}

	if (rc == 0 && !copy.request_id)
		rc = request_id_make(&copy.request_id);
	if (rc < 0) {
		client_request_finish(&copy);
		return rc;
	}
	*ret_request = copy;
	*ret_handlers = handlers;
	return 0;
}

void client_request_finish(struct baton_request *request)
{
	free((char *)request->lease_class);
	free((char *)request->gpu);
	free((char *)request->label);
	free((char *)request->request_id);
	memset(request, 0, sizeof(*request));
}

int client_options_copy(const struct baton_options *options, struct baton *baton)
{
	struct baton_options copy;
	if (options) {
		int rc = struct_copy(options, options->size, &copy, sizeof(copy));
		if (rc < 0)
			return rc;
	} else {
		baton_options_init(&copy);
	}
	if (copy.connect_timeout_ms < 0)
		return BATON_E_INVALID;

	baton->connect_timeout_ms = copy.connect_timeout_ms;
	baton->no_reconnect = copy.no_reconnect;
	baton->link_changed = copy.link_changed;
	baton->ctx = copy.ctx;

	if (!copy.name)
		own_name(baton);
	else if (is_printable(copy.name, LIMIT_ID_BYTES))
		snprintf(baton->name, sizeof(baton->name), "%s", copy.name);
	else
		return BATON_E_NAME;

	if (!copy.socket_path)
		return baton_socket_path(baton->socket_path, sizeof(baton->socket_path));
	size_t length = strnlen(copy.socket_path, sizeof(baton->socket_path));
	if (length == 0 || length >= sizeof(baton->socket_path))
		return BATON_E_PATH;
	snprintf(baton->socket_path, sizeof(baton->socket_path), "%s", copy.socket_path);
	return 0;
}

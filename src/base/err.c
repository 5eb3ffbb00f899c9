/* err: lookups in the one error table, for the edges: HTTP, sessions, the command line. */
#include "base/err.h"

#include <string.h>

struct err_row {
	const char *name;
	const char *text;
	int http_status;
	int exit_code;
	int retry_s;
};

static const struct err_row rows[ERR_COUNT] = {[ERR_NONE] = {"ok", "Done.", 200, 0, 0},
#define X(code, name, http, exit, retry_s, text) [code] = {name, text, http, exit, retry_s},
					       ERR_TABLE(X)
#undef X
};

static const struct err_row *row_of(int code)
{
	if (code < 0 && code > -ERR_COUNT)
		code = -code;
	return code >= 0 && code < ERR_COUNT ? &rows[code] : &rows[ERR_INTERNAL];
}

const char *err_name(int code)
{
	return row_of(code)->name;
}

const char *err_text(int code)
{
	return row_of(code)->text;
}

int err_http_status(int code)
{
	return row_of(code)->http_status;
}

int err_exit_code(int code)
{
	return row_of(code)->exit_code;
}

int err_retry_s(int code)
{
	return row_of(code)->retry_s;
}

int err_from_name(const char *name)
{
	for (int code = 0; code < ERR_COUNT; code++)
		if (strcmp(rows[code].name, name) == 0)
			return code;
	return ERR_INTERNAL;
}

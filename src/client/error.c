/* error: one table from the broker's error codes to libbaton's stable public ones, and their words.
 * The public numbers never change; several wire errors may share one. */
#include "client/error.h"

#include "base/err.h"
#include "baton/baton.h"

/* The first row of a public code supplies its text and exit status. */
static const struct {
	int code;
	int err;
} rows[] = {
	{BATON_OK, ERR_NONE},
	{BATON_E_UNREACHABLE, ERR_UNREACHABLE},
	{BATON_E_UNAUTHORIZED, ERR_UNAUTHORIZED},
	{BATON_E_FORBIDDEN, ERR_FORBIDDEN},
	{BATON_E_CLASS, ERR_CLASS},
	{BATON_E_FORBIDDEN, ERR_BAD_HOST},
	{BATON_E_FORBIDDEN, ERR_BAD_ORIGIN},
	{BATON_E_PROTOCOL, ERR_PROTOCOL},
	{BATON_E_VERSION, ERR_VERSION},
	{BATON_E_INVALID, ERR_BAD_FIELD},
	{BATON_E_INVALID, ERR_BAD_REQUEST},
	{BATON_E_INVALID, ERR_BAD_JSON},
	{BATON_E_INVALID, ERR_TOO_LARGE},
	{BATON_E_NO_GPU, ERR_NO_GPU},
	{BATON_E_NEVER_FITS, ERR_NEVER_FITS},
	{BATON_E_FULL, ERR_QUEUE_FULL},
	{BATON_E_QUOTA, ERR_QUOTA},
	{BATON_E_FULL, ERR_TOO_MANY_CONNECTIONS},
	{BATON_E_FULL, ERR_TOO_MANY_WAITING},
	{BATON_E_FULL, ERR_RATE_LIMITED},
	{BATON_E_BUSY, ERR_BUSY},
	{BATON_E_TIMEOUT, ERR_TIMEOUT},
	{BATON_E_REVOKED, ERR_REVOKED},
	{BATON_E_LOST, ERR_STALE},
	{BATON_E_RELEASED, ERR_RELEASED},
	{BATON_E_DEADLOCK, ERR_DEADLOCK},
	{BATON_E_NO_ROOM, ERR_NO_ROOM},
	{BATON_E_STATE, ERR_STATE},
	{BATON_E_UNAVAILABLE, ERR_DRAINING},
	{BATON_E_UNAVAILABLE, ERR_PAUSED},
	{BATON_E_UNAVAILABLE, ERR_JOURNAL},
	{BATON_E_UNAVAILABLE, ERR_IN_DOUBT},
	{BATON_E_NO_MEMORY, ERR_NO_MEMORY},
	{BATON_E_IO, ERR_IO},
	{BATON_E_INTERNAL, ERR_INTERNAL},
};

/* Codes that exist only here, and those whose wire text addresses somebody else. */
static const struct {
	int code;
	int exit_code;
	const char *name, *text;
} own_rows[] = {
	{BATON_E_CANCELLED, 75, "cancelled", "The claim was cancelled."},
	{BATON_E_CLOSED, 70, "closed", "The session was closed by this program."},
	{BATON_E_UNAUTHORIZED, 77, "unauthorized",
	 "The broker does not serve this user; ask as the user who started it."},
	{BATON_E_LOST, 75, "lost",
	 "The broker does not know this lease any more; stop using the GPU and ask again."},
	{BATON_E_TIMEOUT, 75, "timeout", "The wait is over and the GPU was not free."},
	{BATON_E_UNAVAILABLE, 75, "unavailable",
	 "The broker grants nothing now; baton status says why."},
	{BATON_E_INVALID, 64, "invalid", "An argument is wrong."},
	{BATON_E_FORBIDDEN, 77, "forbidden",
	 "Not allowed: the broker belongs to another user, or the act needs more rights."},
	{BATON_E_PATH, 64, "bad_path",
	 "The socket's path is empty or too long for a socket (at most 107 bytes)."},
	{BATON_E_NAME, 64, "bad_name", "A name needs 1 to 128 printable bytes of UTF-8."},
	{BATON_E_MISSED, 75, "missed",
	 "The GPU was offered three times and not taken: this program was stopped or busy."},
};

int error_public(int err)
{
	if (err < 0)
		err = -err;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].err == err)
			return rows[i].code;
	return BATON_E_INTERNAL;
}

static int wire_error(int code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == code)
			return rows[i].err;
	return ERR_INTERNAL;
}

const char *baton_strerror(int code)
{
	for (size_t i = 0; i < sizeof(own_rows) / sizeof(*own_rows); i++)
		if (own_rows[i].code == code)
			return own_rows[i].text;
	return err_text(wire_error(code));
}

const char *baton_error_name(int code)
{
	for (size_t i = 0; i < sizeof(own_rows) / sizeof(*own_rows); i++)
		if (own_rows[i].code == code)
			return own_rows[i].name;
	return err_name(wire_error(code));
}

int baton_exit_code(int code)
{
	for (size_t i = 0; i < sizeof(own_rows) / sizeof(*own_rows); i++)
		if (own_rows[i].code == code)
			return own_rows[i].exit_code;
	return err_exit_code(wire_error(code));
}

const char *baton_version(void)
{
	return BATON_VERSION;
}

/* view_names: the names and texts of why somebody waits, why no wait is guaranteed and why nothing
 * is granted. */
#include "core/view.h"

static const char *const why_names[WHY_COUNT] = {
#define X(code, name, text) [code] = name,
	WHY_TABLE(X)
#undef X
};

static const char *const why_texts[WHY_COUNT] = {
#define X(code, name, text) [code] = text,
	WHY_TABLE(X)
#undef X
};

static const char *const bound_names[BOUND_NONE_COUNT] = {
#define X(code, name, text) [code] = name,
	BOUND_NONE_TABLE(X)
#undef X
};

static const char *const bound_texts[BOUND_NONE_COUNT] = {
#define X(code, name, text) [code] = text,
	BOUND_NONE_TABLE(X)
#undef X
};

static const char *const grants_names[GRANTS_COUNT] = {
#define X(code, name, text) [code] = name,
	GRANTS_TABLE(X)
#undef X
};

static const char *const grants_texts[GRANTS_COUNT] = {
#define X(code, name, text) [code] = text,
	GRANTS_TABLE(X)
#undef X
};

/* An index outside the table is a caller's bug, but printing must not crash on it. */
static const char *name_of(const char *const *names, int count, int index)
{
	return index >= 0 && index < count ? names[index] : "unknown";
}

const char *why_name(int code)
{
	return name_of(why_names, WHY_COUNT, code);
}

const char *why_text(int code)
{
	return name_of(why_texts, WHY_COUNT, code);
}

const char *bound_none_name(int none)
{
	return name_of(bound_names, BOUND_NONE_COUNT, none);
}

const char *bound_none_text(int none)
{
	return name_of(bound_texts, BOUND_NONE_COUNT, none);
}

const char *grants_name(int grants)
{
	return name_of(grants_names, GRANTS_COUNT, grants);
}

const char *grants_text(int grants)
{
	return name_of(grants_texts, GRANTS_COUNT, grants);
}

/* recognise: which model server it is that gave these answers. Pure. */
#pragma once
#include <stdbool.h>

#include "cli/discover/ask.h"

enum recognise_path {
	RECOGNISE_KOBOLD,
	RECOGNISE_COMFY,
	RECOGNISE_A1111,
	RECOGNISE_RUNNING,
	RECOGNISE_SLEEPING,
	RECOGNISE_ROUTER,
	RECOGNISE_PROPS,
	RECOGNISE_LMSTUDIO,
	RECOGNISE_LOCALAI,
	RECOGNISE_LEMONADE,
	RECOGNISE_HEALTH,
	RECOGNISE_PAGE,
	RECOGNISE_PS,
	RECOGNISE_TAGS,
	RECOGNISE_MODELS,
	RECOGNISE_COUNT
};

extern const char *const recognise_paths[RECOGNISE_COUNT];

struct recognised {
	const char *product; /* in words */
	const char *kind;    /* of the configuration */
	bool has_pages;      /* by which people use it */
	const char *name;    /* to call it by */
	bool sizes_itself;   /* it says how much memory its models need */
	bool names_none;     /* nor what its one model is called */
	bool wants_key;
	const json_t *models; /* borrowed from an answer: objects with `model_key`; may be NULL */
	const char *model_key;
};

/* `answers`: of one server, by path. False: it is none that is known. */
bool recognise(const struct ask *answers, struct recognised *ret);

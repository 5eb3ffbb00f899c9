/* active_config: the configuration in force. */
#pragma once
#include "config/options.h"
#include "config/paths.h"
#include "server/access/api_keys.h"
#include "wire/http_decode.h"

struct active_config {
	struct settings settings;
	struct class_rule rules[SETTINGS_RULE_COUNT];
	/* Those of made keys first, then those of the settings. */
	struct class_rights rights[API_KEYS_MAX + SETTINGS_PRINCIPAL_COUNT];
	char key_globs[API_KEYS_MAX][LIMIT_PRINCIPAL_BYTES + 1];
	struct wire_context wire; /* points into those above */
	struct options options;
	struct paths paths;
};

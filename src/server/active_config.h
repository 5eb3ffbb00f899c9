/* active_config: the configuration in force. */
#pragma once
#include "config/options.h"
#include "wire/http_decode.h"

struct active_config {
	struct settings settings;
	struct class_rule rules[SETTINGS_RULE_COUNT];
	struct class_rights rights[SETTINGS_PRINCIPAL_COUNT];
	struct wire_context wire; /* points into those above */
	struct options options;
	struct paths paths;
};

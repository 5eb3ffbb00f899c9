/* settings_schema: which keys the configuration file may have, and of what type. Tables only. Read
 * by settings_load.c (values) and settings_lines.c (unknown keys). */
#include "config/settings.h"
#include "config/settings_impl.h"

enum { OPT = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL };

static const cyaml_strval_t class_names[] = {{"voice", LEASE_VOICE},
					     {"chat", LEASE_CHAT},
					     {"normal", LEASE_NORMAL},
					     {"background", LEASE_BACKGROUND}};
static const cyaml_strval_t level_names[] = {
	{"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};
static const cyaml_strval_t mode_names[] = {{"enforce", FILE_ENFORCE}, {"observe", FILE_OBSERVE}};

static const cyaml_schema_field_t class_fields[] = {
	CYAML_FIELD_FLOAT_PTR("offset_s", OPT, struct file_class, offset_s),
	CYAML_FIELD_FLOAT_PTR("hold_max_s", OPT, struct file_class, hold_max_s),
	CYAML_FIELD_FLOAT_PTR("share", OPT, struct file_class, share), CYAML_FIELD_END};

static const cyaml_schema_field_t classes_fields[] = {
	CYAML_FIELD_MAPPING_PTR("voice", OPT, struct file_classes, voice, class_fields),
	CYAML_FIELD_MAPPING_PTR("chat", OPT, struct file_classes, chat, class_fields),
	CYAML_FIELD_MAPPING_PTR("normal", OPT, struct file_classes, normal, class_fields),
	CYAML_FIELD_MAPPING_PTR("background", OPT, struct file_classes, background, class_fields),
	CYAML_FIELD_END};

static const cyaml_schema_field_t rule_fields[] = {
	CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct file_rule, match, 1,
			       LIMIT_ID_BYTES),
	CYAML_FIELD_ENUM("class", CYAML_FLAG_STRICT, struct file_rule, cls, class_names,
			 CYAML_ARRAY_LEN(class_names)),
	CYAML_FIELD_END};
static const cyaml_schema_value_t rule_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_rule, rule_fields)};

static const cyaml_schema_value_t class_schema = {CYAML_VALUE_ENUM(
	CYAML_FLAG_STRICT, enum lease_class, class_names, CYAML_ARRAY_LEN(class_names))};
static const cyaml_schema_field_t principal_fields[] = {
	CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct file_principal, match, 1,
			       LIMIT_PRINCIPAL_BYTES),
	CYAML_FIELD_SEQUENCE("classes", OPT, struct file_principal, classes, &class_schema, 1,
			     LEASE_CLASS_COUNT),
	CYAML_FIELD_UINT_PTR("queue", OPT, struct file_principal, queue),
	CYAML_FIELD_UINT_PTR("held", OPT, struct file_principal, held), CYAML_FIELD_END};
static const cyaml_schema_value_t principal_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_principal, principal_fields)};

static const cyaml_schema_field_t key_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct file_key, name, 1,
			       SETTINGS_KEY_NAME_BYTES),
	CYAML_FIELD_STRING_PTR("file", CYAML_FLAG_POINTER, struct file_key, file, 1,
			       SETTINGS_KEY_PATH_BYTES),
	CYAML_FIELD_END};
static const cyaml_schema_value_t key_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_key, key_fields)};

static const cyaml_schema_field_t gpu_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct file_gpu, name, 1,
			       LIMIT_GPU_NAME_BYTES),
	CYAML_FIELD_STRING_PTR("uuid", OPT, struct file_gpu, uuid, 1, LIMIT_GPU_NAME_BYTES),
	CYAML_FIELD_UINT_PTR("vram_mb", OPT, struct file_gpu, vram_mb),
	CYAML_FIELD_UINT_PTR("slots", OPT, struct file_gpu, slots), CYAML_FIELD_END};
static const cyaml_schema_value_t gpu_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_gpu, gpu_fields)};

static const cyaml_schema_field_t gateway_fields[] = {
	CYAML_FIELD_FLOAT_PTR("quiet_s", OPT, struct file_gateway, quiet_s),
	CYAML_FIELD_FLOAT_PTR("whole_wait_s", OPT, struct file_gateway, whole_wait_s),
	CYAML_FIELD_FLOAT_PTR("stream_wait_s", OPT, struct file_gateway, stream_wait_s),
	CYAML_FIELD_FLOAT_PTR("finish_s", OPT, struct file_gateway, finish_s), CYAML_FIELD_END};

static const cyaml_schema_field_t upstream_model_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct file_upstream_model, name, 1,
			       LIMIT_ID_BYTES),
	CYAML_FIELD_STRING_PTR("alias", OPT, struct file_upstream_model, alias, 1, LIMIT_ID_BYTES),
	CYAML_FIELD_UINT_PTR("vram_mb", OPT, struct file_upstream_model, vram_mb), CYAML_FIELD_END};
static const cyaml_schema_value_t upstream_model_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_upstream_model, upstream_model_fields)};

static const cyaml_strval_t route_class_names[] = {{"voice", LEASE_VOICE},
						   {"chat", LEASE_CHAT},
						   {"normal", LEASE_NORMAL},
						   {"background", LEASE_BACKGROUND},
						   {"pass", LEASE_CLASS_COUNT}};
static const cyaml_schema_field_t upstream_route_fields[] = {
	CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct file_upstream_route, match, 1,
			       TURN_RULE_BYTES),
	CYAML_FIELD_ENUM("class", CYAML_FLAG_STRICT, struct file_upstream_route, cls,
			 route_class_names, CYAML_ARRAY_LEN(route_class_names)),
	CYAML_FIELD_END};
static const cyaml_schema_value_t upstream_route_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_upstream_route, upstream_route_fields)};

static const cyaml_schema_value_t argument_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, SETTINGS_CMD_BYTES)};

static const cyaml_schema_field_t upstream_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct file_upstream, name, 1,
			       SETTINGS_KEY_NAME_BYTES),
	CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct file_upstream, kind, 1,
			       SETTINGS_KEY_NAME_BYTES),
	CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct file_upstream, url, 1,
			       SETTINGS_ORIGIN_BYTES),
	CYAML_FIELD_STRING_PTR("gpu", OPT, struct file_upstream, gpu, 1, LIMIT_GPU_NAME_BYTES),
	CYAML_FIELD_STRING_PTR("key_file", OPT, struct file_upstream, key_file, 1,
			       SETTINGS_KEY_PATH_BYTES),
	CYAML_FIELD_UINT_PTR("vram_mb", OPT, struct file_upstream, vram_mb),
	CYAML_FIELD_SEQUENCE("cmd", OPT, struct file_upstream, cmd, &argument_schema, 1,
			     SETTINGS_CMD_COUNT),
	CYAML_FIELD_SEQUENCE("env", OPT, struct file_upstream, env, &argument_schema, 0,
			     SETTINGS_CMD_COUNT),
	CYAML_FIELD_STRING_PTR("ready", OPT, struct file_upstream, ready, 1,
			       SETTINGS_ADDRESS_BYTES),
	CYAML_FIELD_FLOAT_PTR("idle_s", OPT, struct file_upstream, idle_s),
	CYAML_FIELD_FLOAT_PTR("silence_s", OPT, struct file_upstream, silence_s),
	CYAML_FIELD_UINT_PTR("parallel", OPT, struct file_upstream, parallel),
	CYAML_FIELD_STRING_PTR("listen", OPT, struct file_upstream, listen, 1,
			       SETTINGS_ADDRESS_BYTES),
	CYAML_FIELD_FLOAT_PTR("wait_s", OPT, struct file_upstream, wait_s),
	CYAML_FIELD_SEQUENCE("routes", OPT, struct file_upstream, routes, &upstream_route_schema, 0,
			     SETTINGS_UPSTREAM_ROUTE_COUNT),
	CYAML_FIELD_SEQUENCE("models", OPT, struct file_upstream, models, &upstream_model_schema, 0,
			     SETTINGS_UPSTREAM_MODEL_COUNT),
	CYAML_FIELD_END};
static const cyaml_schema_value_t upstream_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_upstream, upstream_fields)};

static const cyaml_schema_field_t timing_fields[] = {
#define X(key, member, min, max) CYAML_FIELD_FLOAT_PTR(#key, OPT, struct file_timing, key),
	SETTINGS_TIMING(X)
#undef X
		CYAML_FIELD_END};

static const cyaml_schema_field_t queue_fields[] = {
	CYAML_FIELD_UINT_PTR("max", OPT, struct file_queue, max),
	CYAML_FIELD_UINT_PTR("per_session_max", OPT, struct file_queue, per_session_max),
	CYAML_FIELD_UINT_PTR("per_principal_max", OPT, struct file_queue, per_principal_max),
	CYAML_FIELD_UINT_PTR("held_per_principal_max", OPT, struct file_queue,
			     held_per_principal_max),
	CYAML_FIELD_END};

static const cyaml_schema_value_t address_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, SETTINGS_ADDRESS_BYTES)};
static const cyaml_schema_value_t origin_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, SETTINGS_ORIGIN_BYTES)};

static const cyaml_schema_field_t file_fields[] = {
	CYAML_FIELD_ENUM_PTR("mode", OPT | CYAML_FLAG_STRICT, struct settings_file, mode,
			     mode_names, CYAML_ARRAY_LEN(mode_names)),
	CYAML_FIELD_SEQUENCE("listen", OPT, struct settings_file, listen, &address_schema, 1,
			     SETTINGS_LISTEN_COUNT),
	CYAML_FIELD_SEQUENCE("origins", OPT, struct settings_file, origins, &origin_schema, 0,
			     SETTINGS_ORIGIN_COUNT),
	CYAML_FIELD_STRING_PTR("models", OPT, struct settings_file, models, 1, SETTINGS_PATH_BYTES),
	CYAML_FIELD_SEQUENCE("model_origins", OPT, struct settings_file, model_origins,
			     &origin_schema, 0, SETTINGS_MODEL_ORIGIN_COUNT),
	CYAML_FIELD_STRING_PTR("socket", OPT, struct settings_file, socket, 1,
			       SETTINGS_SOCKET_BYTES),
	CYAML_FIELD_MAPPING_PTR("classes", OPT, struct settings_file, classes, classes_fields),
	{.key = "class_rules",
	 .data_offset = offsetof(struct settings_file, rules),
	 .count_offset = offsetof(struct settings_file, rules_count),
	 .count_size = sizeof(unsigned),
	 .value = {CYAML_VALUE_SEQUENCE(OPT, struct file_rule, &rule_schema, 0,
					SETTINGS_RULE_COUNT)}},
	CYAML_FIELD_SEQUENCE("principals", OPT, struct settings_file, principals, &principal_schema,
			     0, SETTINGS_PRINCIPAL_COUNT),
	CYAML_FIELD_SEQUENCE("keys", OPT, struct settings_file, keys, &key_schema, 0,
			     SETTINGS_KEY_COUNT),
	CYAML_FIELD_SEQUENCE("gpus", OPT, struct settings_file, gpus, &gpu_schema, 1, LIMIT_GPUS),
	CYAML_FIELD_MAPPING_PTR("gateway", OPT, struct settings_file, gateway, gateway_fields),
	CYAML_FIELD_SEQUENCE("upstreams", OPT, struct settings_file, upstreams, &upstream_schema, 0,
			     SETTINGS_UPSTREAM_COUNT),
	CYAML_FIELD_STRING_PTR("browser_gpu", OPT, struct settings_file, browser_gpu, 1,
			       LIMIT_GPU_NAME_BYTES),
	CYAML_FIELD_MAPPING_PTR("timing", OPT, struct settings_file, timing, timing_fields),
	CYAML_FIELD_MAPPING_PTR("queue", OPT, struct settings_file, queue, queue_fields),
	CYAML_FIELD_UINT_PTR("vram_headroom_mb", OPT, struct settings_file, vram_headroom_mb),
	CYAML_FIELD_UINT_PTR("connections", OPT, struct settings_file, connections),
	CYAML_FIELD_UINT_PTR("connections_per_process", OPT, struct settings_file,
			     connections_per_process),
	CYAML_FIELD_ENUM_PTR("log_level", OPT | CYAML_FLAG_STRICT, struct settings_file, log_level,
			     level_names, CYAML_ARRAY_LEN(level_names)),
	CYAML_FIELD_END};
const cyaml_schema_value_t settings_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings_file, file_fields)};

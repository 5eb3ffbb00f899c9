/* settings_impl: the configuration file as libcyaml gives it: a NULL pointer is a key that is
 * absent. Private to settings_*.c. */
#pragma once
#include <cyaml/cyaml.h>

#include "base/log.h"
#include "core/types.h"

struct settings;

/* Seconds in the file, milliseconds in the core: X(key, member, smallest, largest in seconds) */
#define SETTINGS_TIMING(X)                                                                         \
	X(quantum_s, quantum_ms, 0, 3600)                                                          \
	X(voice_credit_s, voice_credit_ms, 0, 86400)                                               \
	X(min_run_s, min_run_ms, 0, 3600)                                                          \
	X(grace_s, grace_ms, 0.05, 600)                                                            \
	X(grace_max_s, grace_ms_max, 0.05, 3600)                                                   \
	X(ack_s, ack_ms, 0.05, 60)                                                                 \
	X(heartbeat_s, heartbeat_ms, 0.1, 600)                                                     \
	X(session_ttl_s, session_ttl_ms, 0.2, 3600)                                                \
	X(http_ttl_s, http_ttl_ms, 1, 86400)                                                       \
	X(http_ttl_max_s, http_ttl_ms_max, 1, 604800)                                              \
	X(timeout_s, timeout_ms, 0.1, 604800)                                                      \
	X(tab_linger_s, tab_linger_ms, 0, 600)                                                     \
	X(native_linger_s, native_linger_ms, 0, 600)                                               \
	X(restart_linger_s, restart_linger_ms, 0, 600)                                             \
	X(lock_delay_s, lock_delay_ms, 0, 600)                                                     \
	X(load_max_s, load_ms_max, 1, 3600)                                                        \
	X(kill_wait_s, kill_wait_ms, 0, 600)                                                       \
	X(unload_max_s, unload_ms_max, 1, 3600)                                                    \
	X(place_memory_s, place_memory_ms, 0, 3600)                                                \
	X(min_residence_max_s, min_residence_ms_max, 0, 86400)                                     \
	X(drain_max_s, drain_ms_max, 0, 3600)                                                      \
	X(sample_max_s, sample_ms_max, 0.1, 3600)                                                  \
	X(settle_s, settle_ms, 0, 600)

/* The file as libcyaml gives it; a NULL pointer is a key that is absent. */
struct file_class {
	double *offset_s, *hold_max_s, *share;
};
struct file_classes {
	struct file_class *voice, *chat, *normal, *background;
};
struct file_rule {
	char *match;
	enum lease_class cls;
};
struct file_principal {
	char *match;
	enum lease_class *classes;
	unsigned classes_count;
	uint32_t *queue, *held;
};
struct file_key {
	char *name, *file;
};
struct file_gateway {
	double *quiet_s, *whole_wait_s, *stream_wait_s, *finish_s;
};
struct file_upstream_model {
	char *name, *alias;
	uint64_t *vram_mb;
};
struct file_upstream_route {
	char *match;
	enum lease_class cls; /* LEASE_CLASS_COUNT: it passes */
};
struct file_upstream {
	char *name, *kind, *url, *gpu, *key_file, *ready, *listen;
	char **cmd, **env;
	unsigned cmd_count, env_count;
	double *idle_s, *silence_s, *wait_s;
	uint64_t *vram_mb;
	uint32_t *parallel;
	struct file_upstream_model *models;
	unsigned models_count;
	struct file_upstream_route *routes;
	unsigned routes_count;
};
struct file_gpu {
	char *name, *uuid;
	uint64_t *vram_mb;
	uint32_t *slots;
};
struct file_timing {
#define X(key, member, min, max) double *key;
	SETTINGS_TIMING(X)
#undef X
};
struct file_queue {
	uint32_t *max, *per_session_max, *per_principal_max, *held_per_principal_max;
};
enum file_mode { FILE_ENFORCE, FILE_OBSERVE };
struct settings_file {
	enum file_mode *mode;
	char **listen, **origins, **model_origins, *socket, *models, *browser_gpu;
	unsigned listen_count, origins_count, model_origins_count, rules_count, gpus_count;
	unsigned principals_count, keys_count, upstreams_count;
	struct file_classes *classes;
	struct file_rule *rules;
	struct file_principal *principals;
	struct file_key *keys;
	struct file_gpu *gpus;
	struct file_upstream *upstreams;
	struct file_gateway *gateway;
	struct file_timing *timing;
	struct file_queue *queue;
	uint64_t *vram_headroom_mb;
	uint32_t *connections, *connections_per_process;
	enum log_level *log_level;
};

/* Principals and keys. NULL, or what is wrong, in words, and `key`: with which one. */
const char *settings_take_who(const struct settings_file *from, struct settings *to, char *key,
			      size_t key_size);

/* Model servers, once the GPUs are known. As above. */
const char *settings_take_upstreams(const struct settings_file *from, struct settings *to,
				    char *key, size_t key_size);

extern const cyaml_schema_value_t settings_schema;

/* Syntax errors, unknown and repeated keys, each with its own line: libcyaml names the line before.
 * 0 or -ERR_CONFIG with `detail` = "LINE: what". */
int settings_tree_check(const char *text, size_t length, char *detail, size_t detail_size);
/* The line of a value by its path, such as "timing/ack_s" or "gpus/1/slots" (counted from 0); 0:
 * there is none. */
unsigned settings_tree_line(const char *text, size_t length, const char *path);

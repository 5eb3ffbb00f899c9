/* settings: everything that an operator can set, as one value. The file is checked whole and taken
 * whole or refused with file:line. What the command line says stands over what the file says. */
#pragma once
#include "core/config.h"
#include "wire/turn_rule.h"

enum {
	SETTINGS_LISTEN_COUNT = 8,
	SETTINGS_ORIGIN_COUNT = 32,
	SETTINGS_RULE_COUNT = 64,
	SETTINGS_PRINCIPAL_COUNT = 64,
	SETTINGS_KEY_COUNT = 32,
	SETTINGS_KEY_NAME_BYTES = 40,
	SETTINGS_KEY_PATH_BYTES = 255,
	SETTINGS_MODEL_ORIGIN_COUNT = 16,
	SETTINGS_UPSTREAM_COUNT = 16,
	SETTINGS_UPSTREAM_MODEL_COUNT = 64, /* of all together */
	SETTINGS_UPSTREAM_ROUTE_COUNT = 64, /* of all together */
	SETTINGS_CMD_COUNT = 64,            /* words of a command, variables of its environment */
	SETTINGS_CMD_BYTES = 2048,
	SETTINGS_ADDRESS_BYTES = 127,
	SETTINGS_ORIGIN_BYTES = 255,
	SETTINGS_PATH_BYTES = 4095,
	SETTINGS_SOCKET_BYTES = 95, /* http.sock beside it must fit into sun_path, too */
	SETTINGS_FILE_BYTES = 256 * 1024,
};

/* Clients whose name matches the glob get this class unless they state one. */
struct settings_rule {
	char match[LIMIT_ID_BYTES + 1];
	enum lease_class cls;
};

/* What principals whose name matches the glob may do; the first match counts. */
struct settings_principal {
	char match[LIMIT_PRINCIPAL_BYTES + 1];
	uint32_t classes;             /* bit = enum lease_class */
	uint32_t queue_max, held_max; /* 0: the default */
};

/* Who shows the secret in this file is the principal "key:NAME". */
struct settings_key {
	char name[SETTINGS_KEY_NAME_BYTES + 1];
	char file[SETTINGS_KEY_PATH_BYTES + 1];
};

/* Who says which GPUs there are. */
enum gpus_from {
	GPUS_FOUND, /* nobody: the machine's own are used */
	GPUS_FILE,  /* the file; what is found of them measures them */
	GPUS_FAKE,  /* the command line; nothing is measured */
};

/* Texts one behind the other, each with its NUL. */
struct settings_words {
	uint32_t count;
	char bytes[SETTINGS_CMD_BYTES];
};

/* A model server that requests are forwarded to. */
struct settings_upstream {
	char name[SETTINGS_KEY_NAME_BYTES + 1], kind[SETTINGS_KEY_NAME_BYTES + 1];
	char url[SETTINGS_ORIGIN_BYTES + 1];        /* without a path */
	char key_file[SETTINGS_KEY_PATH_BYTES + 1]; /* what it wants to be shown; "": nothing */
	char gpu[LIMIT_GPU_NAME_BYTES + 1];         /* "": any; "none": it takes no lease */
	uint64_t vram_bytes;                        /* of its models; 0: not said */
	struct settings_words cmd, env;             /* cmd.count 0: it is not Baton's to start */
	char ready[SETTINGS_ADDRESS_BYTES +
		   1];      /* the path that answers 200 once it is; "": its list */
	int64_t idle_ms;    /* it is stopped when idle for so long; 0: never */
	int64_t silence_ms; /* a request is given up that moved no byte for so long */
	uint32_t parallel;  /* requests for a model of it that are in one turn, at most */
	char listen[SETTINGS_ADDRESS_BYTES + 1]; /* where its pages are served; "": nowhere */
	int64_t wait_ms; /* of its pages' requests for their turn, at most; 0: its kind's own */
};

/* What takes a turn, of the requests for an upstream's pages; before what its kind says. */
struct settings_upstream_route {
	uint32_t upstream; /* whose */
	char match[TURN_RULE_BYTES + 1];
	enum lease_class cls; /* LEASE_CLASS_COUNT: it passes */
};

/* How long requests to model servers may take; see docs/gateway.md. */
struct settings_gateway {
	int64_t quiet_ms, whole_wait_ms, stream_wait_ms, finish_ms;
};

/* What `kind` may be, ending with NULL: the gateway's adapters. */
extern const char *const settings_upstream_kinds[];

struct settings_upstream_model {
	uint32_t upstream;                                        /* whose */
	char name[LIMIT_ID_BYTES + 1], alias[LIMIT_ID_BYTES + 1]; /* alias "": none */
	uint64_t vram_bytes;
};

struct settings {
	struct core_config core;
	enum gpus_from gpus_from;
	uint32_t listen_count, origin_count, rule_count, model_origin_count;
	uint32_t principal_count, key_count;
	struct settings_principal principals[SETTINGS_PRINCIPAL_COUNT];
	struct settings_key keys[SETTINGS_KEY_COUNT];
	char listen[SETTINGS_LISTEN_COUNT][SETTINGS_ADDRESS_BYTES + 1];
	char socket_path[SETTINGS_SOCKET_BYTES + 1]; /* "": the default */
	char origins[SETTINGS_ORIGIN_COUNT][SETTINGS_ORIGIN_BYTES + 1];
	/* From where pages may load models, besides the broker; and a folder laid over its own. */
	char model_origins[SETTINGS_MODEL_ORIGIN_COUNT][SETTINGS_ORIGIN_BYTES + 1];
	char models_dir[SETTINGS_PATH_BYTES + 1]; /* "": none */
	struct settings_rule rules[SETTINGS_RULE_COUNT];
	uint32_t upstream_count, upstream_model_count, upstream_route_count;
	struct settings_gateway gateway;
	struct settings_upstream upstreams[SETTINGS_UPSTREAM_COUNT];
	struct settings_upstream_model upstream_models[SETTINGS_UPSTREAM_MODEL_COUNT];
	struct settings_upstream_route upstream_routes[SETTINGS_UPSTREAM_ROUTE_COUNT];
	/* Where the file says `listen`, for what is only known once it is tried. */
	unsigned listen_lines[SETTINGS_UPSTREAM_COUNT];
	char file[SETTINGS_PATH_BYTES + 1];         /* "": there is none */
	char browser_gpu[LIMIT_GPU_NAME_BYTES + 1]; /* name or uuid; "": the first */
	uint32_t connections_max;
	uint32_t connections_per_process_max; /* 0: half of all */
	int log_level;                        /* enum log_level */
	bool mode_said; /* by the file: it goes before --observe, so that a reload can switch */
};

/* DESIGN.md section 12, and the predecessor's names as class rules. */
void settings_defaults(struct settings *ret_settings);
/* The file's values over those of `base`. 0 or -ERR_CONFIG; `detail` is "file:line: what". */
int settings_load(const char *path, const struct settings *base, struct settings *ret_settings,
		  char *detail, size_t detail_size);
/* "host:port" with a numeric host or "localhost", which is 127.0.0.1, as net takes it. False: it is
 * not one. `ret_address` (SETTINGS_ADDRESS_BYTES + 1) and `ret_loopback` may be NULL. */
bool settings_take_address(const char *text, char *ret_address, bool *ret_loopback);
/* Why no request could name a GPU so; NULL: it can. */
const char *settings_gpu_name_problem(const char *name);
/* "NAME:VRAM[:SLOTS]"; VRAM in MiB, or with a unit: 24G. 0 or -ERR_CONFIG. */
int settings_add_gpu(struct settings *settings, const char *spec, char *detail, size_t detail_size);
/* core.browser_gpu by its name, once all GPUs are known. 0 or -ERR_CONFIG. */
int settings_find_browser_gpu(struct settings *settings, char *detail, size_t detail_size);
/* GPUs may grow, change their size or slots, and be added; one that is gone or has moved to another
 * place in the list needs a restart, because leases name GPUs by their place. */
bool settings_gpus_moved(const struct settings *from, const struct settings *to);
/* What differs, as names of settings; `restart`: those that only count after a restart. */
struct settings_change {
	char applied[512], restart[256];
};
void settings_compare(const struct settings *from, const struct settings *to,
		      struct settings_change *ret_change);

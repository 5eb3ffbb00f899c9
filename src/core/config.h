/* config: all that an operator can set about order, time and GPUs. Comes into the core by
 * EVENT_CONFIG, is copied there, and touches no lease. Defaults are DESIGN.md section 12. */
#pragma once
#include "base/limits.h"
#include "core/types.h"

struct class_config {
	int64_t offset_ms;      /* key = tag + offset */
	int64_t hold_ms_max;    /* a hold ends by this + grace when others wait */
	int64_t share_permille; /* of every GPU's turn time, guaranteed while it has waiters */
};

struct gpu_config {
	char name[LIMIT_GPU_NAME_BYTES + 1];
	char uuid[LIMIT_GPU_NAME_BYTES + 1]; /* may be empty */
	uint64_t vram_bytes_total;           /* meaningless unless vram_known */
	uint64_t vram_bytes_kept; /* free for nobody: headroom, what the driver reserves; 0: the
				     usual headroom */
	uint32_t slots;           /* compute turns at once, default 1 */
	bool vram_known;          /* false: a claim that states VRAM counts as all of it */
	enum gpu_maker maker;
	bool has_maker_index;
	uint32_t maker_index; /* how its maker's runtime numbers it, by address */
};

struct core_config {
	struct class_config classes[LEASE_CLASS_COUNT];
	int64_t quantum_ms;       /* 10 s: the turn of a class that is due */
	int64_t voice_credit_ms;  /* 30 s: what voice may use beyond its share and still go first */
	int64_t min_run_ms;       /* 2 s: against thrash, not against voice */
	int64_t grace_ms;         /* 2 s: from yield to revoke */
	int64_t grace_ms_max;     /* 20 s: most that uninterruptible_ms or yielding can buy */
	int64_t load_ms_max;      /* 120 s: from a grant until what it loads must be ready */
	int64_t ack_ms;           /* 2 s: offer unanswered -> back to its place */
	int64_t heartbeat_ms;     /* 5 s: how often the broker asks a session */
	int64_t session_ttl_ms;   /* 20 s from the session's last message */
	int64_t http_ttl_ms;      /* 300 s default of plain HTTP leases */
	int64_t http_ttl_ms_max;  /* 3600 s */
	int64_t timeout_ms;       /* 120 s default wait */
	int64_t tab_linger_ms;    /* 2 s: closed WebSocket waits for a resume; the lock-delay */
	int64_t native_linger_ms; /* 2 s: closed Unix session whose process still lives */
	int64_t restart_linger_ms; /* 10 s: places after a broker restart */
	int64_t lock_delay_ms;     /* 2 s: after a forced revoke of a tab or plain HTTP lease */
	int64_t kill_wait_ms;      /* 10 s: after SIGKILL, until the room is taken as free anyway */
	int64_t unload_ms_max;   /* 30 s: the same for a model that its server was told to unload */
	int64_t place_memory_ms; /* 30 s: a lost waiter that repeats its request_id keeps its key */
	int64_t min_residence_ms_max; /* 60 s: what a resident may ask for */
	int64_t drain_ms_max;  /* 30 s: after the end of a lease, for its memory to be seen free */
	int64_t sample_ms_max; /* 15 s: an older reading is unknown */
	int64_t settle_ms;     /* 5 s: after a suspend or stall nothing expires before this */
	uint64_t vram_headroom_bytes; /* 512 MiB per GPU of known VRAM */
	uint32_t queue_count_max;
	uint32_t queue_per_session_max; /* also per name over plain HTTP */
	uint32_t queue_per_principal_max, held_per_principal_max;
	uint32_t gpu_count;
	struct gpu_config gpus[LIMIT_GPUS];
	bool observe; /* everything is granted at once, nobody is made to leave (observe.h) */
	uint32_t browser_gpu; /* of a WebSocket session that holds nothing and names none */
};

/* What is free for nobody there; and what leases may have in all, where the total is known. */
uint64_t core_vram_kept(const struct core_config *config, uint32_t gpu);
uint64_t core_vram_room(const struct core_config *config, uint32_t gpu);
/* The defaults, with one GPU `gpu0` of unknown VRAM and one slot. */
void core_config_defaults(struct core_config *ret_config);
/* It as bytes, for whoever replays what happened under it. `bytes`: room for
 * CORE_CONFIG_BYTES_MAX. Returns the length. */
enum { CORE_CONFIG_BYTES_MAX = 16384 };
size_t core_config_write(const struct core_config *config, uint8_t *bytes);
/* Over the defaults. False: these are not such bytes. */
bool core_config_read(struct core_config *config, const uint8_t *bytes, size_t size);
/* Why the guarantees of docs/states.md would not hold under it, in words that name the setting;
 * NULL: they hold. */
const char *core_config_flaw(const struct core_config *config);
/* The longest hold of any class. */
int64_t core_hold_ms_max(const struct core_config *config);

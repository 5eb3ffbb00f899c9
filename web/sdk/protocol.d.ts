// protocol: what goes over the wire. Written by `python3 tools/gen/protocol --fix` from protocol/;
// docs/protocol.md says what it means.

/** A model that a worker serves. */
export interface WorkerModel {
	/** What clients ask for */
	id: string;
	/** The inference routes that it answers; unknown ones are ignored */
	paths: string[];
	/** It is in memory, and preferred to models that are not */
	loaded?: boolean;
	/** For people */
	vram_mb?: number;
}

export interface Offer {
	/** Each `{id, paths, loaded, vram_mb}` */
	models?: WorkerModel[];
	/** How many requests it takes at once */
	concurrency?: number;
}

export type Class = "voice" | "chat" | "normal" | "background";

/** How the client is connected: over the Unix socket, over WebSocket, by a lock stream, by a
 * plain request; the last two are for proxies and fleets to come. */
export type Binding = "native" | "tab" | "stream" | "http" | "proxied" | "remote";

export type Rights = "admin" | "token" | "queue";

export type ClaimState = "queued" | "offered" | "loading" | "held" | "yielding" | "stopping"
	| "draining" | "ended";

export type NoticeCode = "idle" | "over" | "gpu_lost" | "gpu_back" | "other_gpu";

export type LiveState = "queued" | "offered" | "loading" | "held" | "yielding";

export type EndReason = "released" | "timeout" | "cancelled" | "disconnected" | "expired" |
	"revoked" | "denied" | "force-released";

export type YieldReason = "preempted" | "hold-max" | "evicted" | "operator" | "expired" |
	"host-over" | "unresponsive" | "load-max";

/** Of the table of errors. */
export type ErrorCode = "bad_request" | "bad_json" | "bad_field" | "too_large" |
	"headers_too_large" | "too_slow" | "unsupported_media_type" | "method_not_allowed" |
	"not_found" | "bad_host" | "bad_origin" | "unauthorized" | "forbidden" | "rate_limited" |
	"too_many_waiting" | "queue_full" | "class_not_allowed" | "quota" | "sites_full" |
	"keys_full" | "name_taken" | "too_many_connections" | "stale" | "revoked" | "released" |
	"timeout" | "busy" | "paused" | "draining" | "journal_unavailable" | "in_doubt" |
	"no_such_gpu" | "never_fits" | "no_room" | "deadlock" | "host_over" | "wrong_state" |
	"protocol" | "protocol_version" | "already_running" | "unreachable" |
	"upstream_unreachable" | "upstream_slow" | "upstream_broken" | "model_not_found" |
	"model_failed" | "outranked" | "no_headroom" | "stuck_vram" | "bad_config" | "io" |
	"no_memory" | "internal";

export type WhyCode = "next" | "holder" | "self" | "holders" | "yielding" | "stopping" |
	"lock-delay" | "detached" | "vram" | "pinned" | "parked" | "observed" | "evicting" |
	"behind" | "reserved" | "unknown" | "unhealthy" | "paused" | "journal" | "authority" |
	"in_doubt" | "beyond" | "host" | "draining" | "disconnected";

export type BoundCode = "stopped" | "disconnected" | "blocked" | "memory" | "set" |
	"own_claims" | "host" | "observed" | "later";

export type GrantsCode = "draining" | "journal" | "in_doubt" | "paused";

export type EventWhat = "queued" | "offered" | "loading" | "held" | "yield" | "kept" |
	"revoked" | "killed" | "draining" | "leftover" | "notice" | "ended" | "changed" |
	"collides" | "lent" | "observing" | "enforcing" | "attached" | "detached" | "unwatched" |
	"exited" | "gone" | "bye" | "started" | "paused" | "resumed" | "reset" |
	"force-release-all" | "journal-ok" | "journal-failed" | "clock-jump";

export type AdminAct = "yield" | "revoke" | "cancel" | "pause" | "resume" | "reset" |
	"force-release-all";

/** One GPU; uuid where it is known. */
export interface Gpu {
	/** Its place in the broker's list. */
	index: number;
	name: string;
	uuid?: string;
	/** Absent: it is not measured. */
	maker?: "nvidia" | "amd" | "intel";
	/** How CUDA (with CUDA_DEVICE_ORDER=PCI_BUS_ID) or ROCm numbers it; absent where that is not
	 * known, and of a MIG instance. */
	maker_index?: number;
}

/** Why somebody waits. */
export interface Why {
	code: WhyCode;
	/** A sentence for people. */
	text: string;
	/** The lease in the way. */
	holder?: number;
	/** When it must give way to this claim, once that is known. */
	gives_way_in_s?: number;
	/** For how long that lease's GPUs have computed nothing; from a minute on. */
	holder_idle_s?: number;
}

/** What the broker says about a claim names it; ref where a session asked for it. */
export interface OfClaim {
	ref?: number;
	lease: number;
}

/** What a claim asks for, over HTTP and in a session. */
export interface ClaimFields {
	/** How urgent it is; see states.md */
	class?: Class;
	/** The predecessor's number, if there is no `class`: the nearest of 0, 10, 15, 20 */
	priority?: number;
	/** Longest wait, each time it queues; 0: at once or `timeout`; null: forever */
	timeout_s?: number | null;
	/** VRAM needed on each GPU; 0: not stated */
	vram_mb?: number;
	/** Compute turns on each GPU; 0 needs `vram_mb`: a model that is only kept loaded. `"all"`:
	 * as many as each granted GPU has, so that nobody computes beside it */
	slots?: number | "all";
	/** Which GPUs will do. A WebSocket session that names none gets one where it already holds
	 * something, else `browser_gpu` */
	gpu?: string | number | (string | number)[];
	/** How many at once */
	gpus?: number;
	/** Asking again with the same one, on this or a new connection, means the same claim */
	request_id?: string;
	/** False: 503 `busy` at once instead of waiting */
	wait?: boolean;
	/** May be asked to give way before its class's hold limit; a plain lock request hears of it
	 * only when it renews, and is otherwise revoked unawares */
	preemptible?: boolean;
	/** Loads a model first: its hold limit starts when it says `ready` (with the grant where
	 * `preemptible` is false); it must do so within `load_max_s` (120 s), or is revoked with
	 * `load-max` */
	loads?: boolean;
	/** May be asked to unload when others need VRAM */
	evictable?: boolean;
	/** The grace it needs after a `yield`; at least `grace_s`, at most `grace_max_s`; inside a
	 * host at most the host's */
	uninterruptible_ms?: number;
	/** Not evicted earlier */
	min_residence_ms?: number;
	/** How long loading again takes: the costliest are evicted last */
	load_ms?: number;
	/** Model or job, for people */
	label?: string;
	/** The lease whose holder waits for this claim; a cycle is refused with `deadlock`. It must
	 * be your own (the same principal or session), else `forbidden`; one that has ended is
	 * ignored */
	parent?: number;
	/** Run inside that lease: wait for one of the places that it offers, see hosting. It must be
	 * your own or `guests_open`, else `forbidden`. `host_over` when it has ended, `wrong_state`
	 * when it offers no places and is not the `parent` */
	host?: number;
	/** A lease of this session whose process is frozen: its turn is given back and its memory
	 * kept, and this claim waits for the turn, see parked. It takes slots, GPUs, class, grace
	 * and `preemptible` from the lease, and does not load. `stale` when it is not held,
	 * `wrong_state` when it has guests or another claim waits for its turn */
	resumes?: number;
	/** How many claims may run inside this lease at once */
	guests?: number;
	/** Guests may be of other principals */
	guests_open?: boolean;
}

/** Where a claim runs, and by which grant. */
export interface Grant {
	/** Rises with every grant */
	fence: number;
	/** The first GPU's name */
	gpu?: string;
	/** `index`, `name`, `uuid` of each */
	gpus?: Gpu[];
	/** Granted in observe mode: others may use the GPU at the same time */
	observed?: true;
	/** The rules would have made it wait */
	would_wait?: true;
}

/** How long a waiter waits, and why. */
export interface Forecast {
	/** An estimate from waits and turns of about the last hour: half of such waits are shorter;
	 * null: nothing is known yet */
	eta_s?: number | null;
	/** Nine in ten such waits are shorter */
	eta_p90_s?: number | null;
	/** Both in words; absent while nothing is known */
	estimate?: string;
	/** For people: when its turn comes, who has the GPU and until when; shown by dashboard,
	 * pages and commands */
	sentence?: string;
	/** Guaranteed, whatever others do, as long as the broker runs and nobody pauses or
	 * reconfigures it; then another `queued` says what holds now */
	bound_s?: number | null;
	/** The same as wall clock time */
	guaranteed_by?: string;
	/** Why nothing can be guaranteed, where `bound_s` is null */
	bound_why?: BoundCode;
	/** The same as a sentence */
	bound_text?: string;
	/** `code` and `text` as in status, `holder`: the lease in the way, `gives_way_in_s`: when it
	 * must give way, to this claim or another, if known */
	why?: Why;
}

/** What a page says about itself. */
export interface AboutFields {
	/** Its name */
	page?: string;
	/** Somebody can see it */
	visible?: boolean;
	/** For how long its main thread has not responded; 0: it responds */
	stalled_ms?: number;
	/** Its WebGPU adapter */
	adapter?: string;
	/** Adapter limits that were lowered */
	clamped?: string;
	/** How much it believes it uses */
	vram_mb?: number;
	/** Its origin; the one that the browser sent on connecting takes precedence */
	origin?: string;
}

/** Whether anything is granted now, and if not, why. */
export interface Grants {
	allowed: boolean;
	reason?: GrantsCode;
	text?: string;
	detail?: string;
	remaining_s?: number;
}

export interface WaitsOfClass {
	count: number;
	p50_s: number | null;
	p90_s: number | null;
}

export interface ByClass {
	voice: number;
	chat: number;
	normal: number;
	background: number;
}

export interface Counters {
	granted: ByClass;
	/** Of these, granted in observe mode though the rules would have made them wait */
	would_wait: ByClass;
	ended: Partial<Record<EndReason, number>>;
	yields: number;
	revokes: number;
	acks_missed: number;
	stale: number;
}

export interface StatusGpu {
	index: number;
	name: string;
	uuid?: string;
	slots: number;
	slots_used: number;
	vram_mb_total: number | null;
	vram_mb_granted: number;
	vram_mb_used: number | null;
	vram_mb_unmanaged: number | null;
	vram_mb_draining?: number;
	vram_left_by?: string;
	healthy: boolean;
	measured?: StatusMeasured;
}

/** What a probe read of a GPU. An unknown figure is null, never 0; stale ones are not shown. */
export interface StatusMeasured {
	source: "nvml" | "drm";
	model: string;
	pci?: string;
	nvml_index?: number;
	cuda_index?: number;
	parent?: string;
	unified?: true;
	state: "ok" | "asleep" | "idle" | "lost" | "gone" | "hung" | "failed";
	text?: string;
	detail?: string;
	age_s: number | null;
	vram_mb_free: number | null;
	vram_mb_reserved: number | null;
	utilisation_percent: number | null;
	idle_s?: number;
	temperature_c: number | null;
	power_w: number | null;
	processes_known?: boolean;
	processes_partial?: true;
	/** The pids are of another PID namespace (the broker runs in a container), so their owners
	 * are unknown. */
	pids_foreign?: true;
	processes_left_off?: number;
	processes?: StatusProcess[];
	/** What the cgroups of jobs use, as the kernel counts it (dmem). */
	cgroups?: StatusCgroup[];
}

export interface StatusProcess {
	pid: number | null;
	command: string | null;
	use: "compute" | "graphics" | "mps" | "drm";
	vram_mb: number | null;
	since_s: number;
	session?: number;
	client?: string;
	lease?: number;
	container?: StatusContainer;
	/** What is odd about it. */
	condition?: "vram_swap" | "zombie" | "dead" | "stuck";
	condition_text?: string;
}

export interface StatusCgroup {
	session: number;
	client: string;
	/** Its lease on this GPU; absent: none. */
	lease?: number;
	vram_mb: number;
	/** Null: no limit, or not known. */
	vram_mb_max: number | null;
}

/** The container that a process is in, by its cgroup. */
export interface StatusContainer {
	runtime: "docker" | "podman" | "containerd" | "cri-o" | "lxc" | "nspawn" | "container";
	/** 64 hex digits, or a name. */
	id: string;
	/** Its pid in there. */
	pid?: number;
}

/** What holders and waiters have in common. */
export interface StatusClaim {
	lease: number;
	id: string;
	label?: string;
	class: Class;
	state: ClaimState;
	host?: number;
	binding: Binding;
	/** On whose behalf; empty where it may not be known */
	principal: string;
	attached: boolean;
	watched?: false;
	unwatched?: string;
	session?: number;
	/** Native: the process at the session's connection */
	pid?: number;
	slots: number;
	all_slots?: true;
	vram_mb: number;
	waited_s?: number;
	age_s?: number;
	since?: string;
	detached_left_s?: number;
}

export interface StatusYield {
	reason: YieldReason;
	for_lease?: number;
	for?: string | null;
	left_s: number;
	revoked: boolean;
}

export interface StatusLease extends StatusClaim, Grant {
	held_s?: number;
	expires_in_s?: number;
	vram_mb_measured?: number;
	/** What its holder was told, as long as it is true. */
	notices?: NoticeCode[];
	preemptible: boolean;
	evictable: boolean;
	parked?: true;
	stopped?: true;
	lender?: number;
	guests_max?: number;
	guests?: number;
	revoked?: true;
	stop_in_s?: number;
	load_left_s?: number;
	yield?: StatusYield;
}

export interface StatusWaiter extends StatusClaim, Forecast {
	waited_s: number;
	age_s: number;
	since: string;
	/** An estimate from waits and turns of about the last hour: half of such waits are shorter;
	 * null: nothing is known yet */
	eta_s: number | null;
	/** Nine in ten such waits are shorter */
	eta_p90_s: number | null;
	/** Guaranteed, whatever others do, as long as the broker runs and nobody pauses or
	 * reconfigures it; then another `queued` says what holds now */
	bound_s: number | null;
	position: number;
	gpu_count: number;
	request_id?: string;
	timeout_in_s?: number;
	ripe: boolean;
	/** The `parked` lease whose turn it waits for; the program under that lease is frozen */
	resumes?: number;
	/** Its program has left the GPU with all its memory (release) and comes back with the next
	 * grant */
	moved?: true;
}

/** Who holds, who waits, why and for how long. */
export interface StatusFields {
	version: string;
	time: string;
	uptime_s: number;
	epoch: number;
	fence: number;
	/** `observe`: nothing is enforced, and nobody is protected */
	mode: "enforce" | "observe";
	locked: boolean;
	owner: string | null;
	queue_depth: number;
	held: number;
	sessions: number;
	paused: boolean;
	paused_reason?: string;
	journal_ok: boolean;
	draining: boolean;
	grants: Grants;
	counters: Counters;
	waits: { voice?: WaitsOfClass; chat?: WaitsOfClass; normal?: WaitsOfClass; background?: WaitsOfClass; };
	queued: string[];
	request_start_times: Record<string, number>;
	gpus: StatusGpu[];
	leases: StatusLease[];
	waiting: StatusWaiter[];
}

export type HistoryRow = HistoryClaim | HistoryAct;

export interface HistoryClaim {
	row: number;
	time: string;
	what: "claim";
	lease: number;
	id: string;
	label?: string;
	class: Class;
	binding: Binding;
	principal?: string;
	end: EndReason;
	/** How its work ended, as its client said it. */
	detail?: string;
	asked: string;
	granted?: string;
	waited_s: number;
	held_s?: number;
	fence?: number;
	observed?: true;
	would_wait?: true;
}

export interface HistoryAct {
	row: number;
	time: string;
	what: "act";
	act: AdminAct;
	who: string;
	lease?: number;
	reason?: string;
}

/** A model that can be asked for, or is in memory. */
export interface ModelState {
	model: string;
	alias: string | null;
	server: string;
	/** Its server did not answer last time. */
	down: boolean;
	state: Residence;
	/** 0: not known. */
	vram_mb: number;
	running: number;
	/** Of its memory; 0: none. */
	lease: number;
	/** Where it is in memory, or is loaded. */
	gpu: string | null;
	/** What loading took last. */
	load_s: number | null;
	/** Why the last load failed. */
	failure: string | null;
	retry_in_s: number | null;
}

export type Residence = "not loaded" | "waiting for memory" | "loading" | "ready" |
	"leaving" | "unloading";

/** Pages of a model server, and where they are served. */
export interface ServedPages {
	server: string;
	url: string;
}

/** A request to a model, on its way. */
export interface ModelRequest {
	/** How its program calls itself, else its principal; empty where it may not be known. */
	client: string;
	/** On whose behalf; not where it may not be known. */
	principal?: string;
	path: string;
	/** Empty where it may not be known. */
	model: string;
	class: Class;
	state: string;
	/** 0: it has no turn. */
	lease: number;
	/** What it waits for in the queue, its turn or its model's memory; 0: nothing. */
	claim: number;
	waited_s: number;
	running_s: number | null;
	/** From its turn to the answer's first byte. */
	first_byte_s: number | null;
}

/** A model that was brought into memory, or is. */
export interface ModelSwitch {
	model: string;
	server: string;
	state: SwitchState;
	/** When it was asked for. */
	at: string;
	since_s: number;
	/** Whose request it was for; null where it may not be known. */
	client: string | null;
	class: Class;
	/** Null while it waits. */
	gpu: string | null;
	/** For memory. */
	waited_s: number | null;
	/** Until it was ready, or its load failed or was broken off. */
	load_s: number | null;
	/** Models that had to leave for it. */
	left: ModelLeft[];
}

export type SwitchState = "waiting for memory" | "loading" | "ready" | "failed" |
	"broken off";

export interface ModelLeft {
	/** Empty where it may not be known. */
	model: string;
	server: string;
	/** From when it was asked to leave until its memory was free; null: it leaves. */
	took_s: number | null;
}

export interface Problem {
	code: ErrorCode;
	/** Its words. */
	message: string;
	/** Which field or object. */
	detail?: string;
	/** Absent: do not try again by yourself. */
	retry_after_s?: number;
}

/** What a client says in a session. */
export namespace ToBroker {
	/** What a page says about itself, for people: the broker shows it in `clients` and decides
	 * nothing by it. Every field is optional and keeps its value until it is sent again. No
	 * answer, unless a field is wrong. */
	export interface About extends AboutFields {
		type: "about";
	}

	/** Answer to `offered`, within 2 s. Answer: `granted`. */
	export interface Accept {
		type: "accept";
		lease: number;
	}

	/** Asks for a GPU. Answer: `queued`, then `offered`; with `accept` at once `granted` where
	 * nobody is before it; or `denied`. */
	export interface Acquire extends ClaimFields {
		type: "acquire";
		/** Your own number for the claim */
		ref: number;
		/** Ready to compute now: where a turn is free at once, it is `granted` without an offer.
		 * Who has to wait is offered it later, as ever */
		accept?: boolean;
	}

	/** An operator's action. Needs the admin right. Answer: `ok`. */
	export interface Admin {
		type: "admin";
		/** What to do */
		act: AdminAct;
		/** For `yield`, `revoke` and `cancel`, which need it */
		lease?: number;
		/** Shown to those affected, and kept in the audit */
		reason?: string;
	}

	/** Answer to `heartbeat`. Any other message will do as well. */
	export interface Alive {
		type: "alive";
	}

	/** Ends all claims and leases of the session, and the session. */
	export interface Bye {
		type: "bye";
	}

	/** Answer: `released`. If the claim is held already, `denied` with `wrong_state`, unless it
	 * says `keep`: `release` it. */
	export interface Cancel {
		type: "cancel";
		/** A claim that waits or is offered; with `keep` also one that is held */
		ref: number;
		/** Keep its place for `place_memory_s`, as if the connection had ended: an `acquire`
		 * with its `request_id`, of the same class, has it again, whatever else it asks for. A
		 * page that is loaded anew says so of what its predecessor waited for or held: nobody
		 * is to wait for it until it asks. A lease ends like by `release`; its place is kept
		 * only within `ack_s` of its offer, which counts as an offer that was missed */
		keep?: boolean;
	}

	/** Says what the lease needs from now on, on each GPU. Answer: `changed`, or `denied` with
	 * `no_room` and nothing changed. */
	export interface Change {
		type: "change";
		lease: number;
		/** Compute turns */
		slots: number;
		/** VRAM */
		vram_mb: number;
	}

	/** Asks who is connected. Answer: `clients`. */
	export interface Clients {
		type: "clients";
	}

	/** Asks for past events: the newest `limit` of those after `since`, oldest first. Answer:
	 * `event` messages, then `ok` with their count. */
	export interface Events {
		type: "events";
		/** At most so many events */
		limit?: number;
		/** `id` of the last event that you have */
		since?: number;
	}

	/** Introduces the client, within 2 s of connecting. Answer: `welcome`. */
	export interface Hello {
		type: "hello";
		/** Of this protocol; any other is closed with 4409 */
		version?: 1;
		/** Shown to people; class rules may match it */
		id: string;
		/** The install or admin token, a key, or a page's key of `baton open`; not needed on the
		 * Unix socket */
		token?: string;
		/** The earlier `welcome.session` */
		resume?: string;
	}

	/** Lends a turn to a claim that the holder waits for. Answer: `lent`. */
	export interface Lend {
		type: "lend";
		/** A lease of this session that computes, has no guests, and whose holder waits for .. */
		lease: number;
		/** .. this claim, whose `parent` it is and which may run inside it; any other claim is
		 * `denied` with `wrong_state` */
		to: number;
	}

	/** Asks for past log lines. Answer: `log` messages, then `ok` with their count. */
	export interface Logs {
		type: "logs";
		/** At most so many lines */
		limit?: number;
		/** Number of the first line wanted; 0: the newest */
		since?: number;
	}

	/** Asks for a one-time link to the pages. Needs the admin right. Answer: `link`. */
	export interface Open {
		type: "open";
	}

	/** Names the processes that use the GPU for this session besides the connected one. Answer:
	 * `ok` with their count, or `denied` and nothing changed. */
	export interface Processes {
		type: "processes";
		/** Processes of the same user, by their pids where the broker runs */
		pids?: number[] | null;
		/** One of `pids` that ends the others when the wrapper is killed: it is waited for like
		 * them, but never killed as long as it stays out of `cgroup` */
		keeper?: number;
		/** An absolute path in cgroup2; the broker itself must not be in it */
		cgroup?: string;
	}

	/** For a lease whose `acquire` said `loads`: loading is done and the hold limit starts,
	 * unless it has run since the grant (`preemptible: false`). Repeating it changes nothing.
	 * Answer: `renewed`. */
	export interface Ready {
		type: "ready";
		lease: number;
	}

	/** Gives the GPU back, or ends a wait. Answer: `released`. */
	export interface Release {
		type: "release";
		/** Which claim */
		lease: number;
		/** Go back to the queue with the old place, and wait as long as the `timeout_s` of the
		 * `acquire` said. Answer: `released` without `reason`, then `queued` for the same `ref`
		 * and `lease` */
		requeue?: boolean;
		/** With `requeue`: the program has left the GPU with all its memory, and does nothing
		 * until the next grant. Only `status` shows it */
		moved?: boolean;
		/** How the work ended, where that is worth knowing (`exit status 1`): in the event
		 * `ended` and in history, for those who are told whose the claim is. Not with `requeue` */
		detail?: string;
	}

	/** Reloads the configuration. Needs the admin right. Answer: `reloaded`, or `denied` with
	 * `bad_config`. */
	export interface Reload {
		type: "reload";
	}

	/** Says that the holder is working. Answer: `renewed`. */
	export interface Renew {
		type: "renew";
		lease: number;
		/** How far the work is; ignored by the broker */
		progress?: number;
	}

	/** Asks how much VRAM was granted and used in the last hour. Answer: `samples`. */
	export interface Samples {
		type: "samples";
	}

	/** Asks for the state of the broker. Answer: `status`. */
	export interface Status {
		type: "status";
		/** At most so many waiters */
		limit?: number;
	}

	/** Asks to be sent what happens from now on. Answer: `ok`. */
	export interface Subscribe {
		type: "subscribe";
		/** `event` for each change */
		events?: boolean;
		/** `log` for each log line */
		logs?: boolean;
	}

	/** Says how long the holder still needs. Answer: `renewed`, with the rest of the grace. */
	export interface Yielding {
		type: "yielding";
		/** The lease that must give way */
		lease: number;
		/** Time still needed. It does not extend the grace that `uninterruptible_ms` of the
		 * `acquire` declared: others were promised how long they wait at most */
		need_ms: number;
	}

	export type Message = About | Accept | Acquire | Admin | Alive | Bye | Cancel | Change |
		Clients | Events | Hello | Lend | Logs | Open | Processes | Ready | Release | Reload |
		Renew | Samples | Status | Subscribe | Yielding;
}

/** What the broker says in a session. */
export namespace FromBroker {
	/** The lease now needs what `change` said. */
	export interface Changed extends OfClaim {
		type: "changed";
	}

	/** After a resume, one for each live claim. */
	export interface Claim extends OfClaim {
		type: "claim";
		/** Its state now */
		state: LiveState;
		/** Of an offered or granted claim */
		fence?: number;
		/** The first GPU's name, as in `granted` */
		gpu?: string;
		/** As in `granted` */
		gpus?: Gpu[];
		/** As in `granted` */
		observed?: true;
		/** As in `granted` */
		would_wait?: true;
		/** Of a granted claim, as in `granted` */
		token?: string;
	}

	export interface Client extends AboutFields {
		/** As in events and leases */
		session: number;
		/** Of its `hello` */
		id: string;
		/** `tab`: over WebSocket; `native`: over the Unix socket */
		binding: Binding;
		/** On whose behalf it asks */
		principal?: string;
		/** Since its `hello` */
		since_s: number;
		/** Since its last message */
		seen_s: number;
		/** It showed an Origin */
		browser: boolean;
		/** A lease of it was revoked, and it has not said `release` since: it may still use the
		 * GPU */
		overdue?: true;
		/** Of a peer on a Unix socket */
		uid?: number;
		/** Of a peer on a Unix socket */
		pid?: number;
	}

	/** Who is connected. */
	export interface Clients {
		type: "clients";
		/** A row for each connected session, at most 1000, longest first */
		clients: Client[];
		/** How many rows are missing, if any */
		left_off?: number;
	}

	/** On the Unix socket only: the connection ends, with a close code as of a WebSocket. */
	export interface Close {
		type: "close";
		/** Why */
		code: number;
		/** The same in words */
		reason: string;
	}

	/** The request is refused; the session goes on. */
	export interface Denied {
		type: "denied";
		ref?: number;
		lease?: number;
		/** Of the error table */
		code: ErrorCode;
		/** Its text */
		message: string;
		/** Which field or object */
		detail?: string;
		/** Absent: do not retry automatically */
		retry_after_s?: number;
	}

	/** Something changed. */
	export interface Event {
		type: "event";
		/** Rises with each event, across restarts */
		id: number;
		/** UTC */
		time: string;
		/** Of a claim: `queued`, `offered`, `loading` (granted, its model is still being
		 * loaded), `held`, `yield`, `kept` (the yield was withdrawn), `changed`, `lent`,
		 * `collides` (granted in observe mode beside others, where it would have had to wait),
		 * `revoked` (it is being stopped), `killed`, `draining` (ended, its memory is not free
		 * yet), `leftover` (nor did it become free in time), `notice` (the detail is what its
		 * holder was told), `ended`; of a session: `attached`, `detached` (its connection
		 * broke), `bye`, `gone` (all its processes), `exited` (its own process; those that it
		 * named live), `unwatched`; of the broker: `started`, `paused`, `resumed`, `reset`,
		 * `force-release-all`, `journal-failed`, `journal-ok`, `clock-jump`, `observing` and
		 * `enforcing` (the mode was switched) */
		what: EventWhat;
		/** Whose */
		lease?: number;
		/** Whose */
		session?: number;
		/** Its name */
		client?: string;
		/** On whose behalf; of `queued`, of a session's, and beside the `detail` of an end */
		principal?: string;
		/** Of the claim */
		class?: Class;
		/** The claim's state before */
		from?: ClaimState;
		/** The state after */
		to?: ClaimState;
		/** Why it ended */
		end?: EndReason;
		/** Why it was asked to yield */
		reason?: YieldReason;
		/** Of its grant */
		fence?: number;
		/** The first GPU that it holds */
		gpu?: string;
		/** All of them */
		gpus?: Gpu[];
		/** The lease that it yields to */
		other?: number;
		/** Since its arrival */
		age_s?: number;
		/** How long it has waited, or had waited when it was last granted; earlier turns do not
		 * count */
		waited_s?: number;
		/** Since that grant */
		held_s?: number;
		/** An operator's words; why a process is unwatched; of `ended` and `draining`, how the
		 * work ended, as its client said it */
		detail?: string;
	}

	/** The GPU may be used now. */
	export interface Granted extends OfClaim, Grant {
		type: "granted";
		/** Names the lease */
		token?: string;
		/** Without a sign of life; absent on a lock stream */
		expires_in_s?: number;
	}

	/** Answer `alive`. */
	export interface Heartbeat {
		type: "heartbeat";
	}

	/** Nobody needs the GPU any more: the `yield` is withdrawn, and the lease stays as it was. A
	 * `release` that crosses it still counts. */
	export interface Keep extends OfClaim {
		type: "keep";
	}

	/** The turn is lent. */
	export interface Lent extends OfClaim {
		type: "lent";
		/** The claim that may now run inside `lease` */
		to: number;
	}

	/** A link to the pages. */
	export interface Link {
		type: "link";
		/** Good once, within a minute */
		url: string;
	}

	/** A line of the log. */
	export interface Log {
		type: "log";
		/** Its values escaped */
		line: string;
	}

	/** Something that the holder should know, sent when it becomes true, to sessions only. The
	 * broker does nothing about it and expects no answer. */
	export interface Notice extends OfClaim {
		type: "notice";
		/** `idle`: its GPUs have computed nothing for a minute; `over`: it uses more memory than
		 * it declared; `gpu_lost`: the driver lost one of its GPUs; `gpu_back`: that one works
		 * again; `other_gpu`: it uses memory of a GPU that it has no lease on */
		code: NoticeCode;
		/** One sentence */
		text: string;
	}

	/** It is this claim's turn: say `accept` within 2 s, or the offer goes to the next one. */
	export interface Offered extends OfClaim, Grant {
		type: "offered";
	}

	/** Done. */
	export interface Ok {
		type: "ok";
		/** Claims affected, lines sent, or processes named */
		count: number;
	}

	/** The claim waits. Sent when it enters the queue, and within a second of a change of
	 * position or a resume, about once a second at most. If it is offered a GPU at once it has
	 * no position: the `queued` before that `offered` has none of the fields below. */
	export interface Queued extends OfClaim, Forecast {
		type: "queued";
		/** Claims before it in the queue; 0: it is first there. `sentence` counts, too, who is
		 * due and so passes */
		position?: number;
		/** Names of the first 8 of them at most */
		ahead?: string[];
	}

	/** The claim has ended: in answer to `release` or `cancel`, or because somebody ended it. */
	export interface Released extends OfClaim {
		type: "released";
		/** Why it ended; absent when the claim goes back to the queue (`requeue`) */
		reason?: EndReason;
		/** An operator's words */
		detail?: string;
	}

	/** A file of the pages has changed. Only under `baton serve --dev`. */
	export interface Reload {
		type: "reload";
		/** Its address */
		path: string;
	}

	/** The configuration was reloaded. */
	export interface Reloaded {
		type: "reloaded";
		/** Keys that have taken effect */
		changed: string[];
	}

	/** The lease goes on. */
	export interface Renewed extends OfClaim {
		type: "renewed";
		/** From now; while the holder is asked to give way, the rest of the grace */
		expires_in_s: number;
		/** The holder is asked to give way */
		yield?: true;
		/** If so, as in `yield` */
		reason?: YieldReason;
	}

	/** The token is no longer valid: stop using the GPU, then `release`. */
	export interface Revoked extends OfClaim {
		type: "revoked";
		/** As in `yield` */
		reason: YieldReason;
		/** Until a native client's process gets SIGKILL, unless it has exited or said `release`;
		 * absent: nobody is killed */
		grace_ms?: number;
		/** An operator's words */
		detail?: string;
	}

	export interface Series {
		/** The GPU's */
		name: string;
		/** What it has */
		vram_mb_total: number | null;
		/** What was granted */
		granted_mb: (number | null)[];
		/** What was in use */
		used_mb: (number | null)[];
	}

	/** How much VRAM was granted and used. */
	export interface Samples {
		type: "samples";
		/** Between two samples */
		step_s: number;
		/** Since the newest */
		newest_ago_s: number;
		/** Of each GPU at most 720 numbers, oldest first. null: unknown, because it was not
		 * measured, the machine slept, or the GPU was absent */
		gpus: Series[];
	}

	/** The object of `GET /v1/gpu/status`, with `type` instead of its `status`. */
	export interface Status extends StatusFields {
		type: "status";
	}

	/** The wait is over; the claim is never granted after this. */
	export interface Timeout extends OfClaim {
		type: "timeout";
		/** For people */
		message: string;
	}

	/** The session is open. */
	export interface Welcome {
		type: "welcome";
		/** Of this protocol */
		version: 1;
		/** Opaque, for `resume`; keep it secret */
		session: string;
		/** The earlier session goes on */
		resumed: boolean;
		/** Rises with each start of the broker */
		epoch: number;
		/** Between heartbeats */
		ping_s: number;
		/** Silence after which leases are taken */
		session_ttl_s: number;
		/** How long after a broken connection nobody else is given what it holds */
		linger_s: number;
		/** Name and version */
		server: string;
		/** What the session may do. With `resume` and no token: `token`, or `queue` from a
		 * site's origin. A page that showed no key of `baton open` can resume so only from its
		 * own origin, a session of a key not at all (4401) */
		rights: Rights;
		/** Under `baton serve --dev` only: `reload` messages are sent */
		dev?: true;
	}

	/** Give way: finish the current step and say `release`. A second one for the same lease says
	 * that another claim needs it now, or is a reminder after a resume; the grace is not
	 * extended. */
	export interface Yield extends OfClaim {
		type: "yield";
		/** Why */
		reason: YieldReason;
		/** The claim that needs it */
		for_lease?: number;
		/** Its name */
		for?: string | null;
		/** Until the lease is taken */
		grace_ms: number;
		/** An operator's words */
		detail?: string;
	}

	export type Message = Changed | Claim | Clients | Close | Denied | Event | Granted |
		Heartbeat | Keep | Lent | Link | Log | Notice | Offered | Ok | Queued | Released | Reload
		| Reloaded | Renewed | Revoked | Samples | Status | Timeout | Welcome | Yield;
}

/** What a worker says, which answers requests. */
export namespace ToGateway {
	/** The worker is done with the request: the answer is complete, has failed, or was
	 * cancelled. Its place is free. */
	export interface End {
		type: "end";
		/** Which */
		request: number;
		/** One of the errors, if it failed. `outranked` and `draining` before its `head`:
		 * another worker may do it */
		code?: ErrorCode;
		/** For the client: what failed */
		message?: string;
	}

	/** The answer begins. */
	export interface Head {
		type: "head";
		/** Which */
		request: number;
		/** The HTTP status */
		status?: number;
		/** `text/event-stream` where a stream was asked for */
		content_type?: "application/json" | "text/event-stream" | "text/plain";
	}

	/** Says who the worker is and what it serves, within 2 s of connecting. Answer: `welcome`. */
	export interface Hello extends Offer {
		/** Each `{id, paths, loaded, vram_mb}` */
		models: WorkerModel[];
		type: "hello";
		/** Of this protocol; any other is closed with 4409 */
		version?: 1;
		/** Shown to people, and as `x-baton-served-by` */
		id: string;
		/** As of a session */
		token?: string;
	}

	/** What the worker serves from now on, replacing what it said before. Running requests go
	 * on. No answer. */
	export interface Models extends Offer {
		/** Each `{id, paths, loaded, vram_mb}` */
		models: WorkerModel[];
		type: "models";
	}

	/** Part of the answer's body, after its `head`, as the client will get it. At most
	 * `welcome.window_bytes` beyond what `more` has granted. */
	export interface Piece {
		type: "piece";
		/** Which */
		request: number;
		/** Its bytes; characters are never split */
		text: string;
	}

	/** Answers `ping`. Any other message will do as well. */
	export interface Pong {
		type: "pong";
	}

	/** The worker has read so many more bytes of its requests' bodies. At most 512 KiB are sent
	 * ahead of it. */
	export interface Took {
		type: "took";
		/** Of all requests, since the last `took` */
		bytes: number;
	}

	export type Message = End | Head | Hello | Models | Piece | Pong | Took;
}

/** What a worker hears. */
export namespace FromGateway {
	/** The request's body is complete. */
	export interface BodyEnd {
		type: "body_end";
		/** Which */
		request: number;
	}

	/** Nobody waits for the answer any more. Stop, and say `end`: until then the place counts as
	 * taken; after 90 s the worker is closed. */
	export interface Cancel {
		type: "cancel";
		/** Which */
		request: number;
	}

	/** The client has read: so many more bytes of the answer may be sent. */
	export interface More {
		type: "more";
		/** Which */
		request: number;
		/** Of `piece.text`, as UTF-8 */
		bytes: number;
	}

	/** Asks for a sign of life. */
	export interface Ping {
		type: "ping";
	}

	/** Asks for an answer. The body follows in binary frames: 8 bytes with the request's number
	 * (big-endian), then bytes of the body. `body_end` ends it. */
	export interface Request {
		type: "request";
		/** Its number, never used again */
		request: number;
		/** The route that the client called */
		path: string;
		/** By the worker's name for it */
		model: string;
		/** For the claim that the worker makes */
		class: Class;
		/** Whose request it is, for people */
		client: string;
		/** The client wants a stream of events */
		stream: boolean;
		/** Of the body */
		content_type: string;
	}

	/** The worker is accepted and may get requests from now on. */
	export interface Welcome {
		type: "welcome";
		/** Of this protocol */
		version: 1;
		/** Its number, for people */
		worker: number;
		/** That may be sent of an answer before `more` */
		window_bytes: number;
		/** Between pings; a worker silent for four times as long counts as gone */
		ping_s: number;
	}

	export type Message = BodyEnd | Cancel | More | Ping | Request | Welcome;
}

/** Bodies and answers of the HTTP routes. */
export namespace Http {
	/** The GPU is yours. */
	export interface Acquired {
		status: "acquired";
		/** Names the lease in `unlock` and `renew`: keep it secret */
		token: string;
		lease: number;
		/** Rises with every grant, forever: a store of results can refuse a lower one */
		fence: number;
		/** The first GPU's name */
		gpu: string;
		gpus: Gpu[];
		/** Granted in observe mode: others may use the GPU at the same time */
		observed?: true;
		/** The rules would have made it wait */
		would_wait?: true;
		/** Unless renewed */
		expires_in_s: number;
	}

	/** A sign of life for a session whose WebSocket cannot carry one: in Firefox the WebSocket
	 * of a page's worker waits for the page's thread; a request does not. */
	export interface Alive {
		/** `session` of its `welcome` */
		session: string;
	}

	/** Done. */
	export interface Count {
		status: "ok";
		/** How many claims were affected */
		count: number;
	}

	/** Done. */
	export interface Done {
		status: "ok";
	}

	/** Nothing is needed; a body is ignored. */
	export type Empty = unknown;

	/** What went wrong. */
	export interface Error {
		status: "error" | "timeout" | "released";
		/** The words of the code. */
		msg: string;
		error: Problem;
	}

	/** Is it up. */
	export interface Health {
		status: "ok" | "draining";
		version: string;
		journal: boolean;
		paused: boolean;
		mode: "enforce" | "observe";
		grants: Grants;
		epoch: number;
	}

	/** What has ended, newest first. */
	export interface History {
		status: "ok";
		history: HistoryRow[];
		/** Present while there may be more: ask again with `before=next` */
		next?: number;
	}

	/** Done. */
	export interface Key {
		status: "ok";
		/** Of the key */
		name: string;
	}

	/** The key, which is shown here and never again. */
	export interface KeyMade {
		status: "ok";
		name: string;
		key: string;
	}

	/** A key for a program. */
	export interface KeyNew {
		/** Letters, digits, and ._@- */
		name: string;
		/** That it may use; absent: as `principals` say */
		classes?: Class[];
		/** How many of its claims may wait; absent: as `principals` say */
		queue?: number;
		/** How many leases it may hold; absent: as `principals` say */
		held?: number;
		/** How many requests to models it may have at once; absent: any number */
		requests?: number;
		/** Comma-separated globs of the models that it may use and see; absent: all */
		models?: string;
	}

	/** A key that shall no longer be valid. */
	export interface KeyRevoke {
		/** Letters, digits, and ._@- */
		name: string;
	}

	/** Keys that were created here; not those of the configuration. */
	export interface Keys {
		status: "ok";
		keys: { name: string; classes?: Class[]; queue?: number; held?: number; requests?: number; models?: string; made: string; used?: string; revoked?: true; }[];
	}

	/** A claim by HTTP. */
	export interface Lock extends ClaimFields {
		/** The client's name */
		id: string;
		/** How long the lease lasts unless renewed; 0 is the default */
		ttl_s?: number;
	}

	/** Log lines. */
	export interface Logs {
		logs: ({ id: number; time: string; level: "debug" | "info" | "warn" | "error"; text: string; })[];
		/** Ask again with `since=next` */
		next: number;
	}

	/** The state of each model, requests in progress, and what switches cost. */
	export interface Models {
		models: ModelState[];
		pages: ServedPages[];
		/** The oldest first. */
		requests: ModelRequest[];
		/** The newest first. */
		switches: ModelSwitch[];
	}

	/** A page of another origin asks to queue, or checks on its ask. */
	export interface Pair {
		/** From the first answer; without it a new ask begins */
		ask?: string;
	}

	/** The state of an ask. */
	export interface Paired {
		status: "asked" | "waiting" | "allowed";
		/** As the browser sent it */
		origin: string;
		/** With `asked`: send it the next time */
		ask?: string;
		/** With `allowed`, once: for `hello` */
		token?: string;
		scope?: "queue";
		/** Until the ask ends */
		expires_in_s: number;
	}

	/** Why an operator does this. */
	export interface Reason {
		/** Shown to those affected, and kept in the audit */
		reason?: string;
	}

	/** The lease is given back. */
	export interface Released {
		status: "released";
	}

	/** The configuration was reloaded. */
	export interface Reloaded {
		status: "ok";
		changed: string[];
		needs_restart: string[];
	}

	/** Extends a lease. */
	export interface Renew {
		/** What `lock` answered */
		token: string;
		/** From now */
		ttl_s?: number;
		/** In answer to `yield`, instead of a TTL: time still needed, as in `yielding` */
		need_ms?: number;
		/** Loading is done, as in `ready` */
		ready?: boolean;
	}

	/** The lease is extended. */
	export interface Renewed {
		status: "renewed";
		/** From now; while the holder is asked to give way, the rest of the grace */
		expires_in_s: number;
		/** The holder is asked to give way */
		yield?: true;
		/** If so, why */
		reason?: YieldReason;
	}

	/** Done. */
	export interface Site {
		status: "ok";
		/** The site's */
		origin: string;
	}

	/** Sites that may queue, and those that have asked. */
	export interface Sites {
		status: "ok";
		sites: { site: number; origin: string; scope: "queue"; allowed: string; used?: string; sessions: number; revoked?: true; }[];
		asking: { ask: number; origin: string; since_s: number; }[];
	}

	export interface Status extends StatusFields {
		status: "ok";
	}

	/** Gives a lease back. */
	export interface Unlock {
		/** What `lock` answered */
		token?: string;
		/** Keep its place, as `cancel` does with `keep`: the `lock` had a `request_id` */
		keep?: boolean;
		/** Optional beside the token; alone only under `--compat bridge` */
		id?: string;
	}

}

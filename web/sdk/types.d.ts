// types: the shapes that the SDK's files and its users name. No page loads this.
/// <reference types="@webgpu/types" />
/// <reference lib="esnext.disposable" />
import type { Claim } from "./claim.js";
import type { BrokerError } from "./errors.js";
import type { Lease } from "./lease.js";
import type { Model } from "./model.js";
import type { FromBroker, Http, NoticeCode, Rights, StatusFields, ToBroker } from "./protocol.js";

export type ErrorCode =
	| "UNREACHABLE"
	| "DENIED"
	| "UNAUTHORIZED"
	| "PROTOCOL"
	| "QUEUE_FULL"
	| "WAIT_TIMEOUT"
	| "REVOKED"
	| "EXPIRED"
	| "LOST"
	| "RELEASED"
	| "CLOSED"
	| "NO_WEBGPU"
	| "NO_ADAPTER"
	| "LIMITS"
	| "DEVICE_LOST"
	| "NEVER_FITS"
	| "FETCH_FAILED"
	| "DAMAGED"
	| "STORAGE";

/** "idle": has not connected yet, see BrokerOptions.connect. */
export type State = "idle" | "connecting" | "open" | "reconnecting" | "offline" | "closed";

export interface PairOptions {
	/** Where the broker is; default: where the SDK came from, else http://127.0.0.1:8470. */
	url?: string;
	/** Stops asking. */
	signal?: AbortSignal;
	/** The operator was asked, about this origin. */
	onAsked?(asked: { origin: string }): void;
}

export interface BrokerOptions {
	/** "lazy" (default on sites of another origin): connects with the first request or ready(), so that the browser asks for permission then. */
	connect?: "now" | "lazy";
	/** Where the broker is; default: where the SDK came from, else http://127.0.0.1:8470. */
	url?: string;
	/** The install token; not needed on the broker's own pages. */
	token?: string | (() => string | Promise<string>);
	/** Shown to people, and what class rules look at; default: the document's title. */
	name?: string;
	/** What to do when nothing listens; default "error". */
	fallback?: "error" | "origin-lock" | "unmanaged";
	/** Longest time for one try to connect; default 4000. */
	connectTimeoutMs?: number;
	/** Between tries, with full jitter; default 250 to 10 000. */
	backoff?: { minMs?: number; maxMs?: number };
	/** "worker" (default): the session runs in a Worker, if one starts (Broker.heartbeat tells);
	 * "reply": on the calling thread, and a turn is lost where that stands still. */
	heartbeat?: "worker" | "reply";
}

export interface RequestOptions {
	/** How urgent; default: what the broker's rules say for the name. */
	class?: "voice" | "chat" | "normal" | "background";
	/** The predecessor's number, if there is no class: the nearest of 0, 10, 15, 20. */
	priority?: number;
	/** VRAM needed on the GPU, in bytes. */
	vramBytes?: number;
	/** Compute turns; default 1. "all": as many as the GPU has. 0 is a model that is only kept loaded: see Broker.reside(). */
	slots?: number | "all";
	/** Name, uuid or index of a GPU. Default: where this session has something already, else the broker's browser_gpu. */
	gpu?: string | number;
	/** A label for people. */
	model?: string;
	/** Longest time in the queue, in ms; default Infinity. */
	waitMs?: number;
	/** Time needed to give way, in ms; the broker grants at most 20 000. */
	graceMs?: number;
	/** Null at once instead of waiting. */
	ifAvailable?: boolean;
	/** Leaves the queue; has no effect once granted. */
	signal?: AbortSignal;
	/** A name within this tab: asked with it again after a reload, the place is kept. */
	key?: string;
	/** False: is not asked to give way before its class's hold limit. */
	preemptible?: boolean;
	/** May be asked to unload when VRAM is needed; reside() sets it. */
	evictable?: boolean;
	/** Brings a model in first: its hold limit begins at lease.ready(); at the grant if not preemptible. */
	loads?: boolean;
	/** What loading again costs, in ms: dear ones are evicted last. */
	loadMs?: number;
	/** Is not evicted before, in ms. */
	minResidenceMs?: number;
	/** Id of a lease to run inside of, as one of its guests: it ends with that one. */
	host?: string;
	/** How many claims may run inside this lease at once. */
	guests?: number;
	/** Those of other origins and users, too. */
	guestsOpen?: boolean;
	onQueue?(q: QueueInfo): void;
}

export interface QueueInfo {
	key: string | null;
	lease: string | null;
	/** Claims that come before it: 0 is next. */
	position: number;
	/** Names of the first of them. */
	ahead: string[];
	/** An estimate from waits that were, in seconds. */
	etaS: number | null;
	/** Nine of ten such waits are shorter, in seconds. */
	etaP90S: number | null;
	/** Both in words: "about 30 s; 9 of 10 such waits under 75 s"; "": nothing is known yet. */
	estimate: string;
	/** For people: "Next, in about 30 s: train.py holds gpu0 and must give way in 48 s, now that
	 * others wait." Empty from a broker that does not say it. */
	sentence: string;
	/** Guaranteed, in seconds, as long as the broker runs and nobody pauses it. */
	boundS: number | null;
	/** The same as a time. */
	guaranteedBy: string | null;
	/** `code` is "self" where this page waits for itself; `holder` is the lease in the way. */
	why: { code: string; text: string; holder?: number } | null;
}

/** What `event.detail` is, by the event's type. */
export interface BrokerEvents {
	state: { state: State; error?: BrokerError };
	queue: QueueInfo;
	/** Give way, please. `for`: who needs it. */
	yield: { lease: Lease; reason: string; graceMs: number; for: string | null };
	/** Nobody needs it any more. */
	kept: { lease: Lease };
	/** Something to know of a lease: "idle", "over", "gpu_lost", "gpu_back" or "other_gpu", and a sentence. */
	notice: { lease: Lease; code: NoticeCode; text: string };
	ended: { lease: Lease; error: BrokerError };
	/** A file of the broker's pages changed, under `baton serve --dev`. */
	reload: { path: string };
}

/** A model that is kept loaded between turns. */
export type Residence = Pick<Lease, "id" | "vramBytes" | "signal" | "release"> & AsyncDisposable;

/** Who holds, who waits, why and for how long. */
export type Status = StatusFields;

export interface DeviceOptions {
	/** Wanted limits; the two buffer sizes default to all that the adapter has. */
	limits?: Record<string, number>;
	/** Taken where the adapter has them. */
	features?: GPUFeatureName[];
	/** Default "high-performance". */
	powerPreference?: GPUPowerPreference;
	/** Rejects with LIMITS instead of clamping. */
	strict?: boolean;
}

export interface Detected {
	adapter: GPUAdapter;
	info: GPUAdapterInfo;
	/** For adapter.requestDevice(). */
	descriptor: GPUDeviceDescriptor;
	/** Names of the limits that had to be asked lower. */
	clamped: string[];
	/** Drawn by the CPU: works, slowly. */
	software: boolean;
}

/** What a page says of itself, for people. */
export interface About {
	page?: string;
	visible?: boolean;
	adapter?: string;
	clamped?: string[];
	vramBytes?: number;
	origin?: string;
	model?: string;
}

export type Task<T> = (lease: Lease) => Promise<T> | T;

// The channel between a page and its Session, which mostly runs in a Worker: Broker and Claim send
// commands, session_port.js carries them, Session.do() calls the method that each is named after;
// what it posts, Broker hears. What goes on to the socket, and comes from there, is in
// protocol.d.ts.

/** What a page tells its Session: the Session's methods, and what they are given. */
export interface Commands {
	start: [how: Start];
	acquire: [ref: number, message: AcquireFields, until: number | null];
	/** `requeue`: to come back, until then. */
	release: [ref: number, requeue?: boolean, until?: number | null];
	/** Something of the broker. `ref`: of that claim's lease, if it has one. */
	ask: [message: OfLease | ToBroker.Message, ref?: number];
	about: [fields: AboutFields];
	/** `keep`: refs of claims whose places are kept. */
	leave: [keep: number[]];
	/** Out of the browser's cache. `anew`: its session is another page's by now. */
	back: [anew: boolean];
	stop: [code?: number];
	/** Say `sure` once it is known whether what is held is still ours. */
	sure: [];
	/** The answer to `ping`. */
	pong: [];
	/** Try now. */
	kick: [];
	/** Tell if the worker is ended, or need not. For session_port.js. */
	watch: [busy: boolean];
}

/** A command on its way. */
export type Command = {
	[Name in keyof Commands]: [op: Name, ...how: Commands[Name]];
}[keyof Commands];

/** What a Session has for them. */
export type Doers = { [Name in keyof Commands]: (...how: Commands[Name]) => void };

/** From session_port.js, beside what the page says. */
export type Hold = [op: "hold", lock: string | null];

/** `{}`: it has started. */
export type FromWorker = SessionEvent | { locked: string } | {};

export interface Start {
	url: string;
	hello: Pick<ToBroker.Hello, "id" | "token">;
	resume?: string;
	backoff: { minMs: number; maxMs: number };
	timeoutMs: number;
}

export type AcquireFields = Omit<ToBroker.Acquire, "type" | "ref" | "accept">;

/** What a Session says. */
export type Said = (ToBroker.Message | OfLease) & { lease?: number };

/** Messages to which the Session adds the lease. */
export type OfLease =
	| Omit<ToBroker.Yielding, "lease">
	| Omit<ToBroker.Renew, "lease">
	| Omit<ToBroker.Ready, "lease">;

export type AboutFields = Omit<ToBroker.About, "type">;

/** From the Session. `limit`: when somebody else may hold what is held here; `at`: when it said so,
 * which may be long ago for a thread that stood still. */
export type SessionEvent = { limit: number; at: number } & Happening;

export type Happening =
	| Opened
	| Down
	| { event: "stop"; code?: number }
	/** Of what the broker said, or the Session itself found out. */
	| { event: "message"; message: Heard }
	/** The answer to `sure`; the broker was heard: does the page's thread stand still? */
	| { event: "sure" }
	| { event: "ping" };

/** What a Session's page gives for it. */
export interface PortUser {
	on: Post;
	/** Run it on this thread. */
	here: boolean;
	/** It does run there. */
	onHere(): void;
	/** Its worker was ended, and not by itself. */
	onGone(): void;
}

export interface Opened {
	event: "open";
	session: string;
	rights?: Rights;
	dev?: true;
}

export interface Down {
	event: "close";
	/** Of the closed WebSocket. */
	code?: number;
	/** Nothing came in time. */
	late?: boolean;
	/** The page's own policy forbids the connection. */
	blocked?: boolean;
	/** So did the connection before, and something answered after it. */
	again?: boolean;
	/** The broker was not heard for a TTL. */
	silent: boolean;
}

export type Heard = FromBroker.Status | FromBroker.Reload | ClaimHeard;

/** What a claim hears: the broker's words, by the page's number for it. */
export type ClaimHeard = { ref: number } & (Told | Ended);

/** What the broker says of a claim that goes on. */
export type Told =
	| FromBroker.Queued
	| FromBroker.Granted
	| FromBroker.Yield
	| KeepMessage
	| FromBroker.Notice
	| FromBroker.Revoked;

/** With what a claim ends. */
export type Ended = FromBroker.Released | FromBroker.Timeout | FromBroker.Denied | Over;

/** Also one that a resume found held, and not asked to give way. */
export type KeepMessage = FromBroker.Keep & { state?: string };

/** The Session's own word: it is not ours any more, or was never the broker's. */
export interface Over {
	type: "lost" | "released";
}

/** A claim that the broker names by itself, after a resume for one. */
export type Listed = Omit<FromBroker.Claim, "type" | "state"> & {
	state: FromBroker.Claim["state"] | "granted";
};

/** How a claim ended, as far as its error's words look. */
export interface Ending {
	type: string;
	reason?: string;
	detail?: string;
	/** Of `denied`. */
	code?: string;
	message?: string;
	retry_after_s?: number;
}

export type Send = (...command: Command) => void;
export type Post = (event: SessionEvent) => void;

/** What a promise's executor gets. */
export type Waiter<T> = [resolve: (value: T) => void, reject: (error: unknown) => void];

/** A rule of Trusted Types, for browsers that have them. */
export interface ScriptPolicy {
	createScriptURL(url: string): string;
}

export interface Reside extends RequestOptions {
	model: string;
	vramBytes: number;
	/** Unloads the model: somebody needs the room, or the lease was taken. */
	evict(): unknown;
}

/** What can be ended with a lease. */
export type Guarded = { destroy(): unknown } | { terminate(): unknown };

/** What a claim needs of its Broker. */
export interface BrokerContext {
	/** To the Session. */
	send: Send;
	emit<K extends keyof BrokerEvents>(type: K, detail: BrokerEvents[K]): void;
	about(fields: About): void;
	forget(claim: Claim): void;
	open(): boolean;
	/** Whether this thread stood still for so long that nothing is held any more. */
	judge(): void;
	/** What the Session knows of the leases was heard, but for what it says just now: unless `all`. */
	sure(all: boolean): Promise<void>;
}

/** A claim as the Session knows it; "dropped": given up here, not yet at the broker. */
export interface SessionClaim {
	ref: number;
	message: AcquireFields;
	until: number | null;
	lease: number;
	/** The newest that it held. */
	fence: number;
	/** When this thread last said that it is ready for its turn; 0: it was silent for a TTL since. */
	spokeAt: number;
	/** Asked in this connection, or named by the broker after a resume. */
	seen?: boolean;
	state: "asked" | "held" | "lost" | "dropped";
	/** Given back to come back; the broker has not said `queued` yet. */
	requeue?: boolean;
}

/** Places that outlive a reload. */
export interface SavedPlaces {
	session?: string;
	/** The page said so when it was left; without it, it may have died, or be another tab. */
	left: boolean;
	owner: string;
	/** By key, the request's id: whoever asks with that again has its place. */
	places: Map<string, string>;
}

/** A file of a model; one that is known by its address alone is checked for being what its name
 * says (JSON, WebAssembly, no web page), and the server's word is taken for its length. */
export interface ModelFile {
	url: string;
	/** Its length. */
	bytes?: number;
	/** In hexadecimal. Checking it takes as much memory as the file, once. */
	sha256?: string;
	/** The Cache Storage that the engine's library looks into; default "baton-models". */
	cache?: string;
	/** No error if the server has no such file. */
	optional?: boolean;
}

export interface ModelProgress {
	text: string;
	/** Bytes, of the files whose sizes are known so far. */
	loaded: number;
	total: number;
	fraction: number;
	file?: string;
}

export type ModelState = "empty" | "fetching" | "waiting" | "loading" | "ready" | "busy";

/** Request options that all of a model's requests have; those of `run` go before them. */
export interface ModelOptions<E> extends RequestOptions {
	/** A label for people, and what the broker knows the model by. */
	name: string;
	vramBytes: number;
	/** What `load` needs, in this browser's storage before any turn is asked for: a list, or a
	 * function that makes one; `get` brings a small file that it must look into. */
	fetch?:
		| (string | ModelFile)[]
		| ((o: {
				signal?: AbortSignal;
				get(file: string | ModelFile): Promise<Response>;
		  }) => MaybePromise<(string | ModelFile)[] | void>);
	/** Makes the engine, in a turn that nobody shares. What cannot be stopped by `signal` belongs
	 * under `lease.guard`. */
	load(o: {
		/** Aborts when the turn is lost, or the run's own signal aborts. */
		signal: AbortSignal;
		lease: Lease;
		/** A file that `fetch` brought; rejects with STORAGE if it did not, as for an optional one. */
		match(url: string): Promise<Response>;
		onProgress(progress: ModelProgress): void;
	}): MaybePromise<E>;
	/** Ends the engine: for `reason` its turn or its memory was taken; null: the page wants it to. */
	unload?(engine: E, reason: unknown): unknown;
	/** False: it ended by itself, and is loaded again with the next run. */
	alive?(engine: E): boolean;
	/** Whether a load failed for damaged files, which are then deleted and, once, fetched again;
	 * default: judged by the error's words. */
	damaged?(error: unknown): boolean;
	/** Computes on the processor: the broker is not asked. */
	cpu?: boolean;
	/** So long may a download be silent; default 30 000. */
	stallMs?: number;
	onProgress?(progress: ModelProgress): void;
}

export interface RunOptions extends RequestOptions {
	stallMs?: number;
	onProgress?(progress: ModelProgress): void;
}

export type ModelTask<E, T> = (engine: E, lease: Lease) => MaybePromise<T>;
export type MaybePromise<T> = T | Promise<T>;

// serve.js: a page that answers requests of inference APIs.

/** What clients say and engines answer, in the shapes of OpenAI's and Anthropic's APIs, and engines
 * themselves; any: it is the handlers' to know. */
export type Spoken = any;

export type ServeState = "connecting" | "open" | "closed";

export interface ServeOptions {
	/** What clients may ask for. */
	models: ServedModel<Spoken>[];
	/** Requests at once, of all models; default 1, at most 16. */
	concurrency?: number;
	/** Shown to people, as `tab:NAME`; default: the Broker's. */
	name?: string;
}

/** One model, and how each route is answered; a route without a handler is not served. */
export interface ServedModel<E> {
	/** What clients say as `model`. */
	id: string;
	/** Runs the handlers: memory, files and turns are its own. Whether it is loaded is told by itself. */
	model?: Model<E>;
	/** Without `model`: it is in memory, and is chosen before those that are not. */
	loaded?: boolean;
	/** For people. */
	vramBytes?: number;
	/** How the turn of each request is asked for, beside the client's class. False: the handler asks by itself. */
	lease?: RequestOptions | false;
	/** `/v1/chat/completions`, and `/v1/messages` as one. Texts as they are made, OpenAI's chunks, or its whole answer. */
	chat?(
		body: ChatBody,
		context: ServeContext<E>,
	): Given<string | Partial<ChatChunk> | Completion>;
	/** `/v1/completions`. */
	completions?(body: Record<string, Spoken>, context: ServeContext<E>): Given<string>;
	/** `/v1/embeddings`; `input` is always a list of texts. A vector for each, in order. */
	embeddings?(
		body: { input: string[] } & Record<string, Spoken>,
		context: ServeContext<E>,
	): MaybePromise<ArrayLike<number>[]>;
	/** `/v1/audio/transcriptions`: the form's fields. The text, or OpenAI's verbose answer. */
	transcribe?(
		form: { file: File } & Record<string, Spoken>,
		context: ServeContext<E>,
	): MaybePromise<string | { text: string }>;
}

export interface ServeContext<E = unknown> {
	/** The client left, or the lease is over: stop. */
	signal: AbortSignal;
	/** Null with `lease: false`. */
	lease: Lease | null;
	/** Of `model`. */
	engine: E;
	/** As the page calls it. */
	model: string;
	class: NonNullable<RequestOptions["class"]>;
	/** Who asks, for people. */
	client: string;
}

/** At once, or as it is made. */
export type Given<T> = MaybePromise<T> | AsyncIterable<T> | Iterable<T>;

/** OpenAI's, as the client sent it. */
export interface ChatBody {
	model: string;
	messages: { role: string; content: Spoken; [field: string]: Spoken }[];
	stream?: boolean;
	[field: string]: Spoken;
}

/** OpenAI's. */
export interface ChatChunk {
	id?: string;
	choices: {
		index: number;
		delta?: Spoken;
		finish_reason?: string | null;
		[field: string]: Spoken;
	}[];
	usage?: Spoken;
	[field: string]: Spoken;
}

/** OpenAI's. */
export interface Completion {
	id?: string;
	choices: {
		index: number;
		message: Spoken;
		finish_reason: string | null;
		[field: string]: Spoken;
	}[];
	usage?: Spoken;
	[field: string]: Spoken;
}

/** Where an answer goes. */
export interface ServeOut {
	readonly begun: boolean;
	begin(contentType: string, status?: number): void;
	write(text: string): Promise<void>;
}

export type ServeAnswer = (context: ServeContext<Spoken>, out: ServeOut) => Promise<void>;

// What the files above ask of each other.

export interface KnownFile extends ModelFile {
	cache: string;
	/** Optional, and the server does not have it. */
	absent: boolean;
	/** Bytes, as far as is known. */
	loaded: number;
	total: number;
}

export interface FetchContext {
	signal?: AbortSignal;
	stallMs?: number;
	onBytes?(loaded: number, total: number): void;
}

/** The browser's word about a page's life. */
export interface Page {
	leave(cached: boolean): void;
	back(): void;
	thaw(): void;
	visible(yes: boolean): void;
}

export type Request = <O extends RequestOptions>(
	o?: O,
) => Promise<O extends { ifAvailable: true } ? Lease | null : Lease>;
export type Backoff = (
	tries: number,
	minMs: number,
	maxMs: number,
	random?: () => number,
) => number;
export type Clamp = (
	wanted: Record<string, number>,
	has: Record<string, number>,
) => { limits: Record<string, number>; clamped: string[] };

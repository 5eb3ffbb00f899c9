// @ts-check
// What the dashboard knows: the last status and clients, the events, and from them who was in which
// state when. Pure: no document, no socket; times are the broker's, in milliseconds. Used by
// dashboard.js and the views; tested through the page.

const EVENTS_MAX = 4000;
const TRACKS_MAX = 6000;
const SPANS_KEEP_MS = 65 * 60_000;

/**
 * @typedef {"waiting"|"offered"|"holding"|"resident"|"yielding"|"overdue"|"lost"} BandState
 * @typedef {import("/sdk/protocol.js").FromBroker.Event & {at: number}} BatonEvent
 * @typedef {import("/sdk/protocol.js").StatusLease} Holder
 * @typedef {import("/sdk/protocol.js").StatusWaiter} Waiter
 * @typedef {import("/sdk/protocol.js").StatusGpu} Gpu
 * @typedef {import("/sdk/protocol.js").StatusFields} Status
 * @typedef {import("/sdk/protocol.js").FromBroker.Client} Client
 * @typedef {{state: BandState, from: number, to: number|null, ids: number[]}} Span
 * @typedef {{row: string, lease: number, spans: Span[], guessed: boolean}} Track
 * @typedef {{state: BandState, from: number, to: number, open: boolean, ids: number[]}} Band
 * @typedef {{key: string, client: string, session: number, class: string, last: number}} RowHead
 * @typedef {RowHead & {bands: Band[]}} Row
 */

/** Words for people, the same as in the legend. */
export const STATE_WORDS = {
	waiting: "waiting",
	offered: "offered",
	holding: "holding",
	resident: "model loaded",
	yielding: "asked to give way",
	overdue: "revoked",
	lost: "lost",
};

/** @type {Record<string, BandState>} */
const STATE_OF = {
	queued: "waiting",
	offered: "offered",
	loading: "holding",
	held: "holding",
	yielding: "yielding",
};

/** Of several claims of one client the band shows the one that matters most. */
const RANK = ["resident", "waiting", "lost", "offered", "holding", "yielding", "overdue"];

/** @param {{state: BandState}} band */
const rank = (band) => RANK.indexOf(band.state);

/** @param {{yield?: {revoked: boolean}, state: string, slots: number}} holder */
export function stateOfHolder(holder) {
	if (holder.yield?.revoked) return "overdue";
	if (holder.yield) return "yielding";
	if (holder.state === "offered") return "offered";
	return holder.slots > 0 ? "holding" : "resident";
}

/** @param {string} text */
const ms = (text) => Date.parse(text);

export class DashboardState {
	constructor() {
		/** @type {Status|null} */
		this.status = null;
		/** @type {Client[]} */
		this.clients = [];
		/** @type {BatonEvent[]} oldest first */
		this.events = [];
		this.lastId = 0;
		/** @type {Map<number, Track>} by lease */
		this.tracks = new Map();
		/** @type {Map<string, RowHead>} */
		this.rows = new Map();
		/** @type {Set<number>} leases that only keep a model loaded */
		this.residents = new Set();
		this.vram = false; // anything of it was claimed or measured, so there is something to draw
		this.offset = 0; // the broker's clock less this one
		this.statusAt = 0;
		this.clientsAt = 0;
	}

	/** The broker's time now. */
	now() {
		return Date.now() + this.offset;
	}

	/** Seconds since the status came, by which its ages have grown. */
	age() {
		return (performance.now() - this.statusAt) / 1000;
	}

	/** @param {Status} status @param {number} [at] when it came */
	takeStatus(status, at = performance.now()) {
		this.status = status;
		this.statusAt = at;
		this.vram ||= status.gpus.some(
			(gpu) => gpu.vram_mb_granted > 0 || gpu.vram_mb_used !== null,
		);
		this.offset = ms(status.time) - Date.now() + performance.now() - at;
		const live = [...status.leases, ...status.waiting];
		for (const claim of live) {
			if (claim.slots === 0) this.residents.add(claim.lease);
			if (!this.tracks.has(claim.lease)) this.startTrack(claim);
		}
		const known = new Set(live.map((claim) => claim.lease));
		if (status.queue_depth > status.waiting.length) return;
		for (const track of this.tracks.values()) {
			if (!known.has(track.lease)) closeTrack(track, ms(status.time));
		}
	}

	/** The past of the VRAM. @param {import("/sdk/protocol.js").FromBroker.Samples} samples */
	takeSamples(samples) {
		this.vram ||= samples.gpus.some(
			(gpu) =>
				gpu.granted_mb.some((mb) => mb !== null && mb > 0)
				|| gpu.used_mb.some((mb) => mb !== null),
		);
	}

	/** A claim older than the events that are kept. @param {Holder|Waiter} claim */
	startTrack(claim) {
		const from = claim.since ? ms(claim.since) : this.now();
		const state = "position" in claim ? "waiting" : stateOfHolder(claim);
		const row = this.rowOf(claim.id, claim.session ?? 0, claim.class, this.now());
		this.tracks.set(claim.lease, {
			row,
			lease: claim.lease,
			guessed: true,
			spans: [{ state: /** @type {BandState} */ (state), from, to: null, ids: [] }],
		});
	}

	/** @param {Client[]} clients */
	takeClients(clients) {
		this.clients = clients;
		this.clientsAt = performance.now();
	}

	/** @param {string} client @param {number} session @param {string} cls @param {number} at */
	rowOf(client, session, cls, at) {
		const key = `${session} ${client}`;
		const row = this.rows.get(key);
		if (row) {
			row.last = Math.max(row.last, at);
			row.class = cls || row.class;
		} else {
			this.rows.set(key, { key, client, session, class: cls, last: at });
		}
		return key;
	}

	/**
	 * The past, in any order; what was guessed from the status alone is known now.
	 * @param {import("/sdk/protocol.js").FromBroker.Event[]} past
	 */
	takePast(past) {
		for (const [lease, track] of this.tracks) if (track.guessed) this.tracks.delete(lease);
		for (const message of past.sort((a, b) => a.id - b.id)) this.takeEvent(message);
		if (this.status) this.takeStatus(this.status, this.statusAt);
	}

	/** False if it is known already.
	 * @param {import("/sdk/protocol.js").FromBroker.Event} message */
	takeEvent(message) {
		if (message.id <= this.lastId) return false;
		/** @type {BatonEvent} */
		const event = { ...message, at: ms(message.time) };
		this.lastId = event.id;
		this.events.push(event);
		if (this.events.length > EVENTS_MAX) this.events.splice(0, EVENTS_MAX / 8);
		if (event.lease) this.follow(event);
		return true;
	}

	/** @param {BatonEvent} event */
	follow(event) {
		const lease = /** @type {number} */ (event.lease);
		let track = this.tracks.get(lease);
		if (!track) {
			const row = this.rowOf(
				event.client ?? "",
				event.session ?? 0,
				event.class ?? "",
				event.at,
			);
			track = { row, lease, spans: [], guessed: false };
			this.tracks.set(lease, track);
		}
		const row = this.rows.get(track.row);
		if (row) row.last = Math.max(row.last, event.at);
		const last = track.spans.at(-1);
		const state = stateAfter(event, last?.state);
		if (last && last.state === state && last.to === null) {
			last.ids.push(event.id);
			return;
		}
		if (last && last.to === null) {
			last.to = event.at;
			last.ids.push(event.id);
		}
		if (!state) {
			endMark(track, event);
			return;
		}
		track.spans.push({ state, from: event.at, to: null, ids: [event.id] });
	}

	/** Forgets what no timeline shows any more. */
	forget() {
		const oldest = this.now() - SPANS_KEEP_MS;
		for (const [lease, track] of this.tracks) {
			const last = track.spans.at(-1);
			const many = this.tracks.size > TRACKS_MAX;
			if (!last || (last.to !== null && (many || last.to < oldest))) {
				this.tracks.delete(lease);
				this.residents.delete(lease);
			}
		}
		const used = new Set([...this.tracks.values()].map((track) => track.row));
		for (const key of this.rows.keys()) if (!used.has(key)) this.rows.delete(key);
	}

	/**
	 * Who was in which state between two moments; whose state matters most now comes first.
	 * @param {number} from @param {number} to
	 * @returns {Row[]}
	 */
	timeline(from, to) {
		/** @type {Map<string, Span[]>} */
		const spans = new Map();
		for (const track of this.tracks.values()) {
			const list = spans.get(track.row) ?? [];
			for (const span of track.spans) {
				if ((span.to ?? to) < from || span.from > to) continue;
				const resident = span.state === "holding" && this.residents.has(track.lease);
				list.push(resident ? { ...span, state: "resident" } : span);
			}
			spans.set(track.row, list);
		}
		const rows = [];
		for (const [key, list] of spans) {
			const head = this.rows.get(key);
			if (head && list.length) rows.push({ ...head, bands: mergeSpans(list, from, to) });
		}
		return rows.sort(
			(a, b) =>
				rankNow(b) - rankNow(a)
				|| compareNames(a.client, b.client)
				|| a.session - b.session,
		);
	}
}

/** Who computes comes first, then who waits; last who is not there any more. @param {Row} row */
const rankNow = (row) => Math.max(-1, ...row.bands.filter((band) => band.open).map(rank));

/** Made when it is first needed: that takes milliseconds. @type {Intl.Collator|undefined} */
let collator;

/** @param {string} a @param {string} b */
function compareNames(a, b) {
	collator ??= new Intl.Collator(undefined, { numeric: true });
	return collator.compare(a, b);
}

/** @param {BatonEvent} event @param {BandState} [before] @returns {BandState|null} */
function stateAfter(event, before) {
	switch (event.what) {
		case "revoked":
			return "overdue";
		case "detached":
			return "lost";
		case "ended":
			return null;
		default: {
			const state = STATE_OF[event.to ?? ""] ?? null;
			return state === "yielding" && before === "overdue" ? "overdue" : state;
		}
	}
}

/**
 * How a claim ended, where that was not its own wish.
 * @param {Track} track @param {BatonEvent} event
 */
function endMark(track, event) {
	const marks = {
		disconnected: "lost",
		expired: "lost",
		revoked: "overdue",
		"force-released": "overdue",
	};
	const state = marks[/** @type {keyof marks} */ (event.end ?? "")];
	if (!state) return;
	track.spans.push({
		state: /** @type {BandState} */ (state),
		from: event.at,
		to: event.at,
		ids: [event.id],
	});
}

/** @param {Track} track @param {number} at */
function closeTrack(track, at) {
	const last = track.spans.at(-1);
	if (last && last.to === null) last.to = Math.max(at, last.from);
}

/** @param {Band[]} bands @param {Band} band */
function addBand(bands, band) {
	const last = bands.at(-1);
	if (last && last.state === band.state && last.to === band.from) {
		last.to = band.to;
		last.open = band.open;
		last.ids.push(...band.ids);
	} else {
		bands.push(band);
	}
}

/**
 * Overlapping spans of one client as bands that follow each other; equal neighbours are one.
 * @param {Span[]} spans @param {number} from @param {number} to
 * @returns {Band[]}
 */
export function mergeSpans(spans, from, to) {
	const edges = spans
		.filter((span) => span.to !== span.from)
		.flatMap((span) => [
			{ at: Math.max(from, span.from), span, begins: true },
			{ at: Math.min(to, span.to ?? to), span, begins: false },
		])
		.sort((a, b) => a.at - b.at);
	/** @type {Band[]} */
	const bands = [];
	/** @type {Set<Span>} */
	const over = new Set();
	for (let i = 0; i < edges.length;) {
		const start = edges[i].at;
		for (; i < edges.length && edges[i].at === start; i++) {
			if (edges[i].begins) over.add(edges[i].span);
			else over.delete(edges[i].span);
		}
		if (i === edges.length || !over.size) continue;
		const all = [...over];
		const end = edges[i].at;
		addBand(bands, {
			state: all.reduce((a, b) => (rank(b) > rank(a) ? b : a)).state,
			from: start,
			to: end,
			open: end === to && all.some((span) => span.to === null),
			ids: all.flatMap((span) => span.ids),
		});
	}
	for (const mark of spans) {
		if (mark.from !== mark.to || mark.from < from || mark.from > to) continue;
		bands.push({ ...mark, to: mark.from, open: false });
	}
	for (const band of bands) band.ids = [...new Set(band.ids)].sort((a, b) => a - b);
	return bands.sort((a, b) => a.from - b.from || a.ids[0] - b.ids[0] || a.to - b.to);
}

/**
 * The same with whatever is too short to be drawn taken together; the more urgent state is shown.
 * @param {Band[]} bands @param {number} shortest ms
 * @returns {Band[]}
 */
export function coarsen(bands, shortest) {
	/** @type {Band[]} */
	const out = [];
	for (const band of bands) {
		const last = out.at(-1);
		if (!last || band.to - last.from >= shortest) {
			out.push({ ...band, ids: [...band.ids] });
			continue;
		}
		if (rank(band) > rank(last)) last.state = band.state;
		last.to = Math.max(last.to, band.to);
		last.open ||= band.open;
		last.ids.push(...band.ids);
	}
	return out;
}

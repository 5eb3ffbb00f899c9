// @ts-check
// Says in one sentence when this page is on, who has the GPU and until when; behind it what is
// known beyond that, "Debug GPU" and "Force unlock". It never asks for the GPU. For Console, Mic
// and Dreamer.
import { limitText, nameView, toldView } from "./claim_view.js";
import { html, nothing, render } from "./template.js";
import {
	call,
	clearConnectionError,
	confirmDialog,
	formatBytes,
	formatSeconds,
	showConnection,
	showError,
} from "./frame.js";

const POLL_MS = 1000;

/**
 * @typedef {import("/sdk/index.js").Broker} Broker
 * @typedef {{lease?: string|number|null, key?: string|null, position: number, ahead: string[],
 *   sentence: string, estimate: string, guaranteedBy?: string|null, boundText?: string,
 *   why?: {code: string, text: string, holder?: number}|null, since: number}} Place
 * @typedef {import("/sdk/types.js").BrokerEvents} BrokerEvents
 * @typedef {import("/sdk/protocol.js").StatusWaiter} Waiter
 * @typedef {import("/sdk/protocol.js").StatusLease} Holder
 * @typedef {import("/sdk/protocol.js").StatusFields} Status
 */

class QueuePanel {
	/** @param {HTMLElement} place @param {Broker} broker */
	constructor(place, broker) {
		this.place = place;
		this.broker = broker;
		/** @type {Map<string, Place>} what this page waits for */
		this.waiting = new Map();
		/** @type {Set<string>} claims that were this page's own */
		this.own = new Set();
		/** @type {Status|null} */
		this.status = null;
		this.asking = false;
		this.note = "";
		this.controller = new AbortController();
		this.listen();
		this.timer = setInterval(() => this.refresh(), POLL_MS);
		this.draw();
		this.refresh();
	}

	listen() {
		const { signal } = this.controller;
		/** @type {<K extends keyof BrokerEvents>(type: K,
		 *   act: (detail: BrokerEvents[K]) => void) => void} */
		const on = (type, act) =>
			this.broker.addEventListener(
				type,
				(event) => {
					act(/** @type {CustomEvent} */ (event).detail ?? {});
					this.draw();
				},
				{ signal },
			);
		on("state", ({ state, error }) => this.connected(state ?? this.broker.state, error));
		on("queue", (detail) => {
			const lease = String(detail.lease ?? detail.key);
			this.own.add(lease);
			this.waiting.set(lease, {
				...detail,
				since: this.waiting.get(lease)?.since ?? performance.now(),
			});
		});
		on("yield", ({ lease }) => this.granted(lease));
		on("ended", ({ lease }) => {
			this.waiting.delete(leaseKey(lease)); // it stays an own one: the status may be older
		});
		document.addEventListener("visibilitychange", () => this.refresh(), { signal });
		this.connected(this.broker.state);
	}

	/** @param {string} state @param {{message?: string}} [error] */
	connected(state, error) {
		showConnection(
			/** @type {import("./frame.js").Connection} */ (state),
			error?.message ?? "",
		);
		if (state !== "open") return;
		clearConnectionError();
		this.refresh();
		if (this.broker.dev) {
			import("./dev.js").then(
				(dev) => dev.followReloads(this.broker),
				() => {},
			);
		}
	}

	/** @param {unknown} lease */
	granted(lease) {
		const key = leaseKey(lease);
		this.own.add(key);
		this.waiting.delete(key);
	}

	async refresh() {
		if (this.asking || document.hidden || this.broker.state !== "open") return;
		this.asking = true;
		try {
			this.status = await this.broker.status();
			this.settle();
		} catch {
			this.status = null; // the connection's state, shown beside it, says why
		} finally {
			this.asking = false;
			this.draw();
		}
	}

	/** What waited and is held now, or is gone, waits no longer. */
	settle() {
		const held = new Set(this.holders().map((holder) => String(holder.lease)));
		const waits = new Map(this.waiters().map((row) => [String(row.lease), row]));
		for (const lease of this.waiting.keys()) {
			const gone = /^\d+$/.test(lease) && !waits.has(lease);
			if (held.has(lease) || gone) this.waiting.delete(lease);
		}
		for (const [lease, place] of this.waiting) {
			const row = waits.get(lease);
			if (row) this.waiting.set(lease, { ...place, ...placeOf(row) });
		}
		for (const lease of this.own) {
			if (!held.has(lease) && !waits.has(lease) && !this.waiting.has(lease))
				this.own.delete(lease);
		}
	}

	/** @returns {Holder[]} */
	holders() {
		return this.status?.leases ?? [];
	}

	waiters() {
		return this.status?.waiting ?? [];
	}

	/** Those who compute; a model that is only kept loaded is in nobody's way. */
	computing() {
		return this.holders().filter((holder) => holder.slots > 0);
	}

	/** The holder that stands in this page's way, else whoever computes, else whoever holds. */
	victim() {
		const asked = [...this.waiting.values()].map((place) => place.why?.holder).find(Boolean);
		return (
			this.holders().find((holder) => holder.lease === asked)
			?? this.computing()[0]
			?? this.holders()[0]
		);
	}

	/** @returns {Holder|undefined} */
	mine() {
		return this.computing().find((holder) => this.own.has(String(holder.lease)));
	}

	async forceUnlock() {
		const victim = this.victim();
		if (!victim) {
			this.note = "Nobody holds the GPU.";
			this.draw();
			return;
		}
		const answer = await confirmDialog({
			title: "Force unlock",
			body: "The lease is taken now. What this holder computes is lost, and it is told why.",
			victim: describe(victim),
			wantReason: true,
			action: "Force unlock",
		});
		if (!answer) return;
		try {
			await call("POST", `/v1/gpu/leases/${victim.lease}/revoke`, answer);
			this.note = `The lease of ${victim.id} was taken.`;
		} catch (error) {
			showError(error, { retry: () => this.forceUnlock() });
		}
		this.draw();
		this.refresh();
	}

	async debug() {
		const { showReport } = await import("./gpu_report.js");
		await showReport(this.broker);
	}

	close() {
		this.controller.abort();
		clearInterval(this.timer);
		render(nothing, this.place);
	}

	draw() {
		const place = [...this.waiting.values()].sort((a, b) => b.position - a.position)[0];
		render(
			html`<section class="queue-panel" aria-label="The queue">
			${
				this.broker.state !== "open"
					? offlineView(this.broker.state)
					: place
						? waitingView(place)
						: this.idleView()
			}
			${place ? nothing : this.holdersView()}
			${this.note ? html`<p class="muted" role="status">${this.note}</p>` : nothing}
			<details class="menu"><summary>Operate…</summary><div class="row">
				<button type="button" class="small" @click=${() => this.debug()}>Debug GPU</button>
				<button type="button" class="small danger"
					?disabled=${this.broker.state !== "open" || !this.victim()}
					@click=${() => this.forceUnlock()}>Force unlock…</button>
			</div></details>
		</section>`,
			this.place,
		);
	}

	idleView() {
		const mine = this.mine();
		if (mine?.yield?.revoked) {
			return sayView(
				"overdue",
				"revoked",
				"Your lease was taken. This page must stop using the GPU.",
			);
		}
		if (mine?.yield) {
			return sayView(
				"yielding",
				"asked to give way",
				html`You hold the GPU and were asked to
				give way${forWhom(mine.yield.for)}: ${formatSeconds(mine.yield.left_s)} left.`,
			);
		}
		if (mine) {
			return sayView(
				"holding",
				"holding",
				html`You hold ${mine.gpu ?? "the GPU"}, for ${formatSeconds(mine.held_s)} now${andLimit(
					mine,
					this.waiters(),
				)}.`,
			);
		}
		if (!this.status) return sayView("connecting", "asking", "Asking the broker…");
		if (this.status.paused) return sayView("paused", "paused", "An operator paused grants.");
		const [first] = this.computing();
		if (!first) return sayView("idle", "free", "Nobody uses the GPU.");
		return sayView("idle", "not waiting", holderText(first, this.waiters()));
	}

	holdersView() {
		const others = this.computing().filter((holder) => !this.own.has(String(holder.lease)));
		if (!this.mine() && !this.status?.paused) others.shift(); // it is said above
		if (this.broker.state !== "open" || !others.length) return nothing;
		return html`<ul class="stack-s">${others.map(
			(holder) => html`<li>${holderText(holder, this.waiters())}</li>`,
		)}</ul>`;
	}
}

/** @param {Holder} holder @param {Waiter[]} waiting */
function holderText(holder, waiting) {
	const gpu = holder.gpu ?? "the GPU";
	const held = formatSeconds(holder.held_s);
	const label = holder.label ? html` (${nameView(holder.label)})` : nothing;
	if (holder.yield?.revoked)
		return html`${nameView(holder.id)} got ${gpu} ${held} ago, class ${holder.class}, and is
			overdue${label}.`;
	if (holder.held_s === undefined)
		return html`${gpu} is offered to ${nameView(holder.id)}, class ${holder.class}${label}.`;
	return html`${nameView(holder.id)} holds ${gpu}, class ${holder.class}, for ${held} now${label}${
		holder.yield
			? `; asked to give way, ${formatSeconds(holder.yield.left_s)} left`
			: andLimit(holder, waiting)
	}.`;
}

/** @param {unknown} lease a Lease, or its id */
function leaseKey(lease) {
	return String(/** @type {{id?: unknown}} */ (lease ?? {}).id ?? lease);
}

/** @param {string|null} [name] */
function forWhom(name) {
	return name ? html` for <bdi>${name}</bdi>` : nothing;
}

/** @param {string} tone @param {string} word @param {unknown} text */
function sayView(tone, word, text) {
	return html`<div class="stack-s"><div><span class=${`state state-${tone}`}>${word}</span></div>
		<p class="say" role="status">${text}</p></div>`;
}

/** @param {string} state */
function offlineView(state) {
	if (state === "connecting" || state === "reconnecting") {
		return sayView(state, state, "Looking for the broker. Your place is kept for a moment.");
	}
	return sayView(
		"offline",
		"not connected",
		"No broker answers. Start it with “baton serve”; this page comes back by itself.",
	);
}

/** @param {Holder} holder @param {Waiter[]} waiting */
function andLimit({ lease }, waiting) {
	const limit = limitText(lease, waiting);
	return limit && ` and ${limit}`;
}

/** A row of the status in the words of the SDK. @param {Waiter} row */
function placeOf(row) {
	return {
		position: row.position,
		sentence: row.sentence ?? "",
		estimate: row.estimate ?? "",
		guaranteedBy: row.guaranteed_by ?? null,
		boundText: row.bound_text ?? "",
		why: row.why,
	};
}

/** @param {Place} place */
function waitingView(place) {
	const ahead = (place.ahead ?? []).slice(0, 8);
	return html`${sayView("waiting", "waiting", place.sentence || place.why?.text || "Asked.")}
		<details class="more"><summary>Details</summary>
			<p>Waiting for ${formatSeconds((performance.now() - place.since) / 1000)}.</p>
			${toldView(place)}
			${
				ahead.length
					? html`<p>Before you: ${ahead.map(
							(name, index) => html`${index ? ", " : ""}${nameView(name)}`,
						)}.</p>`
					: nothing
			}</details>`;
}

/** @param {Holder} holder */
function describe(holder) {
	const vram = holder.vram_mb ? `, ${formatBytes(holder.vram_mb * 2 ** 20)} of VRAM` : "";
	return `${holder.id}: class ${holder.class}, ${holder.state} ${holder.gpu ?? "the GPU"} for ${formatSeconds(
		holder.held_s,
	)}${vram} (lease ${holder.lease})`;
}

/**
 * Draws the panel into a place of the page and keeps it current.
 * @param {HTMLElement} place
 * @param {Broker} broker
 * @returns {{close(): void}}
 */
export function queuePanel(place, broker) {
	return new QueuePanel(place, broker);
}

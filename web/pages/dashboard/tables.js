// @ts-check
// The dashboard's tables: the queue with why each one waits, the clients, and the events with their
// filter. Whatever others named is text. Draws only what it is given. Used by dashboard.js.
import { html, nothing } from "/pages/shared/template.js";
import { formatAbout, formatBytes, formatSeconds, formatTime } from "/pages/shared/shell.js";
import { stateOfHolder } from "/pages/dashboard/model.js";
import { statePill } from "/pages/dashboard/now.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").BatonEvent} BatonEvent
 * @typedef {import("./model.js").Client} Client
 * @typedef {import("./model.js").Waiter} Waiter
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {{text: string, class: string, what: string, paused: BatonEvent[]|null, shown: number,
 *   change(fields: object): void}} EventFilter
 */

const SILENT_S = 12; // two heartbeats missed
const ROWS_STEP = 100;
const CLASSES = ["voice", "chat", "normal", "background"];
const WHATS = [
	"queued", "offered", "loading", "held", "yield", "kept", "revoked", "ended", "attached",
	"detached", "started", "paused", "resumed", "reset", "force-release-all", "clock-jump",
];

/** @param {number} mb */
const size = (mb) => formatBytes(mb * 2 ** 20);

/** @param {{vram_mb: number, slots: number, gpu_count?: number}} need */
function needText(need) {
	const parts = [];
	if (need.slots) parts.push(need.slots === 1 ? "a turn" : `${need.slots} slots`);
	else parts.push("a model kept loaded");
	if (need.vram_mb) parts.push(size(need.vram_mb));
	if ((need.gpu_count ?? 1) > 1) parts.push(`${need.gpu_count} GPUs`);
	return parts.join(", ");
}

/** @param {Waiter} waiter @param {number} age @param {Acts} acts @param {boolean} admin */
function waiterRow(waiter, age, acts, admin) {
	return html`<tr role="row">
		<td class="number place" role="cell">${waiter.position + 1}</td>
		<th scope="row" role="rowheader"><bdi>${waiter.id}</bdi>${waiter.label
			? html` <bdi class="faint">${waiter.label}</bdi>` : nothing}</th>
		<td role="cell"><span class="badge">${waiter.class}</span></td>
		<td role="cell">${needText(waiter)}</td>
		<td class="why" role="cell">${waiter.why?.text ?? ""}${waiter.ripe
			? html` <span class="badge">waited long, goes first</span>` : nothing}</td>
		<td class="number" role="cell" data-label="waited">${
			formatSeconds(waiter.waited_s + age)}</td>
		<td class="number" role="cell" data-label="estimated">${formatAbout(waiter.eta_s)}</td>
		<td class="number" role="cell" data-label="9 of 10 under">${
			formatAbout(waiter.eta_p90_s)}</td>
		<td class="number" role="cell"><button type="button" class="small danger"
			?disabled=${!admin} @click=${() => acts.remove(waiter)}>Remove…</button></td>
	</tr>`;
}

/** @param {Model} model @param {Acts} acts @param {boolean} admin */
export function queueView(model, acts, admin) {
	const status = model.status;
	const waiting = status?.waiting ?? [];
	const age = model.age();
	const more = (status?.queue_depth ?? 0) - waiting.length;
	return html`<section class="card" aria-labelledby="queue-title">
		<div class="row spread card-head"><h2 id="queue-title">Queue</h2>
			<span class="muted">${status?.queue_depth ?? 0} waiting</span></div>
		<div class="table-box" tabindex="0" role="region" aria-labelledby="queue-title">
		${waiting.length ? html`<table class="queue" role="table">
			<thead role="rowgroup"><tr role="row">
				<th scope="col" class="number">Place</th><th scope="col">Who</th>
				<th scope="col">Class</th><th scope="col">Wants</th>
				<th scope="col">Why it waits</th><th scope="col" class="number">Waited</th>
				<th scope="col" class="number">Estimated</th>
				<th scope="col" class="number">9 of 10 under</th>
				<th scope="col"><span class="visually-hidden">Acts</span></th></tr></thead>
			<tbody role="rowgroup">${waiting.map((waiter) =>
				waiterRow(waiter, age, acts, admin))}</tbody></table>
			${more > 0 ? html`<p class="empty">and ${more} more behind them</p>` : nothing}`
			: html`<p class="empty">Nobody waits. Whoever asks now is served at once${
				status?.paused ? ", as soon as grants are resumed" : ""}.</p>`}
		</div></section>`;
}

/** @param {Client} client @param {Model} model */
function clientState(client, model) {
	if (client.overdue) return html`<span class="state state-overdue">overdue</span>`;
	const mine = (/** @type {{session?: number}} */ claim) => claim.session === client.session;
	const held = (model.status?.leases ?? []).filter(mine).map(stateOfHolder);
	for (const state of ["overdue", "yielding", "holding", "offered"]) {
		if (held.some((one) => one === state)) return statePill(state);
	}
	if ((model.status?.waiting ?? []).some(mine)) return statePill("waiting");
	return held.length ? statePill("resident") : html`<span class="state state-idle">idle</span>`;
}

/** @param {Client} client @param {number} age */
function heardView(client, age) {
	const seen = client.seen_s + age;
	const text = `${formatSeconds(seen)} ago`;
	return seen > SILENT_S ? html`<span class="state state-overdue">silent, ${text}</span>` : text;
}

/** @param {Client} client */
function pageView(client) {
	if (!client.browser) {
		return client.pid ? `process ${client.pid}` : html`<span class="faint">a program</span>`;
	}
	const page = client.page ?? "";
	const origin = client.origin && client.origin !== location.origin ? client.origin : "";
	return html`<bdi class="mono">${origin}${page || (origin ? "" : "a page")}</bdi>`;
}

/** @param {Client} client */
function visibleText(client) {
	if (client.visible === undefined) return html`<span class="faint">not said</span>`;
	return client.visible ? "in front" : "hidden";
}

/** @param {Client} client */
function stalledView(client) {
	if (!client.stalled_ms) return html`<span class="faint">no</span>`;
	const text = formatSeconds(client.stalled_ms / 1000);
	return client.stalled_ms > 5000
		? html`<span class="state state-yielding">stalled ${text}</span>` : text;
}

/** @param {Client} client */
function adapterView(client) {
	if (!client.adapter) return html`<span class="faint">not said</span>`;
	const clamped = Array.isArray(client.clamped) ? client.clamped.join(", ") : client.clamped;
	return html`<bdi>${client.adapter}</bdi>${clamped
		? html`<br><small class="muted">clamped: <bdi>${clamped}</bdi></small>` : nothing}`;
}

/** @param {Model} model @param {number} own this page's session */
export function clientsView(model, own) {
	const age = (performance.now() - model.clientsAt) / 1000;
	const clients = [...model.clients].sort((a, b) => a.session - b.session);
	return html`<section class="card" aria-labelledby="clients-title">
		<div class="row spread card-head"><h2 id="clients-title">Clients</h2>
			<span class="muted">${clients.length} connected</span></div>
		<div class="table-box" tabindex="0" role="region" aria-labelledby="clients-title">
		<table class="clients"><thead><tr><th scope="col">Who</th><th scope="col">State</th>
			<th scope="col">Page or process</th><th scope="col">Visible</th>
			<th scope="col">Last heard of</th><th scope="col">Stalled</th>
			<th scope="col">Adapter</th>
			<th scope="col" class="number">VRAM</th><th scope="col" class="number">Connected</th>
		</tr></thead><tbody>${clients.map((client) => html`<tr
			class=${client.overdue ? "alarm" : ""}><th scope="row"><bdi>${client.id}</bdi>
				<span class="faint">#${client.session}</span>${
				client.session === own ? html` <span class="badge">this page</span>` : nothing}</th>
			<td>${clientState(client, model)}</td>
			<td>${pageView(client)}</td>
			<td>${visibleText(client)}</td>
			<td>${heardView(client, age)}</td>
			<td>${stalledView(client)}</td>
			<td>${adapterView(client)}</td>
			<td class="number">${client.vram_mb ? size(client.vram_mb) : "–"}</td>
			<td class="number">${formatSeconds(client.since_s + age)}</td></tr>`)}</tbody></table>
		${clients.length ? nothing : html`<p class="empty">Nobody is connected.</p>`}
		</div></section>`;
}

/** What an event says beyond its columns. @param {BatonEvent} event */
export function eventText(event) {
	const parts = [];
	if (event.end && event.end !== "released") parts.push(event.end);
	if (event.reason) parts.push(event.reason);
	if (event.gpu && event.what !== "ended") parts.push(`on ${event.gpu}`);
	if (event.other) parts.push(`for lease ${event.other}`);
	if (event.waited_s) parts.push(`waited ${formatSeconds(event.waited_s)}`);
	if (event.held_s) parts.push(`held ${formatSeconds(event.held_s)}`);
	if (event.detail) parts.push(`“${event.detail}”`);
	return parts.join(", ");
}

/** @param {BatonEvent} event */
export function eventRow(event) {
	return html`<tr data-event=${event.id}>
		<td class="nowrap mono">${formatTime(event.at)}</td>
		<td class="nowrap"><span class=${`what what-${event.what}`}>${event.what}</span></td>
		<th scope="row"><bdi>${event.client ?? "the broker"}</bdi>${event.lease
			? html` <span class="faint">lease ${event.lease}</span>` : nothing}</th>
		<td>${event.class ? html`<span class="badge">${event.class}</span>` : nothing}</td>
		<td><bdi>${eventText(event)}</bdi></td></tr>`;
}

export const eventHead = html`<thead><tr><th scope="col">Time</th><th scope="col">What</th>
	<th scope="col">Who</th><th scope="col">Class</th><th scope="col">Details</th></tr></thead>`;

/** @param {BatonEvent[]} events @param {EventFilter} filter */
export function filterEvents(events, filter) {
	const text = filter.text.trim().toLowerCase();
	return events.filter((event) => (!filter.class || event.class === filter.class)
		&& (!filter.what || event.what === filter.what)
		&& (!text || `${event.client ?? ""} ${event.lease ?? ""} ${eventText(event)}`
			.toLowerCase().includes(text)));
}

/** @param {Model} model @param {EventFilter} filter */
function filterBar(model, filter) {
	const missed = filter.paused ? model.lastId - (filter.paused.at(-1)?.id ?? 0) : 0;
	const field = (/** @type {string} */ name) => (/** @type {Event} */ event) =>
		filter.change({ [name]: /** @type {HTMLInputElement} */ (event.target).value,
			shown: ROWS_STEP });
	return html`<div class="row filters" role="search" aria-label="Filter events">
		<input type="search" aria-label="Text" placeholder="Filter by text" .value=${filter.text}
			@input=${field("text")}>
		<select aria-label="Class" @change=${field("class")}><option value="">Every class</option>
			${CLASSES.map((name) => html`<option value=${name}>${name}</option>`)}</select>
		<select aria-label="What" @change=${field("what")}><option value="">Every event</option>
			${WHATS.map((name) => html`<option value=${name}>${name}</option>`)}</select>
		<button type="button" aria-pressed=${filter.paused ? "true" : "false"}
			@click=${() => filter.change({ paused: filter.paused ? null : [...model.events] })}>
			${filter.paused ? `Paused${missed > 0 ? `, ${missed} new` : ""}` : "Pause"}</button>
	</div>`;
}

/** @param {Model} model @param {EventFilter} filter */
export function eventsView(model, filter) {
	const found = filterEvents(filter.paused ?? model.events, filter);
	const rows = found.slice(-filter.shown).reverse();
	return html`<section class="card" aria-labelledby="events-title">
		<div class="row spread card-head"><h2 id="events-title">Events</h2>
			${filterBar(model, filter)}</div>
		<div class="table-box events-box" tabindex="0" role="region" aria-labelledby="events-title">
		${rows.length ? html`<table class="events">${eventHead}
			<tbody>${rows.map(eventRow)}</tbody></table>`
			: html`<p class="empty">${model.events.length ? "No event fits the filter."
				: "Nothing happened yet."}</p>`}
		${found.length > rows.length ? html`<p class="empty"><button type="button"
			@click=${() => filter.change({ shown: filter.shown + ROWS_STEP })}>
			Show more: ${found.length - rows.length} older</button></p>` : nothing}
		</div></section>`;
}

// @ts-check
// The dashboard's lower tables: the clients, and the events with their filter. Whatever others named
// is text. Draws only what it is given. Used by lower_cards.js.
import { nameView } from "../../ui/claim_view.js";
import { html, live, nothing, repeat } from "../../ui/template.js";
import { formatBytes, formatSeconds, formatTime } from "../../ui/frame.js";
import { stateOfHolder } from "./state.js";
import { statePill } from "./holders_card.js";
import { firstOf } from "./queue_table.js";

/**
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("./state.js").BatonEvent} BatonEvent
 * @typedef {import("./state.js").Client} Client
 * @typedef {{text: string, class: string, what: string, paused: BatonEvent[]|null, shown: number,
 *   connections: boolean, change(fields: object): void}} EventFilter
 * @typedef {import("./queue_table.js").Lists} Lists
 */

const SILENT_S = 12; // two heartbeats missed
const ROWS_STEP = 100;
const CLASSES = ["voice", "chat", "normal", "background"];
/** Each event that there is. @type {import("/sdk/protocol.js").EventWhat[]} */
const WHATS = [
	"queued",
	"offered",
	"loading",
	"held",
	"yield",
	"kept",
	"changed",
	"notice",
	"lent",
	"collides",
	"revoked",
	"killed",
	"draining",
	"leftover",
	"ended",
	"attached",
	"detached",
	"bye",
	"gone",
	"exited",
	"unwatched",
	"started",
	"paused",
	"resumed",
	"reset",
	"force-release-all",
	"journal-failed",
	"journal-ok",
	"clock-jump",
	"observing",
	"enforcing",
];
const CONNECTIONS = ["attached", "detached", "bye"];

/** @param {number} mb */
const size = (mb) => formatBytes(mb * 2 ** 20);

/** @param {Client} client @param {DashboardState} dashboard */
function clientState(client, dashboard) {
	if (client.overdue) {
		return html`<span class="state state-overdue">overdue</span>
			<small class="muted">until it confirms or leaves</small>`;
	}
	const mine = (/** @type {{session?: number}} */ claim) => claim.session === client.session;
	const held = (dashboard.status?.leases ?? []).filter(mine).map(stateOfHolder);
	for (const state of ["overdue", "yielding", "holding", "offered"]) {
		if (held.some((one) => one === state)) return statePill(state);
	}
	if ((dashboard.status?.waiting ?? []).some(mine)) return statePill("waiting");
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
		? html`<span class="state state-yielding">stalled ${text}</span>`
		: text;
}

/** @param {Client} client */
function adapterView(client) {
	if (!client.adapter) return html`<span class="faint">not said</span>`;
	const clamped = Array.isArray(client.clamped) ? client.clamped.join(", ") : client.clamped;
	return html`${nameView(client.adapter)}${
		clamped ? html`<br><small class="muted">clamped: <bdi>${clamped}</bdi></small>` : nothing
	}`;
}

/** A narrow screen leaves out what is not known. @param {unknown} value */
const known = (value) => (value ? "" : "unknown");

/** @param {Client} client @param {DashboardState} dashboard @param {number} own
 * @param {number} age */
function clientRow(client, dashboard, own, age) {
	return html`<tr role="row" class=${client.overdue ? "alarm" : ""}>
		<th scope="row" role="rowheader">${nameView(client.id)}
			<span class="faint">#${client.session}</span>${
				client.session === own ? html` <span class="badge">this page</span>` : nothing
			}</th>
		<td role="cell">${clientState(client, dashboard)}</td>
		<td role="cell" data-label=${client.browser ? "page" : ""}>${pageView(client)}</td>
		<td role="cell" data-label="visible" class=${known(client.visible !== undefined)}>${visibleText(
			client,
		)}</td>
		<td role="cell" data-label="heard">${heardView(client, age)}</td>
		<td role="cell" data-label="stalled" class=${known(client.stalled_ms)}>${stalledView(client)}</td>
		<td role="cell" data-label="adapter" class=${known(client.adapter)}>${adapterView(client)}</td>
		<td class="number ${known(client.vram_mb)}" role="cell" data-label="VRAM">${
			client.vram_mb ? size(client.vram_mb) : "–"
		}</td>
		<td class="number" role="cell" data-label="connected">${formatSeconds(
			client.since_s + age,
		)}</td></tr>`;
}

/** @param {DashboardState} dashboard @param {number} own this page's session
 * @param {Lists} lists */
export function clientsView(dashboard, own, lists) {
	const age = (performance.now() - dashboard.clientsAt) / 1000;
	const clients = [...dashboard.clients].sort((a, b) => a.session - b.session);
	const { rows, button } = firstOf(clients, clients.length, lists.clients, (open) =>
		lists.change({ clients: open }),
	);
	return html`<section class="card" aria-labelledby="clients-title">
		<div class="row spread card-head"><h2 id="clients-title">Clients</h2>
			<span class="muted">${clients.length} connected</span></div>
		<div class="table-box"><table class="clients boxes" role="table"
			aria-labelledby="clients-title"><thead role="rowgroup"><tr role="row">
			<th scope="col">Who</th><th scope="col">State</th>
			<th scope="col">Page or process</th><th scope="col">Visible</th>
			<th scope="col">Last heard of</th><th scope="col">Stalled</th>
			<th scope="col">Adapter</th>
			<th scope="col" class="number">VRAM</th><th scope="col" class="number">Connected</th>
		</tr></thead><tbody role="rowgroup">${repeat(
			rows,
			(client) => client.session,
			(client) => clientRow(client, dashboard, own, age),
		)}</tbody></table>${button}
		</div></section>`;
}

/** What an event says beyond its columns. @param {BatonEvent} event */
export function eventText(event) {
	const parts = [];
	if (event.end && event.end !== "released") parts.push(event.end);
	if (event.reason) parts.push(event.reason);
	if (event.gpu && event.what !== "ended") parts.push(`on ${event.gpu}`);
	const towards = event.what === "collides" ? "beside" : "for";
	if (event.other) parts.push(`${towards} lease ${event.other}`);
	if (event.waited_s) parts.push(`waited ${formatSeconds(event.waited_s)}`);
	if (event.held_s) parts.push(`held ${formatSeconds(event.held_s)}`);
	if (event.detail) parts.push(`“${event.detail}”`);
	return parts.join(", ");
}

/** @param {BatonEvent} event */
export function eventRow(event) {
	const text = eventText(event);
	return html`<tr role="row" data-event=${event.id}>
		<td class="nowrap mono" role="cell">${formatTime(event.at)}</td>
		<td class="nowrap" role="cell"><span class=${`what what-${event.what}`}>${event.what}</span></td>
		<th scope="row" role="rowheader">${nameView(event.client ?? "the broker")}${
			event.lease ? html` <span class="faint">lease ${event.lease}</span>` : nothing
		}</th>
		<td role="cell">${event.class ? html`<span class="badge">${event.class}</span>` : nothing}</td>
		<td role="cell" class=${text ? "wide" : ""}><bdi>${text}</bdi></td></tr>`;
}

export const eventHead = html`<thead role="rowgroup"><tr role="row"><th scope="col">Time</th>
	<th scope="col">What</th><th scope="col">Who</th><th scope="col">Class</th>
	<th scope="col">Details</th></tr></thead>`;

/** Somebody came or went, and nothing was held or waited for. @param {BatonEvent} event */
const isConnection = (event) => CONNECTIONS.includes(event.what) && !event.lease;

/** @param {BatonEvent[]} events @param {EventFilter} filter */
export function filterEvents(events, filter) {
	const text = filter.text.trim().toLowerCase();
	const connections = filter.connections || CONNECTIONS.includes(filter.what);
	return events.filter(
		(event) =>
			(!filter.class || event.class === filter.class)
			&& (connections || !isConnection(event))
			&& (!filter.what || event.what === filter.what)
			&& (!text
				|| `${event.client ?? ""} ${event.lease ?? ""} ${eventText(event)}`
					.toLowerCase()
					.includes(text)),
	);
}

/** @param {DashboardState} dashboard @param {EventFilter} filter */
function filterBar(dashboard, filter) {
	const missed = filter.paused ? dashboard.lastId - (filter.paused.at(-1)?.id ?? 0) : 0;
	const field = (/** @type {string} */ name) => (/** @type {Event} */ event) =>
		filter.change({
			[name]: /** @type {HTMLInputElement} */ (event.target).value,
			shown: ROWS_STEP,
		});
	return html`<div class="row filters" role="search" aria-label="Filter events">
		<label class="row"><input type="checkbox" .checked=${live(filter.connections)}
			@change=${(/** @type {Event} */ event) =>
				filter.change({
					connections: /** @type {HTMLInputElement} */ (event.target).checked,
				})}>
			Connections</label>
		<input type="search" aria-label="Text" placeholder="Filter by text" .value=${filter.text}
			@input=${field("text")}>
		<select aria-label="Class" @change=${field("class")}><option value="">Every class</option>
			${CLASSES.map((name) => html`<option value=${name}>${name}</option>`)}</select>
		<select aria-label="What" @change=${field("what")}><option value="">Every event</option>
			${WHATS.map((name) => html`<option value=${name}>${name}</option>`)}</select>
		<button type="button" aria-pressed=${filter.paused ? "true" : "false"}
			@click=${() => filter.change({ paused: filter.paused ? null : [...dashboard.events] })}>
			${filter.paused ? `Paused${missed > 0 ? `, ${missed} new` : ""}` : "Pause"}</button>
	</div>`;
}

/** @param {BatonEvent[]} all */
function noEvents(all) {
	if (!all.length) return "Nothing happened yet.";
	return all.every(isConnection)
		? "Nobody asked for a GPU yet; clients only came and went."
		: "No event fits the filter.";
}

/** @param {DashboardState} dashboard @param {EventFilter} filter */
export function eventsView(dashboard, filter) {
	const all = filter.paused ?? dashboard.events;
	const found = filterEvents(all, filter);
	const rows = found.slice(-filter.shown).reverse();
	return html`<section class="card" aria-labelledby="events-title">
		<div class="row spread card-head"><h2 id="events-title">Events</h2>
			${filterBar(dashboard, filter)}</div>
		<div class="table-box events-box" tabindex="0" role="region"
			aria-label="List of events">
		${
			rows.length
				? html`<table class="events boxes" role="table"
			aria-labelledby="events-title">${eventHead}
			<tbody role="rowgroup">${rows.map(eventRow)}</tbody></table>`
				: html`<p class="empty">${noEvents(all)}</p>`
		}
		${
			found.length > rows.length
				? html`<p class="empty"><button type="button"
			@click=${() => filter.change({ shown: filter.shown + ROWS_STEP })}>
			Show more: ${found.length - rows.length} older</button></p>`
				: nothing
		}
		</div></section>`;
}

// @ts-check
// The tables of the page of models: which model is where, who asks for what, and what switches
// cost. Whatever others named is text. Draws only what it is given. Used by models.js.
import { nameView } from "../../ui/claim_view.js";
import { formatBytes, formatSeconds, formatTime } from "../../ui/frame.js";
import { html, nothing, repeat } from "../../ui/template.js";
import { causeOf, summaryOf } from "./switches.js";

/**
 * @typedef {import("/sdk/protocol.js").ModelState} ModelState
 * @typedef {import("/sdk/protocol.js").ModelRequest} ModelRequest
 * @typedef {import("/sdk/protocol.js").ModelSwitch} ModelSwitch
 * @typedef {import("/sdk/protocol.js").StatusWaiter} Waiter
 * @typedef {"models"|"requests"|"switches"} ListName
 * @typedef {Record<ListName, boolean> & {change(list: ListName): void}} Lists shown whole
 */

/** Of each list, at first. @type {Record<ListName, number>} */
const ROWS_FIRST = { models: 20, switches: 10, requests: 20 };

/** By state: of all pages' states the one that looks like it. @type {Record<string, string>} */
const LOOKS = {
	"not loaded": "idle",
	"waiting for memory": "waiting",
	loading: "offered",
	ready: "resident",
	leaving: "yielding",
	unloading: "yielding",
	running: "holding",
	failed: "overdue",
	"broken off": "lost",
	receiving: "idle",
	resolving: "idle",
	left: "lost",
};

/** What is in memory, or on its way, comes first. @type {Record<string, number>} */
const RANKS = { ready: 0, leaving: 0, unloading: 0, loading: 1, "waiting for memory": 2 };

/** @param {string} state */
const stateView = (state) =>
	html`<span class=${`state state-${LOOKS[state] ?? "waiting"}`}>${state}</span>`;

/** @param {number|null} seconds */
const durationView = (seconds) =>
	seconds === null ? html`<span class="faint">–</span>` : formatSeconds(seconds);

/** On a narrow screen a cell says what it is, and is left out where it says nothing.
 * @param {number|null} seconds @param {string} label */
const durationCell = (seconds, label) =>
	html`<td class="number ${seconds === null ? "unknown" : ""}" role="cell" data-label=${label}>${durationView(
		seconds,
	)}</td>`;

/**
 * A card with a table: its first rows, and a button for the others.
 * @template T
 * @param {{name: ListName, title: string, count: string, head: unknown, rows: T[],
 *   key: (row: T) => unknown, row: (row: T) => unknown, about?: unknown}} card @param {Lists} lists
 */
function tableCard({ name, title, count, head, rows, key, row, about = nothing }, lists) {
	const more = rows.length - ROWS_FIRST[name];
	const shown = lists[name] ? rows : rows.slice(0, ROWS_FIRST[name]);
	return html`<section class="card" aria-labelledby=${`${name}-title`}>
		<div class="row spread card-head"><h2 id=${`${name}-title`}>${title}</h2>
			<span class="muted">${count}</span></div>${about}
		<div class="table-box"><table class=${`${name} boxes`} role="table"
			aria-labelledby=${`${name}-title`}>
			<thead role="rowgroup"><tr role="row">${head}</tr></thead>
			<tbody role="rowgroup">${repeat(shown, key, row)}</tbody></table>${
				more > 0
					? html`<p class="empty"><button type="button" aria-expanded=${
							lists[name] ? "true" : "false"
						} @click=${() => lists.change(name)}>${
							lists[name] ? "Show fewer" : `Show ${more} more`
						}</button></p>`
					: nothing
			}</div></section>`;
}

/** @param {string} title @param {unknown} text */
const nothingCard = (title, text) =>
	html`<section class="card nothing"><h2>${title}</h2><p class="muted">${text}</p></section>`;

/** @param {ModelState} model */
function noteView(model) {
	if (model.failure) {
		return html`<span class="trouble"><span class="icon" aria-hidden="true"></span>
			<span>Failed: <bdi>${model.failure}</bdi>${
				model.retry_in_s === null
					? ""
					: `; tried again in ${formatSeconds(model.retry_in_s)}`
			}.</span></span>`;
	}
	return model.down
		? html`<span class="trouble"><span class="icon" aria-hidden="true"></span>
			<span>Its server does not answer.</span></span>`
		: nothing;
}

/** @param {ModelState} model */
function modelRow(model) {
	const note = noteView(model);
	const busy = model.running > 0 && model.state === "ready";
	return html`<tr role="row">
		<th scope="row" role="rowheader">${nameView(model.model)}${
			model.alias ? html` <span class="faint">as ${nameView(model.alias)}</span>` : nothing
		}</th>
		<td role="cell">${stateView(busy ? "running" : model.state)}${
			busy && model.running > 1
				? html` <span class="muted">${model.running} requests</span>`
				: nothing
		}</td>
		<td role="cell" data-label="on" class=${model.gpu ? "" : "unknown"}>${
			model.gpu ? html`<bdi>${model.gpu}</bdi>` : html`<span class="faint">–</span>`
		}</td>
		<td class="named" role="cell" data-label="server">${nameView(model.server)}</td>
		<td class="number ${model.vram_mb ? "" : "unknown"}" role="cell" data-label="needs">${
			model.vram_mb
				? formatBytes(model.vram_mb * 2 ** 20)
				: html`<span class="faint">–</span>`
		}</td>
		${durationCell(model.load_s, "last load")}
		<td role="cell" class="wide note">${note}</td></tr>`;
}

/** @param {ModelState[]} models @param {Lists} lists */
export function modelsView(models, lists) {
	if (!models.length) {
		return nothingCard(
			"Models",
			html`No model server is configured. Run “baton discover” in a terminal: it prints the
			lines for those on this machine, to be put under “upstreams” in the configuration.`,
		);
	}
	const rank = (/** @type {ModelState} */ model) => RANKS[model.state] ?? 3;
	const rows = models
		.map((model, i) => ({ model, i }))
		.sort((a, b) => rank(a.model) - rank(b.model) || a.i - b.i)
		.map(({ model }) => model);
	const loaded = rows.filter((model) => rank(model) === 0).length;
	return tableCard(
		{
			name: "models",
			title: "Models",
			count: `${loaded} of ${models.length} in memory`,
			head: html`<th scope="col">Model</th><th scope="col">State</th><th scope="col">GPU</th>
				<th scope="col">Server</th><th scope="col" class="number">Needs</th>
				<th scope="col" class="number">Last load</th><th scope="col">Trouble</th>`,
			rows,
			key: (model) => `${model.server}/${model.model}`,
			row: modelRow,
		},
		lists,
	);
}

/** @param {ModelRequest} request @param {Map<number, Waiter>} waiting */
function requestRow(request, waiting) {
	const place = waiting.get(request.claim);
	return html`<tr role="row">
		<th scope="row" role="rowheader">${nameView(request.client)}</th>
		<td role="cell"><span class="badge">${request.class}</span></td>
		<td class="named" role="cell" data-label="asks">${
			request.model ? nameView(request.model) : html`<span class="faint">not told</span>`
		}</td>
		<td role="cell">${stateView(request.state)}</td>
		${durationCell(request.waited_s, "waited")}
		${durationCell(request.running_s, "runs")}
		${durationCell(request.first_byte_s, "first byte")}
		<td role="cell" class="wide why">${
			place ? (place.sentence ?? place.why?.text ?? "") : nothing
		}</td></tr>`;
}

/** @param {ModelRequest[]} requests @param {Map<number, Waiter>} waiting by their claims
 * @param {Lists} lists */
export function requestsView(requests, waiting, lists) {
	if (!requests.length) {
		return nothingCard("Requests", "Nobody asks a model for anything now.");
	}
	const running = requests.filter((request) => request.state === "running").length;
	return tableCard(
		{
			name: "requests",
			title: "Requests",
			count: `${running} running, ${requests.length - running} waiting`,
			head: html`<th scope="col">Client</th><th scope="col">Class</th>
				<th scope="col">Model</th><th scope="col">State</th>
				<th scope="col" class="number">Waited</th><th scope="col" class="number">Runs</th>
				<th scope="col" class="number">First byte</th><th scope="col">When, and why</th>`,
			rows: requests.map((request, i) => ({ request, i })),
			key: ({ i }) => i,
			row: ({ request }) => requestRow(request, waiting),
		},
		lists,
	);
}

/** @param {ModelSwitch["left"][number]} left */
const leftView = ({ model, took_s }) =>
	html`<div>${
		model ? nameView(model) : html`<span class="faint">another model</span>`
	}${took_s === null ? " leaves" : ` in ${formatSeconds(took_s)}`}</div>`;

/** @param {ModelSwitch} one */
function switchRow(one) {
	return html`<tr role="row">
		<td class="nowrap" role="cell">${formatTime(one.at)}</td>
		<th scope="row" role="rowheader">${nameView(one.model)}</th>
		<td role="cell">${stateView(one.state)}</td>
		<td role="cell" data-label="on" class=${one.gpu ? "" : "unknown"}>${
			one.gpu ? html`<bdi>${one.gpu}</bdi>` : html`<span class="faint">–</span>`
		}</td>
		<td class="named" role="cell" data-label="for">${nameView(causeOf(one))}
			<span class="badge">${one.class}</span></td>
		${durationCell(one.waited_s, "waited")}
		${durationCell(one.load_s, "loaded")}
		<td role="cell" class="wide left" data-label=${one.left.length ? "left for it" : ""}>${one.left.map(
			leftView,
		)}</td></tr>`;
}

/** @param {ModelSwitch[]} switches */
function summaryView(switches) {
	const { text, last } = summaryOf(switches);
	return last
		? html`<p class="summary muted">${text}; the last for ${nameView(causeOf(last))},
			${formatSeconds(last.since_s)} ago.</p>`
		: nothing;
}

/** @param {ModelSwitch[]} switches the newest first @param {Lists} lists */
export function switchesView(switches, lists) {
	if (!switches.length) {
		return nothingCard(
			"Switches",
			"No model was brought into memory since the broker started.",
		);
	}
	return tableCard(
		{
			name: "switches",
			title: "Switches",
			count: switches.length < 32 ? `${switches.length} since the start` : "the last 32",
			about: summaryView(switches),
			head: html`<th scope="col">Asked</th><th scope="col">Model</th>
				<th scope="col">State</th><th scope="col">GPU</th><th scope="col">For</th>
				<th scope="col" class="number">Waited</th><th scope="col" class="number">Loaded</th>
				<th scope="col">Left for it</th>`,
			rows: switches,
			key: (one) => `${one.at} ${one.server}/${one.model}`,
			row: switchRow,
		},
		lists,
	);
}

// @ts-check
// The timeline: a band per client with the states it was in, from when something began (10 minutes
// at most) or over a chosen time, drawn as SVG and also as a table. A click or Enter chooses a
// band; arrow keys go from band to band.
// Draws only what it is given. Used by dashboard.js.
import { nameView } from "../../ui/claim_view.js";
import { html, nothing, svg } from "../../ui/template.js";
import { formatSeconds, formatTime } from "../../ui/frame.js";
import { STATE_WORDS, coarsen } from "./state.js";
import { statePill } from "./holders_card.js";
import { eventHead, eventRow } from "./tables.js";

/**
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("./state.js").Row} Row
 * @typedef {import("./state.js").Band} Band
 * @typedef {{minutes: number, width: number, focus: string, chosen: {row: Row, band: Band}|null,
 *   all: boolean, table: boolean, change(fields: object): void}} View
 */

const AUTO_MINUTES = [1, 2, 5, 10];
const RANGES = [
	[0, "Auto"],
	[1, "1 min"],
	[10, "10 min"],
	[60, "1 h"],
];
const ROW_HEIGHT = 26;
const ROWS_SHOWN = 12;
const BANDS_MAX = 150; // in one row; more are drawn taken together
const BAND_PX = 4;
const TICKS = 5;
const LABEL_PX = 74;
const CHARACTER_PX = 6.5;
const STATES = /** @type {(keyof STATE_WORDS)[]} */ (Object.keys(STATE_WORDS));

/**
 * By its first event, for where it begins moves with the window.
 * @param {Row} row @param {Band} band
 */
const bandKey = (row, band) => `${row.key} ${band.ids[0] ?? ""} ${band.state}`;

/** Patterns tell states apart without colours. They are drawn in their own colours. */
const patterns = html`<svg class="visually-hidden" aria-hidden="true"><defs>
	<pattern id="tl-waiting" width="6" height="6" patternUnits="userSpaceOnUse">
		<rect class="tone-soft" width="6" height="6"></rect>
		<path class="tone-line" d="M0 3h3"></path></pattern>
	<pattern id="tl-yielding" width="7" height="7" patternUnits="userSpaceOnUse"
		patternTransform="rotate(45)"><rect class="tone-yielding" width="7" height="7"></rect>
		<path class="tone-cut" d="M0 0v7"></path></pattern>
	<pattern id="tl-overdue" width="6" height="6" patternUnits="userSpaceOnUse">
		<rect class="tone-overdue" width="6" height="6"></rect>
		<path class="tone-cut thin" d="M0 0l6 6M6 0L0 6"></path></pattern>
	<pattern id="tl-lost" width="6" height="6" patternUnits="userSpaceOnUse">
		<rect class="tone-lost-soft" width="6" height="6"></rect>
		<circle class="tone-lost" cx="3" cy="3" r="1.2"></circle></pattern>
</defs></svg>`;

/** @type {Record<string, string>} */
const FILLS = {
	waiting: "url(#tl-waiting)",
	yielding: "url(#tl-yielding)",
	overdue: "url(#tl-overdue)",
	lost: "url(#tl-lost)",
};

/** @param {Band} band */
const lengthText = (band) =>
	band.to === band.from ? "at that moment" : `for ${formatSeconds((band.to - band.from) / 1000)}`;

/** @param {Row} row @param {Band} band */
function bandLabel(row, band) {
	return `${row.client}: ${STATE_WORDS[band.state]}, ${formatTime(band.from)}${
		band.open ? ", until now" : ""
	}, ${lengthText(band)}`;
}

/**
 * @param {Row} row @param {Band} band @param {View} view
 * @param {number} from @param {number} scale
 */
function bandView(row, band, view, from, scale) {
	const key = bandKey(row, band);
	const x = (band.from - from) * scale;
	const width = Math.max(3, (band.to - band.from) * scale - 1);
	const word = STATE_WORDS[band.state];
	const chosen = view.chosen !== null && bandKey(view.chosen.row, view.chosen.band) === key;
	return svg`<g class=${`band band-${band.state}${chosen ? " chosen" : ""}`} role="button"
		tabindex=${view.focus === key ? 0 : -1} data-band=${key}
		aria-pressed=${chosen ? "true" : "false"}
		@click=${() => view.change({ chosen: { row, band }, focus: key })}>
		<title>${bandLabel(row, band)}</title>
		<rect x=${x} y="3" width=${width} height=${ROW_HEIGHT - 6} rx="3"
			fill=${FILLS[band.state] ?? "currentColor"}></rect>
		${
			width > Math.max(LABEL_PX, word.length * CHARACTER_PX + 12)
				? svg`<text
			aria-hidden="true" x=${x + 7} y=${ROW_HEIGHT / 2 + 4}>${word}</text>`
				: nothing
		}</g>`;
}

/** @param {Row} row @param {View} view @param {number} from @param {number} scale */
function rowView(row, view, from, scale) {
	return html`<div class="tl-name">${nameView(row.client || "unnamed")}${
		row.session ? html` <span class="faint">#${row.session}</span>` : nothing
	}</div>
		<svg class="tl-bands" width=${view.width} height=${ROW_HEIGHT} role="group"
			aria-label=${row.client}>${row.bands.map((band) => bandView(row, band, view, from, scale))}</svg>`;
}

/** @param {View} view @param {number} from @param {number} to */
function axisView(view, from, to) {
	const count = view.width < 420 ? 2 : TICKS;
	const ticks = Array.from({ length: count + 1 }, (_, i) => i / count);
	return html`<div class="tl-name"></div>
		<svg class="tl-axis" width=${view.width} height="20" aria-hidden="true">${ticks.map((part) => {
			const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
			return svg`<text x=${part * view.width} y="14" text-anchor=${anchor}>${
				part === 1 ? "now" : formatTime(from + part * (to - from))
			}</text>`;
		})}</svg>`;
}

/** @param {Row[]} rows */
function asTable(rows) {
	const bands = rows
		.flatMap((row) => row.bands.map((band) => ({ row, band })))
		.sort((a, b) => b.band.from - a.band.from || (b.band.ids[0] ?? 0) - (a.band.ids[0] ?? 0));
	return html`<table class="tl-table boxes" role="table"><caption>The same, newest first</caption>
		<thead role="rowgroup"><tr role="row"><th scope="col">Who</th>
		<th scope="col">State</th><th scope="col">From</th>
		<th scope="col">To</th><th scope="col" class="number">Time</th>
		<th scope="col" class="number">Events</th></tr></thead>
		<tbody role="rowgroup">${bands.map(
			({ row, band }) => html`<tr role="row"
			data-events=${band.ids.join(" ")}>
			<th scope="row" role="rowheader">${nameView(row.client)} ${
				row.session ? html`<span class="faint">#${row.session}</span>` : nothing
			}</th>
			<td role="cell">${statePill(band.state)}</td>
			<td class="nowrap mono" role="cell" data-label="from">${formatTime(band.from)}</td>
			<td class="nowrap mono" role="cell" data-label="to">${band.open ? "now" : formatTime(band.to)}</td>
			<td class="number" role="cell" data-label="for">${formatSeconds((band.to - band.from) / 1000)}</td>
			<td class="number" role="cell" data-label="events">${band.ids.length}</td></tr>`,
		)}
		</tbody></table>`;
}

/** @param {DashboardState} dashboard @param {View} view */
function chosenView(dashboard, view) {
	if (!view.chosen) return nothing;
	const { row, band } = view.chosen;
	const ids = new Set(band.ids);
	const events = dashboard.events.filter((event) => ids.has(event.id));
	return html`<div class="tl-chosen stack-s" role="region" aria-label="Events of the chosen band">
		<div class="tl-head"><div class="row"><strong><bdi>${row.client}</bdi></strong>
			${statePill(band.state)}
			<span class="muted">${formatTime(band.from)}, ${lengthText(band)}</span></div>
			<button type="button" class="small quiet"
				@click=${() => view.change({ chosen: null })}>Close</button></div>
		${
			events.length
				? html`<div class="table-scroll" tabindex="0" role="region"
			aria-label="Its events"><table class="events boxes" role="table">${eventHead}
			<tbody role="rowgroup">${events.map(eventRow)}</tbody></table></div>`
				: html`<p class="muted">Its events are older than those that are kept.</p>`
		}</div>`;
}

/** The keys of the timeline: arrows move, Enter and Space choose, Escape closes. */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** @param {KeyboardEvent} event @param {Row[]} rows @param {View} view */
function onKey(event, rows, view) {
	const at = rows.findIndex((row) => row.bands.some((band) => bandKey(row, band) === view.focus));
	if (at < 0) return;
	const row = rows[at];
	const index = row.bands.findIndex((band) => bandKey(row, band) === view.focus);
	if (event.key === "Enter" || event.key === " ") {
		event.preventDefault();
		view.change({ chosen: { row, band: row.bands[index] } });
	} else if (event.key === "Escape") {
		view.change({ chosen: null });
	} else if (event.key in MOVES) {
		event.preventDefault();
		const [down, right] = MOVES[/** @type {keyof MOVES} */ (event.key)];
		const next = rows[Math.min(rows.length - 1, Math.max(0, at + down))];
		const wanted = down ? nearest(next, row.bands[index].from) : index + right;
		const band = next.bands[Math.min(next.bands.length - 1, Math.max(0, wanted))];
		view.change({ focus: bandKey(next, band) });
	}
}

/**
 * After each drawing: elements are used again for other bands, so the focus follows its band.
 * @param {View} view
 */
export function keepFocus(view) {
	const now = document.activeElement?.getAttribute("data-band") ?? view.focus;
	if (now === view.focus) return;
	/** @type {NodeListOf<SVGElement>} */
	const all = document.querySelectorAll("[data-band]");
	for (const made of all) {
		if (made.getAttribute("data-band") === view.focus) made.focus();
	}
}

/** @param {Row} row @param {number} at */
function nearest(row, at) {
	const distance = (/** @type {Band} */ band) =>
		Math.max(band.from - at, at - Math.max(band.to, band.from), 0);
	return row.bands.reduce(
		(best, band, i) => (distance(band) < distance(row.bands[best]) ? i : best),
		0,
	);
}

/** The states that occur. @param {Row[]} rows */
function legend(rows) {
	const seen = new Set(rows.flatMap((row) => row.bands.map((band) => band.state)));
	return html`<ul class="tl-legend" aria-label="States">${STATES.filter((state) =>
		seen.has(state),
	).map((state) => html`<li>${statePill(state)}</li>`)}</ul>`;
}

/** As much time as there is something to show of. @param {DashboardState} dashboard
 * @param {number} to */
function autoMinutes(dashboard, to) {
	const began = Math.min(
		to,
		...[...dashboard.tracks.values()].map((track) => track.spans[0]?.from ?? to),
	);
	const minutes = (to - began) / 60_000;
	return (
		AUTO_MINUTES.find((step) => step >= minutes) ?? /** @type {number} */ (AUTO_MINUTES.at(-1))
	);
}

/** @param {View} view */
function spanButtons(view) {
	return html`<div class="segmented" role="group" aria-label="Time shown">
		${RANGES.map(
			([minutes, text]) => html`<button type="button"
			aria-pressed=${view.minutes === minutes ? "true" : "false"}
			@click=${() => view.change({ minutes })}>${text}</button>`,
		)}</div>`;
}

/** @param {DashboardState} dashboard @param {View} view */
export function timelineView(dashboard, view) {
	const to = dashboard.now();
	const from = to - (view.minutes || autoMinutes(dashboard, to)) * 60_000;
	const rows = dashboard.status ? dashboard.timeline(from, to) : [];
	const scale = view.width / (to - from);
	const shown = (view.all ? rows : rows.slice(0, ROWS_SHOWN)).map((row) =>
		row.bands.length > BANDS_MAX ? { ...row, bands: coarsen(row.bands, BAND_PX / scale) } : row,
	);
	const keys = shown.flatMap((row) => row.bands.map((band) => bandKey(row, band)));
	if (!keys.includes(view.focus)) view.focus = keys[0] ?? "";
	if (!dashboard.tracks.size) {
		return html`<section class="card timeline nothing" aria-labelledby="timeline-title">
			<h2 id="timeline-title">Timeline</h2>
			<p class="muted">Nobody asked for a GPU in the last hour.</p></section>`;
	}
	return html`<section class="card timeline" aria-labelledby="timeline-title">
		${patterns}
		<div class="row spread card-head"><h2 id="timeline-title">Timeline</h2>
			${spanButtons(view)}</div>
		<div class="tl-grid" @keydown=${(/** @type {KeyboardEvent} */ event) => onKey(event, shown, view)}>
			${shown.map((row) => rowView(row, view, from, scale))}
			${rows.length ? axisView(view, from, to) : nothing}
			<div class="tl-name tl-measure"></div><div class="tl-measure" id="tl-measure"></div>
		</div>
		${rows.length ? legend(shown) : html`<p class="empty">Nobody asked for a GPU in this time.</p>`}
		${
			rows.length > ROWS_SHOWN
				? html`<button type="button" class="small"
			@click=${() => view.change({ all: !view.all })}>${
				view.all ? "Show fewer" : `Show ${rows.length - ROWS_SHOWN} more`
			}</button>`
				: nothing
		}
		${chosenView(dashboard, view)}
		${
			rows.length
				? html`<details class="tl-details" @toggle=${(/** @type {Event} */ event) =>
						view.change({
							table: /** @type {HTMLDetailsElement} */ (event.target).open,
						})}>
			<summary>As a table</summary>
			<div class="table-scroll" tabindex="0" role="region" aria-label="Timeline as a table">
			${view.table ? asTable(rows) : nothing}</div></details>`
				: nothing
		}
	</section>`;
}

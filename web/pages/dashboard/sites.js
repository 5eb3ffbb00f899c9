// @ts-check
// Sites of other origins that may queue for the GPU, and those that ask to. Each is shown as its
// origin, which the browser vouches for, and as nothing that it says of itself. Over HTTP, since it
// is nobody's claim. Used by dashboard.js, by whom may act.
import { call, confirmDialog, formatSeconds, showError } from "../../ui/frame.js";
import { html, nothing, render } from "../../ui/template.js";

const LOOK_EVERY_MS = 5000;

/**
 * @typedef {{ask: number, origin: string, since_s: number}} Asking
 * @typedef {{site: number, origin: string, allowed: string, used?: string, sessions: number}} Site
 * @typedef {{asking: Asking[], sites: Site[]}} Known
 */

/**
 * Draws them into a place of the page, and looks again when that comes to be seen, and while it is.
 * @param {HTMLElement} place
 */
export function followSites(place) {
	async function look() {
		try {
			if (!document.hidden) draw(/** @type {Known} */ (await call("GET", "/v1/sites")));
		} catch {} // the page's session says what is wrong with the connection
	}

	/** @param {import("../../ui/frame.js").Question} question @param {string} path */
	async function act(question, path) {
		if (!(await confirmDialog(question))) return;
		await call("POST", `/v1/sites/${path}`).catch(showError);
		look();
	}

	/** @param {Asking} row */
	const allow = ({ ask, origin }) =>
		act(
			{
				title: `Let ${origin} queue?`,
				action: "Allow",
				danger: false,
				body:
					"Its pages may wait for the GPU, hold it and give it back, until you "
					+ "revoke that. Look at the address letter by letter: it is all that says who asks.",
			},
			`${ask}/allow`,
		);
	/** @param {Asking} row */
	const refuse = ({ ask }) => call("POST", `/v1/sites/${ask}/refuse`).catch(showError).then(look);
	/** @param {Site} row */
	const revoke = ({ site, origin }) =>
		act(
			{
				title: `Revoke ${origin}?`,
				action: "Revoke",
				body: "What its pages hold and wait for is over now. It can ask again.",
			},
			`${site}/revoke`,
		);

	/** @param {Known} said */
	function draw({ asking, sites }) {
		if (asking.length + sites.length === 0) {
			render(nothing, place);
			return;
		}
		render(
			html`<section class="card" aria-labelledby="sites-title">
			<h2 id="sites-title">Sites</h2>
			${asking.map(
				(row) => html`<div class="notice site-asks" role="status">
				<strong><code>${row.origin}</code></strong> asks to queue for the GPU
				(${formatSeconds(row.since_s)} ago).
				<button type="button" class="small" @click=${() => allow(row)}>Allow…</button>
				<button type="button" class="small"
					@click=${() => refuse(row)}>Refuse</button></div>`,
			)}
			${
				sites.length
					? html`<ul class="plain">${sites.map(
							(row) => html`<li>
				<code>${row.origin}</code> may queue; last used ${
					row.used ? new Date(row.used).toLocaleString() : "never"
				}, ${row.sessions} connected
				<button type="button" class="small danger"
					@click=${() => revoke(row)}>Revoke…</button></li>`,
						)}</ul>`
					: nothing
			}
			</section>`,
			place,
		);
	}

	look();
	setInterval(look, LOOK_EVERY_MS);
	document.addEventListener("visibilitychange", look);
}

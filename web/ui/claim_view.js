// @ts-check
// How a claim is shown wherever one is: its name, however long, and what is behind the sentence of
// its wait. Draws only what it is given. Used by the dashboard and the queue panel.
import { html, nothing } from "./template.js";
import { formatTime } from "./frame.js";

const NAME_CHARS = 48; // more may need a third line

/**
 * @typedef {{estimate?: string, guaranteedBy?: string|null, boundText?: string}} Told
 */

/** A long name takes two lines; all of it is seen where it has the focus. @param {string} name */
export function nameView(name) {
	return name.length <= NAME_CHARS
		? html`<bdi>${name}</bdi>`
		: html`<bdi class="clamp" tabindex="0">${name}</bdi>`;
}

/** What a wait was told beyond its sentence: how sure it is, and what is promised.
 * @param {Told} told */
export function toldView({ estimate, guaranteedBy, boundText }) {
	const words = estimate
		? `${estimate[0].toUpperCase()}${estimate.slice(1)}.`
		: "Nothing is known yet of such waits.";
	return html`<p>${words}</p>
		${
			guaranteedBy
				? html`<p>Guaranteed by ${formatTime(guaranteedBy)}, as long as the broker
			runs and nobody pauses it.</p>`
				: boundText
					? html`<p>Nothing is guaranteed. ${boundText}</p>`
					: nothing
		}`;
}

/** The limit that the broker told a waiter of a holder, as its sentence has it; "": none is known.
 * @param {number} lease @param {{why?: {holder?: number, gives_way_in_s?: number}}[]} waiting */
export function limitText(lease, waiting) {
	const told = waiting.find(
		({ why }) => why?.holder === lease && why.gives_way_in_s !== undefined,
	)?.why?.gives_way_in_s;
	if (told === undefined) return "";
	return told > 0
		? `must give way in ${formatLimit(told)}, now that others wait`
		: "must give way now";
}

/** Rounded up to two digits, as the broker writes a limit (told_duration): of one limit a page
 * shows one time. @param {number} s */
export function formatLimit(s) {
	const ms = Math.round(s * 1000);
	const up = (/** @type {number} */ step) => Math.ceil(ms / step);
	if (ms < 995 && up(10) % 10) return `${up(10) / 100} s`;
	const [step, unit] = ms < 1e5 ? [1000, "s"] : ms < 6e6 ? [6e4, "min"] : [36e5, "h"];
	return `${ms < 10 * step ? up(step / 10) / 10 : up(step)} ${unit}`;
}

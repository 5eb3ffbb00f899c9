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

/** The limit that the broker told a waiter of a holder, in seconds, rounded up as in its sentence;
 * null: none.
 * @param {number} lease @param {{why?: {holder?: number, gives_way_in_s?: number}}[]} waiting */
export function limitOf(lease, waiting) {
	const told = waiting.find(
		({ why }) => why?.holder === lease && why.gives_way_in_s !== undefined,
	)?.why?.gives_way_in_s;
	if (told === undefined) return null;
	return told < 10 ? Math.ceil(told * 10) / 10 : Math.ceil(told);
}

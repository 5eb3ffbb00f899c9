// @ts-check
// The libraries that Console, Mic, Dreamer and the VRAM chart need. They are laid beside the broker
// after it answers (`make pages`), all at once; until then this says how far that is, and who waits
// goes on by itself. Used by start.js and the dashboard.
import { element } from "./frame.js";

const ASK_EVERY_MS = 1000;
const STUCK_S = 90;

/** @typedef {{ready: boolean, step?: number, of?: number, text?: string, failed?: boolean,
 *   at?: number}} LibraryState */

/** Null: nobody has begun to lay them. @returns {Promise<LibraryState|null>} */
export async function libraryState() {
	const answer = await fetch("/vendor/state.json", { cache: "no-store" }).catch(() => null);
	return answer?.ok ? answer.json().catch(() => null) : null;
}

/** What to tell a person. @param {LibraryState|null} state @param {number} now seconds */
export function libraryWords(state, now = Date.now() / 1000) {
	if (!state) return "Nobody has laid them beside the broker yet.";
	if (state.failed) return `That did not work: ${state.text}.`;
	const waits = now - (state.at ?? now);
	const step = `Step ${state.step} of ${state.of}: ${state.text}.`;
	return waits < STUCK_S ? step : `${step} Nothing has moved for ${Math.round(waits)} s.`;
}

/** @param {LibraryState|null} state */
const moves = (state) =>
	state !== null && !state.failed && Date.now() / 1000 - (state.at ?? 0) < STUCK_S;

/**
 * Shows the state in `place` until they are there.
 * @param {Element} place @param {string} what needs them, such as "This page"
 */
export async function awaitLibraries(place, what) {
	const words = element("p", { role: "status" });
	const bar = element("progress", { "aria-label": "Laying the libraries" });
	const command = element(
		"div",
		{},
		element("p", {}, "In a terminal, in the folder of Baton's sources, run:"),
		element("pre", {}, "make pages"),
	);
	const box = element(
		"div",
		{ class: "stack-s libraries" },
		element("p", {}, `${what} needs libraries that are not here yet. They come by npm, once.`),
		words,
		bar,
		command,
	);
	place.append(box);
	for (;;) {
		const state = await libraryState();
		if (state?.ready) break;
		const text = libraryWords(state);
		if (words.textContent !== text) words.textContent = text;
		bar.hidden = !moves(state);
		command.hidden = moves(state);
		if (state?.of) {
			bar.setAttribute("max", String(state.of));
			bar.setAttribute("value", String((state.step ?? 1) - 0.5));
		}
		await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
	}
	box.remove();
}

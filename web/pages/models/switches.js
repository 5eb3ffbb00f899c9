// @ts-check
// What switches cost, in words: pure, so that it is tested without a browser. For models.js and its
// tables.
import { formatSeconds } from "../../ui/frame.js";

/** @typedef {import("/sdk/protocol.js").ModelSwitch} ModelSwitch */

const HOUR_S = 3600;
const KEPT = 32; // the broker forgets those before them

/** @param {number} count @param {string} word */
export const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "es"}`;

/** Somebody's name, or that it is not told. @param {ModelSwitch} one */
export const causeOf = (one) => one.client ?? "another key";

/** Whether a model came in by it. @param {ModelSwitch} one */
const cameIn = (one) => one.state === "ready";

/**
 * The last hour in a sentence; "" where nothing was switched. Who caused the last one is said apart,
 * for it is a name.
 * @param {ModelSwitch[]} switches the newest first
 */
export function summaryOf(switches) {
	const recent = switches.filter((one) => one.since_s <= HOUR_S && cameIn(one));
	const last = switches.find(cameIn);
	if (!last) return { text: "", last: null };
	const all = switches.length >= KEPT && recent.length === switches.filter(cameIn).length;
	const loading = recent.reduce((sum, one) => sum + (one.load_s ?? 0), 0);
	return {
		text: `${all ? "At least " : ""}${counted(recent.length, "switch")} in the last hour, ${formatSeconds(
			loading,
		)} of loading`,
		last,
	};
}

/** @param {ModelSwitch[]} before @param {ModelSwitch[]} now
 * @returns {ModelSwitch[]} that were not ready, and are: the newest first */
export function newlyReady(before, now) {
	const known = new Set(before.filter(cameIn).map((one) => one.at + one.model + one.server));
	return now.filter((one) => cameIn(one) && !known.has(one.at + one.model + one.server));
}

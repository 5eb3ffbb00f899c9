// @ts-check
// Asks a chat model to tidy what was transcribed. A refiner is anything that turns an engine's chat
// into a turn: a ModelHost with a model of this page, or a SharedModel, which asks whoever serves it.
// Renders nothing. Used by mic.js; also runs in Node.

const TASK =
	"You tidy dictated text. Mend punctuation, capitals and words that were misheard, "
	+ "and drop filler words. Keep the language, the meaning and the order. Answer with the text "
	+ "alone.";

/** A model that runs away is cut off: tidied text is about as long as what was said. */
const TOKENS_MIN = 64;

/**
 * @typedef {object} Turns What a refiner stands on; a ModelHost is one.
 * @property {(options: import("../../inference/model_host.js").TurnOptions,
 *     fn: (engine: ChatEngine, lease: unknown) => Promise<string>) => Promise<string>} turn
 *
 * @typedef {object} ChatEngine The part of an engine that is needed here.
 * @property {(messages: {role: string, content: string}[], options: object) =>
 *     Promise<{text: string}>} chat
 *
 * @typedef {object} RefineOptions
 * @property {AbortSignal} [signal]
 * @property {(delta: string, full: string) => void} [onText]
 * @property {(queued: import("/sdk/types.js").QueueInfo) => void} [onQueue]
 * @property {(progress: {text: string, fraction?: number, file?: string}) => void} [onProgress]
 * @property {() => void} [onBegin] The GPU is ours and the model is there.
 */

/**
 * @param {Turns} turns
 * @param {string} text
 * @param {RefineOptions} [o]
 * @returns {Promise<string>}
 */
export async function refine(turns, text, o = {}) {
	const { signal, onText, onQueue, onProgress } = o;
	/** @type {import("../../inference/model_host.js").TurnOptions} */
	const options = { key: "refine", class: "voice", signal, onQueue, onProgress };
	const refined = await turns.turn(options, async (engine) => {
		o.onBegin?.();
		const answer = await engine.chat(messages(text), {
			signal,
			onText,
			maxTokens: TOKENS_MIN + Math.ceil(text.length / 2),
		});
		return answer.text;
	});
	return unquote(refined.trim());
}

/** @param {string} text */
export function messages(text) {
	return [
		{ role: "system", content: TASK },
		{ role: "user", content: text },
	];
}

/** Small models like to put their answer in quotes. @param {string} text */
function unquote(text) {
	const match = /^["“”](.*)["“”]$/s.exec(text);
	return match && !/["“”]/.test(match[1]) ? match[1] : text;
}

// @ts-check
// Waiting for a condition, with a deadline. Tests wait with this; none sleeps.

const EVERY_MS = 20;
const AT_MOST_MS = 100;

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Polls until `fn` gives something true, and returns that. What it throws counts as "not yet" and
 * is shown when the deadline has passed. Without `every` it asks less often as time goes on: who is
 * asked has other work to do.
 * @template T
 * @param {() => T | Promise<T>} fn
 * @param {{ms?: number, every?: number, what?: string}} [options]
 * @returns {Promise<T>}
 */
export async function until(fn, { ms = 20000, every, what = fn.toString() } = {}) {
	const begin = performance.now();
	let last;
	for (;;) {
		try {
			last = await fn();
			if (last) return last;
		} catch (error) {
			last = error;
		}
		const passed = performance.now() - begin;
		if (passed >= ms) {
			const seen = last instanceof Error ? last.message : JSON.stringify(last);
			throw new Error(`not within ${ms} ms: ${what} (last: ${seen})`);
		}
		await pause(every ?? Math.min(EVERY_MS + passed / 20, AT_MOST_MS));
	}
}

/**
 * The promise's value, or an error that says what did not come in time.
 * @template T
 * @param {Promise<T>} promise
 * @param {{ms?: number, what?: string}} [options]
 * @returns {Promise<T>}
 */
export async function within(promise, { ms = 20000, what = "an answer" } = {}) {
	/** @type {NodeJS.Timeout | undefined} */
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
	});
	try {
		return /** @type {T} */ (await Promise.race([promise, late]));
	} finally {
		clearTimeout(timer);
	}
}

/**
 * Waits until an element's text is this, or matches: a page shows what it is told a moment later.
 * @param {import("playwright-core").Locator} locator @param {RegExp | string} wanted
 */
export function untilText(locator, wanted) {
	const fits = (/** @type {string} */ text) =>
		typeof wanted === "string" ? text === wanted : wanted.test(text);
	return until(
		async () => {
			const text = await locator.innerText({ timeout: 1000 });
			if (!fits(text)) throw new Error(text);
			return true;
		},
		{ what: `the text ${wanted}` },
	);
}

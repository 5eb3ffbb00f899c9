// @ts-check
// Waiting for a condition, with a deadline. Tests wait with this; none sleeps.

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Polls until `fn` gives something true, and returns that. What it throws counts as "not yet" and
 * is shown when the deadline has passed.
 * @template T
 * @param {() => T | Promise<T>} fn
 * @param {{ms?: number, every?: number, what?: string}} [options]
 * @returns {Promise<T>}
 */
export async function until(fn, { ms = 10000, every = 20, what = fn.toString() } = {}) {
	const end = performance.now() + ms;
	let last;
	for (;;) {
		try {
			last = await fn();
			if (last)
				return last;
		} catch (error) {
			last = error;
		}
		if (performance.now() >= end) {
			const seen = last instanceof Error ? last.message : JSON.stringify(last);
			throw new Error(`not within ${ms} ms: ${what} (last: ${seen})`);
		}
		await pause(every);
	}
}

/**
 * The promise's value, or an error that says what did not come in time.
 * @template T
 * @param {Promise<T>} promise
 * @param {{ms?: number, what?: string}} [options]
 * @returns {Promise<T>}
 */
export async function within(promise, { ms = 10000, what = "an answer" } = {}) {
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

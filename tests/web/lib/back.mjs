// @ts-check
// Out of Chromium's back/forward cache. A browser that is short of memory or time throws a page out
// that has done nothing for it: then a test begins anew, and is skipped where that happens each time.
// No other reason counts.
import { test } from "node:test";
import { until } from "./until.mjs";

/** @typedef {import("./cdp.mjs").Tab} Tab */

const TRIES = 3;
/** Of the "circumstantial" ones, those that no page can bring about. The names are Chromium's, see
 * Page.BackForwardCacheNotRestoredReason of its DevTools protocol. */
const SHORT = /^(CacheLimit|CacheFlushed|ForegroundCacheLimit|Timeout|.*LowMemory)/;

class ThrownOut extends Error {}

/** Back to the page before, which is to be as it was left. @param {Tab} tab */
export async function back(tab) {
	tab.notCached = undefined;
	const { currentIndex, entries } = await tab.send("Page.getNavigationHistory");
	const { id, url } = entries[currentIndex - 1];
	const loads = tab.loads;
	await tab.send("Page.navigateToHistoryEntry", { entryId: id });
	await until(() => tab.notCached ?? tab.run("(url) => location.href === url", url), {
		what: "it is back",
	});
	if (!tab.notCached && tab.loads === loads) return;
	const reasons = (tab.notCached ?? []).map(({ reason }) => reason);
	const told = `it did not come out of the cache: ${reasons.join() || "loaded anew"}`;
	if (reasons.length && reasons.every((reason) => SHORT.test(reason))) throw new ThrownOut(told);
	throw new Error(told);
}

/**
 * A test that goes back(). Where the browser threw the page out it begins anew, after `clean`.
 * @param {string} name @param {(t: import("node:test").TestContext) => Promise<void>} fn
 * @param {() => Promise<unknown>} clean
 */
export function cacheTest(name, fn, clean) {
	test(name, async (t) => {
		for (let tries = 1; ; tries++)
			try {
				await fn(t);
				return;
			} catch (error) {
				if (!(error instanceof ThrownOut)) throw error;
				await clean();
				if (tries === TRIES) {
					t.skip(error.message);
					return;
				}
			}
	});
}

// @ts-check
// A tab that Chromium discards, as it does to save memory: asked by its own page chrome://discards,
// for DevTools cannot ask for it, and no tab is discarded to which they are attached.
import { until } from "./until.mjs";

/** @typedef {import("./cdp.mjs").Chromium} Chromium */
/** @typedef {import("./cdp.mjs").Tab} Tab */

/** @type {WeakMap<Chromium, Tab>} the page of each browser */
const pages = new WeakMap();

/** @param {Chromium} browser */
async function discardsPage(browser) {
	const tab = await browser.page("chrome://chrome-urls/");
	await until(
		async () => {
			await tab.run(`() => document.querySelector("chrome-urls-app")
			.shadowRoot.querySelector("cr-button").click()`);
			await tab.goto("chrome://discards/");
			return (await tab.run("() => location.host")) === "discards";
		},
		{ what: "chrome://discards is allowed" },
	);
	pages.set(browser, tab);
	return tab;
}

/** Runs in chrome://discards: clicks in the row of that tab. @param {string} url */
function clickDiscard(url) {
	/** @type {(root: any, selector: string) => any[]} */
	const deep = (root, selector) =>
		[...root.querySelectorAll("*")].flatMap((element) => [
			...(element.matches(selector) ? [element] : []),
			...(element.shadowRoot ? deep(element.shadowRoot, selector) : []),
		]);
	const row = deep(document, "tr").find((/** @type {any} */ { cells }) =>
		[...cells].some((cell) => cell.innerText.trim() === url),
	);
	const link =
		row
		&& deep(row, "*").find(
			(element) =>
				element.innerText.trim() === "[Urgent Discard]" && !element.children.length,
		);
	link?.click();
	return Boolean(link);
}

/** @param {Tab} tab */
const targets = async ({ browser }) =>
	(await browser.send("Target.getTargets")).targetInfos.filter(({ type }) => type === "page");

/** Its renderer ends without a word to the page. Only one tab may be at that address.
 * @param {Tab} tab */
export async function discard(tab) {
	const { browser, targetId: was } = tab;
	const url = await tab.run("() => location.href");
	const page = pages.get(browser) ?? (await discardsPage(browser));
	await page.activate();
	const old = (await targets(tab)).map(({ targetId }) => targetId);
	await browser.send("Target.detachFromTarget", { sessionId: tab.sessionId });
	await until(
		async () => {
			await page.run(clickDiscard, url);
			const now = await targets(tab);
			const next = now.find(({ targetId }) => !old.includes(targetId));
			tab.targetId = next?.targetId ?? was;
			return next && now.every(({ targetId }) => targetId !== was);
		},
		{ what: "the tab is discarded" },
	);
}

/** Somebody looks at it: it is loaded anew. @param {Tab} tab */
export async function wake(tab) {
	await tab.activate();
	await tab.browser.attach(tab);
	await until(
		() => tab.run("() => document.wasDiscarded && document.readyState === 'complete'"),
		{ what: "the discarded page is loaded" },
	);
}

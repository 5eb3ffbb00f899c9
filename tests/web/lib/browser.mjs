// @ts-check
// Chromium through Playwright, for the tests of ordinary pages: clicking, typing, looking. It
// emulates focus and keeps background tabs awake, so whatever is about hidden, frozen or dying tabs
// uses cdp.mjs.
import { chromiumPath, load } from "./packages.mjs";

const ARGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** @typedef {import("playwright-core").Page & {problems: string[]}} TestPage */

export class PageBrowser {
	/**
	 * @param {import("playwright-core").Browser} browser
	 * @param {import("playwright-core").BrowserContext} context
	 */
	constructor(browser, context) {
		this.browser = browser;
		this.context = context;
		/** @type {Set<string>} bases of the daemons that this profile is signed in at */
		this.signedIn = new Set();
	}

	/** A new tab; `problems` collects what it throws and what it logs as an error. */
	async page() {
		const page = /** @type {TestPage} */ (await this.context.newPage());
		page.problems = [];
		page.on("pageerror", (error) => page.problems.push(`${error.stack ?? error}`));
		page.on("console", (message) => {
			if (message.type() === "error")
				page.problems.push(`${message.text()} (${message.location().url})`);
		});
		return page;
	}

	/**
	 * A new tab at a path of the daemon, signed in by a one-time link when the profile is not yet.
	 * @param {import("./daemon.mjs").Daemon} daemon @param {string} [path]
	 */
	async signedInPage(daemon, path = "/") {
		const page = await this.page();
		if (!this.signedIn.has(daemon.base)) {
			await page.goto(await daemon.link());
			await page.waitForURL((url) => !url.search);
			this.signedIn.add(daemon.base);
			page.problems.length = 0;
		}
		await page.goto(daemon.base + path);
		return page;
	}

	async close() {
		await this.browser.close();
	}
}

/**
 * Starts a browser with an empty profile. `context` goes to Playwright's newContext (colorScheme,
 * viewport, permissions, reducedMotion).
 * @param {{args?: string[], context?: import("playwright-core").BrowserContextOptions}} [options]
 */
export async function openBrowser({ args = [], context = {} } = {}) {
	const browser = await load("playwright-core").chromium.launch(
		{ executablePath: chromiumPath, args: [...ARGS, ...args] });
	return new PageBrowser(browser, await browser.newContext(context));
}

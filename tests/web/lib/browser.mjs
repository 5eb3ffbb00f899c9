// @ts-check
// Chromium through Playwright, for the tests of ordinary pages: clicking, typing, looking. It
// emulates focus and keeps background tabs awake, so whatever is about hidden, frozen or dying tabs
// uses cdp.mjs.
import { withoutUnseen } from "./features.mjs";
import { chromiumPath, load } from "./packages.mjs";
import { within } from "./until.mjs";

// V8 would optimise the engines' WebAssembly for longer than the demo models compute. Without a GPU
// pages are painted faster by the CPU than by a GPU that is emulated on it.
const ARGS = [
	"--no-sandbox",
	"--disable-gpu-rasterization",
	"--js-flags=--liftoff-only",
	"--enable-unsafe-webgpu",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];
/** What Playwright itself leaves out: chromiumSwitches.js. */
const PLAYWRIGHT_OFF = [
	"AutoDeElevate",
	"AvoidUnnecessaryBeforeUnloadCheckSync",
	"BoundaryEventDispatchTracksNodeRemoval",
	"DestroyProfileOnBrowserClose",
	"DialMediaRouteProvider",
	"GlobalMediaControls",
	"HttpsUpgrades",
	"LensOverlay",
	"MediaRouter",
	"OptimizationHints",
	"PaintHolding",
	"RenderDocument",
	"ThirdPartyStoragePartitioning",
	"Translate",
];
const KEPT_MS = 100; // a browser that nobody uses, for the next test

/** @typedef {{browser: Promise<import("playwright-core").Browser>, users: number,
 *   timer?: NodeJS.Timeout}} SharedBrowser */

/** @type {Map<string, SharedBrowser>} those that run, by their arguments */
const running = new Map();

/** @param {string[]} args */
function takeBrowser(args) {
	const key = args.join(" ");
	const shared = running.get(key) ?? { browser: launch(args), users: 0 };
	running.set(key, shared);
	shared.users++;
	clearTimeout(shared.timer);
	return shared;
}

/** @param {string[]} args @returns {Promise<import("playwright-core").Browser>} */
const launch = (args) =>
	load("playwright-core").chromium.launch({
		executablePath: chromiumPath,
		args: withoutUnseen([...ARGS, ...args], PLAYWRIGHT_OFF),
	});

/** The last one closes it, unless somebody comes soon. @param {SharedBrowser} shared */
function leaveBrowser(shared) {
	if (--shared.users > 0) return;
	shared.timer = setTimeout(async () => {
		for (const [key, one] of running) if (one === shared) running.delete(key);
		await (await shared.browser.catch(() => undefined))?.close();
	}, KEPT_MS);
}

/** @typedef {import("playwright-core").Page & {problems: string[]}} TestPage */

export class PageBrowser {
	/** @param {SharedBrowser} shared @param {import("playwright-core").BrowserContext} context */
	constructor(shared, context) {
		this.shared = shared;
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
		// One that does not close ends with its browser.
		await within(this.context.close(), { ms: 5000 }).catch(() => undefined);
		leaveBrowser(this.shared);
	}
}

/**
 * An empty profile, in a browser that others with the same `args` may share. `context` goes to
 * Playwright's newContext (colorScheme, viewport, permissions, reducedMotion, which is "reduce" if
 * not given: nothing moves only to be looked at).
 * @param {{args?: string[], context?: import("playwright-core").BrowserContextOptions}} [options]
 */
export async function openBrowser({ args = [], context = {} } = {}) {
	const shared = takeBrowser(args);
	try {
		const browser = await shared.browser;
		return new PageBrowser(
			shared,
			await browser.newContext({ reducedMotion: "reduce", ...context }),
		);
	} catch (error) {
		leaveBrowser(shared);
		throw error;
	}
}

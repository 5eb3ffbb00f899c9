// @ts-check
// Chromium over the raw DevTools protocol, for the tests of tab lifecycles. Playwright would hide
// the truth there: it emulates focus, so that no tab is ever hidden or frozen, and switches the
// throttling of background tabs off. Tests of ordinary pages use browser.mjs.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withoutUnseen } from "./features.mjs";
import { chromiumPath } from "./packages.mjs";
import { Remote, launchRemote } from "./remote.mjs";
import { until } from "./until.mjs";

const ARGS = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu-rasterization",
	"--enable-unsafe-webgpu",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--remote-debugging-port=0",
];

/** One tab. */
export class Tab {
	/** @param {Chromium} browser @param {string} targetId @param {string} sessionId */
	constructor(browser, targetId, sessionId) {
		this.browser = browser;
		this.targetId = targetId;
		this.sessionId = sessionId;
		this.loads = 0;
		/** How many loads were over when each document came, by its loader.
		 * @type {Map<string, number>} */
		this.documents = new Map();
		this.crashed = false;
		/** Why the page that was navigated to was not taken from the back/forward cache.
		 * @type {{type: string, reason: string}[] | undefined} */
		this.notCached = undefined;
		/** @type {string[]} what the page wrote to its console, and what it threw uncaught */
		this.console = [];
	}

	/**
	 * A command to this tab.
	 * @param {string} method @param {object} [params] @param {number} [ms]
	 */
	send(method, params = {}, ms = 30000) {
		return this.browser.send(method, params, this.sessionId, ms);
	}

	/** @param {{method: string, params: any}} message */
	hear({ method, params }) {
		if (method === "Page.loadEventFired") this.loads++;
		else if (method === "Page.frameNavigated" && !params.frame.parentId)
			this.documents.set(params.frame.loaderId, this.loads);
		else if (method === "Page.backForwardCacheNotUsed")
			this.notCached = params.notRestoredExplanations;
		else if (method === "Runtime.consoleAPICalled")
			this.console.push(
				params.args.map((/** @type {any} */ a) => a.value ?? a.description).join(" "),
			);
		else if (method === "Runtime.exceptionThrown")
			this.console.push(
				params.exceptionDetails.exception?.description ?? params.exceptionDetails.text,
			);
		else if (method === "Inspector.targetCrashed") {
			this.crashed = true;
			this.browser.forget(this.sessionId, "the tab crashed");
		}
	}

	/**
	 * Calls a function in the page with these arguments (JSON); its value, awaited.
	 * @param {Function | string} fn @param {...any} args
	 * @returns {Promise<any>}
	 */
	async run(fn, ...args) {
		const answer = await this.send(
			"Runtime.evaluate",
			{
				awaitPromise: true,
				returnByValue: true,
				userGesture: true,
				expression: `(${fn})(...${JSON.stringify(args)})`,
			},
			120000,
		);
		if (answer.exceptionDetails) {
			const thrown = answer.exceptionDetails.exception;
			throw new Error(thrown?.description ?? answer.exceptionDetails.text);
		}
		return answer.result.value;
	}

	/**
	 * Goes there and waits for the page to be loaded, or one to which it leads on: what was there
	 * before may be told late to have been loaded.
	 * @param {string} url
	 */
	async goto(url) {
		const { errorText, loaderId } = await this.send("Page.navigate", { url });
		if (errorText) throw new Error(`${url}: ${errorText}`);
		await until(() => this.loads > (this.documents.get(loaderId) ?? Infinity), {
			what: `${url} loads`,
			ms: 30000,
			every: 5,
		});
	}

	async reload() {
		const loads = this.loads;
		await this.send("Page.reload");
		await until(() => this.loads > loads, { what: "the page reloads", ms: 30000, every: 5 });
	}

	/** Brings this tab to the front; the one that was there is hidden by it. */
	async activate() {
		await this.browser.send("Target.activateTarget", { targetId: this.targetId });
	}

	async freeze() {
		await this.send("Page.setWebLifecycleState", { state: "frozen" });
	}

	async resume() {
		await this.send("Page.setWebLifecycleState", { state: "active" });
	}

	/** Kills the tab's renderer. */
	async crash() {
		await this.send("Page.crash").catch(() => undefined);
		await until(() => this.crashed, { what: "the tab crashes", every: 5 });
	}

	async close() {
		await this.browser.send("Target.closeTarget", { targetId: this.targetId });
		this.browser.tabs.delete(this.sessionId);
		this.browser.forget(this.sessionId, "the tab was closed");
	}
}

export class Chromium extends Remote {
	/** @type {Map<string, Tab>} */
	tabs = new Map();

	/** @param {any} message */
	tell(message) {
		this.tabs.get(message.sessionId)?.hear(message);
	}

	/**
	 * @param {string} method @param {object} [params] @param {string} [sessionId]
	 * @param {number} [ms]
	 * @returns {Promise<any>}
	 */
	send(method, params = {}, sessionId = undefined, ms = 30000) {
		return this.ask({ method, params, sessionId }, { tab: sessionId, ms, what: method });
	}

	/**
	 * A new tab at that address, loaded. `browserContextId` names another profile (createContext).
	 * @param {string} [url] @param {object} [options]
	 */
	async page(url = "about:blank", options = {}) {
		const { targetId } = await this.send("Target.createTarget", {
			url: "about:blank",
			...options,
		});
		const tab = new Tab(this, targetId, "");
		await this.attach(tab);
		if (url !== "about:blank") await tab.goto(url);
		return tab;
	}

	/** Listens to the tab, which may be another target by now. @param {Tab} tab */
	async attach(tab) {
		const { sessionId } = await this.send("Target.attachToTarget", {
			targetId: tab.targetId,
			flatten: true,
		});
		tab.sessionId = sessionId;
		this.tabs.set(sessionId, tab);
		for (const domain of ["Page", "Runtime", "Inspector"]) await tab.send(`${domain}.enable`);
	}

	/** A profile of its own, without the cookies of others; its id. */
	async createContext() {
		return (await this.send("Target.createBrowserContext")).browserContextId;
	}

	async closeAll() {
		await Promise.all([...this.tabs.values()].map((tab) => tab.close()));
	}

	/** Kills the GPU process that all tabs share. */
	async crashGpu() {
		await this.send("Browser.crashGpuProcess");
	}

	quit() {
		return this.send("Browser.close");
	}
}

/**
 * Starts a browser with a profile of its own; `settings` are those that its user has made.
 * @param {{args?: string[], env?: Record<string, string>, settings?: object}} [options]
 */
export function launch({ args = [], env = {}, settings = {} } = {}) {
	return launchRemote(
		Chromium,
		chromiumPath,
		(folder) => {
			mkdirSync(join(folder, "Default"));
			writeFileSync(join(folder, "Default/Preferences"), JSON.stringify(settings));
			return [
				...withoutUnseen([...ARGS, `--user-data-dir=${folder}`, ...args]),
				"about:blank",
			];
		},
		{ env },
	);
}

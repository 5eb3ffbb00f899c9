// @ts-check
// Chromium over the raw DevTools protocol, for the tests of tab lifecycles. Playwright would hide
// the truth there: it emulates focus, so that no tab is ever hidden or frozen, and switches the
// throttling of background tabs off. Tests of ordinary pages use browser.mjs.
import { ended, killGroup, removeFolder, start, tempFolder } from "./children.mjs";
import { WebSocket, chromiumPath } from "./packages.mjs";
import { until, within } from "./until.mjs";

const ARGS = ["--headless", "--no-sandbox", "--enable-unsafe-webgpu", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync",
	"--remote-debugging-port=0"];

/** One tab. */
export class Tab {
	/** @param {Chromium} browser @param {string} targetId @param {string} sessionId */
	constructor(browser, targetId, sessionId) {
		this.browser = browser;
		this.targetId = targetId;
		this.sessionId = sessionId;
		this.loads = 0;
		this.crashed = false;
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
		if (method === "Page.loadEventFired")
			this.loads++;
		else if (method === "Runtime.consoleAPICalled")
			this.console.push(params.args.map((/** @type {any} */ a) =>
				a.value ?? a.description).join(" "));
		else if (method === "Runtime.exceptionThrown")
			this.console.push(params.exceptionDetails.exception?.description
				?? params.exceptionDetails.text);
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
		const answer = await this.send("Runtime.evaluate", { awaitPromise: true,
			returnByValue: true, userGesture: true,
			expression: `(${fn})(...${JSON.stringify(args)})` }, 120000);
		if (answer.exceptionDetails) {
			const thrown = answer.exceptionDetails.exception;
			throw new Error(thrown?.description ?? answer.exceptionDetails.text);
		}
		return answer.result.value;
	}

	/** Goes there and waits for the page to be loaded. @param {string} url */
	async goto(url) {
		const loads = this.loads;
		const { errorText } = await this.send("Page.navigate", { url });
		if (errorText)
			throw new Error(`${url}: ${errorText}`);
		await until(() => this.loads > loads, { what: `${url} loads`, ms: 30000, every: 5 });
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
		this.browser.forget(this.sessionId, "the tab was closed");
	}
}

export class Chromium {
	/** @param {import("node:child_process").ChildProcess} child @param {string} folder */
	constructor(child, folder) {
		this.process = child;
		this.folder = folder;
		/** @type {any} */
		this.socket = null;
		this.stderr = "";
		this.serial = 0;
		/** @type {Map<number, {sessionId?: string, resolve: Function, reject: Function}>} */
		this.pending = new Map();
		/** @type {Map<string, Tab>} */
		this.tabs = new Map();
	}

	/** @param {string} endpoint */
	async connect(endpoint) {
		this.socket = new WebSocket(endpoint, { perMessageDeflate: false });
		this.socket.on("message", (/** @type {any} */ data) => this.hear(JSON.parse(data)));
		await within(new Promise((done, fail) => {
			this.socket.on("open", done);
			this.socket.on("error", fail);
		}), { what: "the DevTools connection" });
	}

	/** @param {any} message */
	hear(message) {
		if (message.id === undefined) {
			this.tabs.get(message.sessionId)?.hear(message);
			return;
		}
		const asked = this.pending.get(message.id);
		this.pending.delete(message.id);
		if (message.error)
			asked?.reject(new Error(message.error.message));
		else
			asked?.resolve(message.result);
	}

	/**
	 * @param {string} method @param {object} [params] @param {string} [sessionId]
	 * @param {number} [ms]
	 * @returns {Promise<any>}
	 */
	send(method, params = {}, sessionId = undefined, ms = 30000) {
		const id = ++this.serial;
		const answer = new Promise((resolve, reject) => {
			this.pending.set(id, { sessionId, resolve, reject });
			this.socket.send(JSON.stringify({ id, method, params, sessionId }));
		});
		return within(answer, { ms, what: `the browser's answer to ${method}` });
	}

	/**
	 * Whatever was asked of that tab will not be answered.
	 * @param {string} id @param {string} why
	 */
	forget(id, why) {
		for (const [serial, asked] of this.pending) {
			if (asked.sessionId === id) {
				this.pending.delete(serial);
				asked.reject(new Error(why));
			}
		}
	}

	/**
	 * A new tab at that address, loaded. `browserContextId` names another profile (createContext).
	 * @param {string} [url] @param {object} [options]
	 */
	async page(url = "about:blank", options = {}) {
		const { targetId } = await this.send("Target.createTarget",
			{ url: "about:blank", ...options });
		const { sessionId } = await this.send("Target.attachToTarget",
			{ targetId, flatten: true });
		const tab = new Tab(this, targetId, sessionId);
		this.tabs.set(sessionId, tab);
		for (const domain of ["Page", "Runtime", "Inspector"])
			await tab.send(`${domain}.enable`);
		if (url !== "about:blank")
			await tab.goto(url);
		return tab;
	}

	/** A profile of its own, without the cookies of others; its id. */
	async createContext() {
		return (await this.send("Target.createBrowserContext")).browserContextId;
	}

	/** Kills the GPU process that all tabs share. */
	async crashGpu() {
		await this.send("Browser.crashGpuProcess");
	}

	async close() {
		if (this.socket?.readyState === 1)
			await this.send("Browser.close", {}, undefined, 3000).catch(() => undefined);
		this.socket?.terminate();
		await within(ended(this.process), { ms: 3000 }).catch(() => undefined);
		killGroup(this.process);
		await ended(this.process);
		removeFolder(this.folder);
	}
}

/**
 * Starts a browser with a profile of its own.
 * @param {{args?: string[], env?: Record<string, string>}} [options]
 */
export async function launch({ args = [], env = {} } = {}) {
	const folder = tempFolder("baton-cdp");
	const child = start(chromiumPath, [...ARGS, `--user-data-dir=${folder}`, ...args,
		"about:blank"], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
	const browser = new Chromium(child, folder);
	child.stderr?.on("data", (data) => { browser.stderr += data; });
	try {
		const endpoint = await until(() => /ws:\/\/\S+/.exec(browser.stderr)?.[0],
			{ ms: 30000, what: "the browser says where it listens" });
		await browser.connect(/** @type {string} */ (endpoint));
	} catch (error) {
		await browser.close();
		throw new Error(`${error}\n${browser.stderr.slice(-2000)}`);
	}
	return browser;
}

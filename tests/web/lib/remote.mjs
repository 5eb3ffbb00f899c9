// @ts-check
// A browser that is led over a WebSocket: numbered commands and their answers, whatever they are
// called in its protocol. Used by cdp.mjs (Chromium) and bidi.mjs (Firefox).
import { ended, killGroup, removeFolder, start, tempFolder } from "./children.mjs";
import { WebSocket } from "./packages.mjs";
import { until, within } from "./until.mjs";

export class Remote {
	/** @param {import("node:child_process").ChildProcess} child @param {string} folder */
	constructor(child, folder) {
		this.process = child;
		this.folder = folder;
		/** @type {any} */
		this.socket = null;
		this.stderr = "";
		this.serial = 0;
		/** @type {Map<number, {tab?: string, resolve: Function, reject: Function}>} */
		this.pending = new Map();
	}

	/** @param {string} endpoint */
	async connect(endpoint) {
		this.socket = new WebSocket(endpoint, { perMessageDeflate: false });
		this.socket.on("message", (/** @type {any} */ data) => this.hear(JSON.parse(data)));
		await within(
			new Promise((done, fail) => {
				this.socket.on("open", done);
				this.socket.on("error", fail);
			}),
			{ what: "the connection to the browser" },
		);
	}

	/** @param {any} message */
	hear(message) {
		if (typeof message.id !== "number") {
			this.tell(message);
			return;
		}
		const asked = this.pending.get(message.id);
		this.pending.delete(message.id);
		if (message.error) asked?.reject(new Error(message.error.message ?? message.message));
		else asked?.resolve(message.result);
	}

	/** What nobody asked for. @param {any} _message */
	tell(_message) {}

	/**
	 * One command; `tab` is whose end ends it (forget).
	 * @param {object} command @param {{tab?: string, ms?: number, what: string}} options
	 * @returns {Promise<any>}
	 */
	ask(command, { tab, ms = 30000, what }) {
		const id = ++this.serial;
		const answer = new Promise((resolve, reject) => {
			this.pending.set(id, { tab, resolve, reject });
			this.socket.send(JSON.stringify({ id, ...command }));
		});
		return within(answer, { ms, what: `the browser's answer to ${what}` });
	}

	/**
	 * Whatever was asked of that tab will not be answered.
	 * @param {string} tab @param {string} why
	 */
	forget(tab, why) {
		for (const [serial, asked] of this.pending) {
			if (asked.tab === tab) {
				this.pending.delete(serial);
				asked.reject(new Error(why));
			}
		}
	}

	/** @returns {Promise<any>} asks the browser to end */
	quit() {
		return Promise.resolve();
	}

	async close() {
		if (this.socket?.readyState === 1)
			await within(this.quit(), { ms: 3000 }).catch(() => undefined);
		this.socket?.terminate();
		await within(ended(this.process), { ms: 3000 }).catch(() => undefined);
		killGroup(this.process);
		await ended(this.process);
		removeFolder(this.folder);
	}
}

/**
 * Starts a browser with a profile of its own in `folder`, and connects when it says where.
 * @template {Remote} T
 * @param {new (child: import("node:child_process").ChildProcess, folder: string) => T} kind
 * @param {string} program @param {(folder: string) => string[]} args
 * @param {{env?: Record<string, string>, path?: string}} [options] `path` follows what it says
 */
export async function launchRemote(kind, program, args, { env = {}, path = "" } = {}) {
	const folder = tempFolder("baton-browser");
	const child = start(program, args(folder), {
		stdio: ["ignore", "ignore", "pipe"],
		env: { ...process.env, ...env },
	});
	const browser = new kind(child, folder);
	child.stderr?.on("data", (data) => {
		browser.stderr += data;
	});
	try {
		const endpoint = await until(() => /ws:\/\/\S+(?=\s)/.exec(browser.stderr)?.[0], {
			ms: 60000,
			what: "the browser says where it listens",
		});
		await browser.connect(endpoint + path);
	} catch (error) {
		await browser.close();
		throw new Error(`${error}\n${browser.stderr.slice(-2000)}`);
	}
	return browser;
}

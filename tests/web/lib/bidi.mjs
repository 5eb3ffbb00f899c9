// @ts-check
// Firefox over WebDriver BiDi, as much of it as the tests of tab lifecycles need. Its tabs are made
// for tabs.mjs, as those of cdp.mjs are.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { firefoxPath } from "./packages.mjs";
import { Remote, launchRemote } from "./remote.mjs";

/** One tab. */
export class FirefoxTab {
	/** @param {Firefox} browser @param {string} context */
	constructor(browser, context) {
		this.browser = browser;
		this.context = context;
	}

	/**
	 * A command to this tab.
	 * @param {string} method @param {object} [params] @param {number} [ms] @returns {Promise<any>}
	 */
	send(method, params = {}, ms = 30000) {
		return this.browser.ask(
			{ method, params: { context: this.context, ...params } },
			{ tab: this.context, ms, what: method },
		);
	}

	/**
	 * Calls a function in the page with these arguments (JSON); its value, awaited.
	 * @param {Function | string} fn @param {...any} args
	 * @returns {Promise<any>}
	 */
	async run(fn, ...args) {
		const { type, result, exceptionDetails } = await this.send(
			"script.evaluate",
			{
				target: { context: this.context },
				awaitPromise: true,
				userActivation: true,
				expression: `(async () =>
				JSON.stringify(await (${fn})(...${JSON.stringify(args)})))()`,
			},
			120000,
		);
		if (type === "exception") throw new Error(exceptionDetails.text);
		return result.value === undefined ? undefined : JSON.parse(result.value);
	}

	/** Goes there and waits for the page to be loaded. @param {string} url */
	async goto(url) {
		await this.send("browsingContext.navigate", { url, wait: "complete" });
	}

	async reload() {
		await this.send("browsingContext.reload", { wait: "complete" });
	}

	async back() {
		await this.send("browsingContext.traverseHistory", { delta: -1 });
	}

	async close() {
		await this.send("browsingContext.close");
		this.browser.forget(this.context, "the tab was closed");
	}
}

export class Firefox extends Remote {
	/** A new tab at that address, loaded. @param {string} url */
	async page(url) {
		const what = "browsingContext.create";
		const { context } = await this.ask({ method: what, params: { type: "tab" } }, { what });
		const tab = new FirefoxTab(this, context);
		await tab.goto(url);
		return tab;
	}

	quit() {
		return this.ask({ method: "browser.close", params: {} }, { what: "browser.close" });
	}
}

/**
 * Starts a browser with a profile of its own, which asks no other machine for anything.
 * @param {{env?: Record<string, string>, prefs?: [string, any][]}} [options]
 */
export async function launchFirefox({ env = {}, prefs = [] } = {}) {
	const browser = await launchRemote(
		Firefox,
		firefoxPath,
		(folder) => {
			writeFileSync(
				join(folder, "user.js"),
				[
					["app.normandy.enabled", false],
					["browser.startup.homepage_override.mstone", "ignore"],
					["datareporting.policy.dataSubmissionEnabled", false],
					["extensions.update.enabled", false],
					...prefs,
				]
					.map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`)
					.join(""),
			);
			return [
				"--headless",
				"--no-remote",
				"--profile",
				folder,
				"--remote-debugging-port=0",
				"about:blank",
			];
		},
		{ env, path: "/session" },
	);
	await browser.ask(
		{ method: "session.new", params: { capabilities: {} } },
		{ what: "session.new", ms: 120_000 }, // it has only just started
	);
	return browser;
}

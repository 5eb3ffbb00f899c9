// @ts-check
// Where the browser tests find what they need: packages out of web/node_modules (the tests have no
// package.json of their own), the source tree, the browser, the daemon's executable.
// Used by everything below tests/web. It starts nothing.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const require = createRequire(resolve(root, "web/package.json"));

export const chromiumPath = process.env.CHROMIUM || "/usr/bin/chromium";
export const firefoxPath = process.env.FIREFOX || "/usr/bin/firefox-esr";
export const batonPath = resolve(root, process.env.BATON_BIN || "build/baton");

/**
 * The file that a package of web/node_modules is entered by.
 * @param {string} name
 */
export function packageFile(name) {
	return require.resolve(name);
}

/**
 * A package of web/node_modules that speaks CommonJS.
 * @param {string} name
 */
export function load(name) {
	return require(name);
}

/** What is missing for a browser test, as sentences for people; empty when all is there. */
export function missing() {
	const lacks = [];
	if (!existsSync(chromiumPath))
		lacks.push(`No browser at ${chromiumPath}: install chromium or set CHROMIUM.`);
	if (!existsSync(firefoxPath))
		lacks.push(`No browser at ${firefoxPath}: install firefox-esr or set FIREFOX.`);
	if (!existsSync(resolve(root, "web/node_modules/ws")))
		lacks.push("No web/node_modules: run `npm ci --ignore-scripts` in web/.");
	if (!existsSync(batonPath)) lacks.push(`No daemon at ${batonPath}: build it or set BATON_BIN.`);
	return lacks;
}

/** The folder `ws` exports: a WebSocket client and server. */
export const WebSocket = existsSync(resolve(root, "web/node_modules/ws")) ? load("ws") : null;

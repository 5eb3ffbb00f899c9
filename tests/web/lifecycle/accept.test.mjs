// @ts-check
// A page that is seen and asks is granted what is free in the step in which it asks; a hidden one is
// asked first whether it answers. In a real worker, whose messages the page is told.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { root } from "../lib/packages.mjs";
import { Bench } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** Before the worker's own code, which begins with its imports. */
const WIRETAP = `
	const wire = new BroadcastChannel("wire");
	const note = (way, text) => wire.postMessage(way + " " + JSON.parse(text).type);
	const { WebSocket } = globalThis;
	globalThis.WebSocket = class extends WebSocket {
		constructor(url) {
			super(url);
			this.addEventListener("message", ({ data }) => note("<", data));
		}
		send(text) {
			note(">", text);
			super.send(text);
		}
	};
`;

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite({
		"/sdk/worker.js": WIRETAP + readFileSync(join(root, "web/sdk/worker.js"), "utf8"),
	});
	daemon = await startDaemon({ config: { origins: [site.base] } });
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** One run; what went over the wire for it. @param {Bench} bench @returns {Promise<string[]>} */
const turn = (bench) =>
	bench.run(`async () => {
		const wire = [];
		const channel = new BroadcastChannel("wire");
		channel.onmessage = ({ data }) => wire.push(data);
		const probe = new BroadcastChannel("wire");
		probe.postMessage("listening"); // what comes before the browser knows the channel is lost
		while (!wire.includes("listening"))
			await new Promise((resolve) => channel.addEventListener("message", resolve, { once: true }));
		probe.close();
		await bench.broker.run({}, () => {});
		while (!wire.includes("< released"))
			await new Promise((resolve) => channel.addEventListener("message", resolve, { once: true }));
		channel.close();
		return wire.slice(wire.indexOf("> acquire")).filter((line) => !/alive|heartbeat/.test(line));
	}`);

test("a page that is seen is granted at once, a hidden one is offered its turn", async () => {
	const tab = await browser.page(`${site.base}/`);
	const bench = await new Bench(tab).install({
		broker: { name: "page", url: daemon.base, token: daemon.token },
	});
	assert.equal(await bench.run("() => bench.broker.heartbeat"), "worker");
	assert.deepEqual(await turn(bench), ["> acquire", "< granted", "> release", "< released"]);

	const front = await browser.page();
	await front.activate();
	await until(() => bench.run("() => document.hidden"), { what: "the tab is hidden" });
	assert.deepEqual(await turn(bench), [
		"> acquire",
		"< queued",
		"< offered",
		"> accept",
		"< granted",
		"> release",
		"< released",
	]);
	await tab.activate();
	await until(() => bench.run("() => !document.hidden"), { what: "the tab is seen" });
	assert.deepEqual(await turn(bench), ["> acquire", "< granted", "> release", "< released"]);
});

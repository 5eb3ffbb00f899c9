// @ts-check
// A page that Chromium loads in advance, by speculation rules: until somebody sees it, it asks for
// nothing, takes nothing, and is told nothing wrong; seen, it goes on, in the place of the page that
// it replaces. No DevTools are attached to its tab, for they switch this off; the pages tell the
// site what becomes of them.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { holding, untilWaiting, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** @type {import("../lib/foreign.mjs").Routes} */
const routes = {};
/** What the pages said. @type {string[]} */
let told = [];
/** Where a page goes that waits for that. @type {((path: string) => void)|undefined} */
let go;
/** @type {string[]} targets of the test's tabs */
let tabs = [];

before(async () => {
	site = await startForeignSite(routes);
	daemon = await startDaemon({ config: { origins: [site.base] } });
	browser = await launch();
	routes["/start"] = html(`
		${broker("start")}
		document.head.append(Object.assign(document.createElement("script"),
			{ type: "speculationrules", text: '${JSON.stringify(RULES)}' }));
		location.href = await (await fetch("/go")).text();`);
	routes["/next"] = html(`
		${HASTE}
		${broker("next")}
		setTimeout(() => tell("next later", workers, broker.state), 60_000);`);
	routes["/tell"] = (request, answer) => {
		told.push(decodeURIComponent(request.url?.split("?")[1] ?? ""));
		answer.writeHead(200).end();
	};
	routes["/go"] = (_, answer) => {
		go = (path) => void answer.writeHead(200).end(path);
	};
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});
afterEach(async () => {
	for (const targetId of tabs) await browser.send("Target.closeTarget", { targetId });
	[tabs, told] = [[], []];
	go = undefined;
});

const RULES = { prerender: [{ urls: ["/next"], eagerness: "immediate" }] };

/** Nobody sees this page, so a minute passes in a second; and its workers are counted. */
const HASTE = `
	const { setTimeout: later, Worker } = globalThis;
	globalThis.setTimeout = (fn, ms) => later(fn, document.prerendering ? ms / 60 : ms);
	let workers = 0;
	globalThis.Worker = class extends Worker {
		constructor(...a) {
			super(...a);
			workers++;
		}
	};`;

/** @param {string} code */
const html = (code) => (/** @type {unknown} */ _, /** @type {any} */ answer) =>
	answer.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><title>x</title>
		<script type="module">
		const tell = (...words) => fetch("/tell?" + words.join(" "));
		const { Broker } = await import("/sdk/index.js");
		${code}</script>`);

/** A page that asks with a key: whether anybody waits with it, is in its address.
 * @param {string} name */
const broker = (name) => `
	const broker = new Broker({ name: "page", url: "${daemon.base}", token: "${daemon.token}",
		connect: "now" });
	broker.addEventListener("state", ({ detail }) => tell("${name}", detail.state));
	const leave = new AbortController();
	if (!location.search)
		broker.run({ key: "job", signal: leave.signal }, async (lease) => {
			await tell("${name}", "granted", broker.heartbeat);
			await new Promise((resolve) => lease.yieldSignal.addEventListener("abort", resolve));
		}).catch((error) => tell("${name}", error.code));`;

/** @param {string} word */
const hears = (word) =>
	until(() => told.includes(word) || Promise.reject(new Error(`${told}`)), {
		what: word,
		ms: 20_000,
	});

/** A tab whose page has the next one loaded in advance. @param {string} path */
async function open(path) {
	const { targetId } = await browser.send("Target.createTarget", { url: site.base + path });
	tabs.push(targetId);
}

/** What the one page with a session says of itself. */
async function isSeen() {
	const watcher = await connect(daemon, "watcher");
	const { clients } = await watcher.ask({ type: "clients" }, "clients");
	watcher.close();
	return clients.find((/** @type {any} */ { id }) => id === "page")?.visible;
}

/** Somebody who holds, from outside of the browser; how it is released. */
async function hold() {
	const session = await connect(daemon, "holder");
	session.send({ type: "acquire", ref: 1, timeout_s: null });
	const { lease } = await session.hear("offered");
	await session.ask({ type: "accept", lease }, "granted");
	return async () => {
		await session.ask({ type: "release", lease }, "released");
		session.close();
	};
}

test("a page that nobody has seen yet asks for nothing, and goes on when it is seen", async () => {
	await open("/start?idle");
	await hears("next later 0 connecting");
	assert.deepEqual(
		told.filter((line) => line.startsWith("next")),
		["next later 0 connecting"],
	);
	assert.deepEqual([await waiting(daemon), await holding(daemon)], [[], []]);
	assert.doesNotMatch(daemon.log(), /"?next/);

	(await until(() => go))("/next");
	await hears("next granted worker");
	assert.deepEqual(await holding(daemon), ["page"]);
	await until(isSeen, { what: "it says that it is seen" });
});

test("one that nobody will see leaves nothing, and takes no place of the page before it", async () => {
	const release = await hold();
	await open("/start");
	await untilWaiting(daemon, ["page"]);
	await hears("next later 0 connecting");
	assert.equal(await isSeen(), true);
	(await until(() => go))("/elsewhere?");
	await until(async () => (await daemon.status()).sessions === 1, { what: "the holder alone" });
	await release();
	assert.ok(!told.includes("next granted worker"));
});

test("seen, it is in the place of the page that it replaces", async () => {
	const release = await hold();
	await open("/start");
	await untilWaiting(daemon, ["page"]);
	await hears("next later 0 connecting");
	const other = await connect(daemon, "other");
	other.send({ type: "acquire", ref: 1, timeout_s: null });
	await untilWaiting(daemon, ["page", "other"]);

	(await until(() => go))("/next");
	await hears("next open");
	await untilWaiting(daemon, ["page", "other"]);
	await release();
	await hears("next granted worker");
	other.close();
});

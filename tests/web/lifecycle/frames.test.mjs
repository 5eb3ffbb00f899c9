// @ts-check
// Several Brokers of one name that share a tab's storage: in frames of one site, or by two copies of
// the SDK in a page. Each has its own place, and finds that one again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {import("../lib/cdp.mjs").Tab} Tab */

const FRAMES =
	"<!doctype html><title>frames</title><iframe src=/1></iframe><iframe src=/2></iframe>";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** @type {import("../lib/session.mjs").Session} who holds in all tests */
let holder;

before(async () => {
	site = await startForeignSite({
		"/frames": (_, answer) => {
			answer.writeHead(200, { "Content-Type": "text/html" }).end(FRAMES);
		},
	});
	daemon = await startDaemon({ config: { origins: [site.base] } });
	browser = await launch();
	holder = await connect(daemon, "holder");
	holder.send({ type: "acquire", ref: 1, timeout_s: null });
	holder.send({ type: "accept", lease: (await holder.hear("offered")).lease });
	await holder.hear("granted");
});
after(async () => {
	holder?.close();
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** What Bench needs of a tab, of a frame in it; the tab itself without `at`.
 * @param {Tab} tab @param {number} [at] */
const place = (tab, at) =>
	/** @type {Tab} */ ({
		run: (/** @type {Function|string} */ fn, /** @type {any[]} */ ...args) =>
			tab.run(
				"(at, code) => (frames[at] ?? window).eval(code)",
				at ?? null,
				`(${fn})(...${JSON.stringify(args)})`,
			),
	});

/** @param {Tab} tab @param {string} key @param {number} [at] @param {string} [module] */
async function ask(tab, key, at, module) {
	const broker = { name: "page", url: daemon.base, token: daemon.token };
	const bench = await new Bench(place(tab, at)).install({ broker, module });
	await bench.ask("turn", { key });
	return bench;
}

/** @param {Bench} bench @param {number} position */
const isAt = (bench, position) =>
	until(() => bench.run("(n) => bench.queue.turn.at(-1)?.position === n", position), {
		what: `it is at ${position}`,
	});

/** Behind the pages' claims. */
async function next() {
	const other = await connect(daemon, "next");
	other.send({ type: "acquire", ref: 1, timeout_s: null });
	return other;
}

/** @param {Tab} tab @param {{ close(): void }} other */
async function end(tab, other) {
	other.close();
	await tab.close();
	await untilWaiting(daemon, []);
}

for (const keys of [
	["one", "two"],
	["job", "job"],
])
	test(`two frames of one site have their places after a reload, by the keys ${keys}`, async () => {
		const tab = await browser.page(`${site.base}/frames`);
		for (const at of [0, 1]) {
			await ask(tab, keys[at], at);
			await untilWaiting(daemon, ["page", "page"].slice(0, at + 1));
		}
		const other = await next();
		await untilWaiting(daemon, ["page", "page", "next"]);

		await tab.reload();
		const [second, first] = [await ask(tab, keys[1], 1), await ask(tab, keys[0], 0)];
		await untilWaiting(daemon, ["page", "page", "next"]);
		await isAt(first, 0);
		await isAt(second, 1);
		await end(tab, other);
	});

test("a frame that is loaded anew has its place, and takes nobody else's", async () => {
	const tab = await browser.page(`${site.base}/frames`);
	const first = await ask(tab, "job", 0);
	await untilWaiting(daemon, ["page"]);
	await ask(tab, "job", 1);
	const other = await next();
	await untilWaiting(daemon, ["page", "page", "next"]);
	await tab.run(
		"() => new Promise((resolve) => {"
			+ "const [, frame] = document.querySelectorAll('iframe');"
			+ "frame.onload = resolve; frame.contentWindow.location.reload(); })",
	);
	const second = await ask(tab, "job", 1);
	await untilWaiting(daemon, ["page", "page", "next"]);
	await isAt(first, 0);
	await isAt(second, 1);
	assert.deepEqual(await first.run("() => bench.states.map((s) => s.state)"), [
		"connecting",
		"open",
	]);
	await end(tab, other);
});

test("two copies of the SDK in a page have their places after a reload", async () => {
	const tab = await browser.page(`${site.base}/`);
	const copies = ["/sdk/index.js", `${daemon.base}/sdk/index.js`];
	for (const [at, module] of copies.entries()) {
		await ask(tab, `key ${at}`, undefined, module);
		await untilWaiting(daemon, ["page", "page"].slice(0, at + 1));
	}
	const other = await next();
	await untilWaiting(daemon, ["page", "page", "next"]);
	await tab.reload();
	for (const [at, module] of copies.entries())
		await isAt(await ask(tab, `key ${at}`, undefined, module), at);
	await untilWaiting(daemon, ["page", "page", "next"]);
	await end(tab, other);
});

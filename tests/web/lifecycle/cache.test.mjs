// @ts-check
// A page that is left without an end: into the back/forward cache, by a crash, discarded by the
// browser, by a worker that did not live to speak. Nobody waits for it, and what it waited for goes
// on when it comes back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { back, cacheTest } from "../lib/back.mjs";
import { Tab, launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { discard, wake } from "../lib/discards.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { Bench, bestOf, holding, untilWaiting, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const LINGER_S = 1;
/** What one who is not there may cost those who are. */
const COST_MS = 50;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** @type {import("../lib/foreign.mjs").Routes} */
const routes = {};

before(async () => {
	site = await startForeignSite(routes);
	daemon = await startDaemon({
		config: {
			origins: [site.base],
			timing: { tab_linger_s: LINGER_S, lock_delay_s: 0.5, grace_s: 0.5 },
		},
	});
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** @param {string} name */
const broker = (name) => ({ broker: { name, url: daemon.base, token: daemon.token } });

/** @param {string[]} names */
const open = (...names) =>
	Promise.all(
		names.map(async (name) =>
			new Bench(await browser.page(`${site.base}/?${name}`)).install(broker(name)),
		),
	);

const nobody = () =>
	until(async () => (await daemon.status()).sessions === 0, { what: "no session is left" });

/** @param {Bench[]} benches */
async function close(...benches) {
	await Promise.all(benches.map(({ tab }) => tab.close()));
	await nobody();
}

/** One holds, the others wait in this order. @param {Bench[]} benches @param {object} [request] */
async function queue([holder, ...others], request = {}) {
	await holder.ask("turn");
	await holder.granted("turn");
	for (const [at, bench] of others.entries()) {
		await bench.ask("turn", at === 0 ? request : {});
		await until(async () => (await waiting(daemon)).length === at + 1, { what: "it waits" });
	}
}

/** Elsewhere in the same tab, and back. @param {Bench} bench */
const away = (bench) => bench.tab.goto(`${site.base}/elsewhere`);

let leavings = 0;

/** Lets the page leave behind when it was left: how long the browser takes to get there, is the
 * browser's own affair. Gives what another tab of the site reads it by.
 * @param {Bench} bench @returns {Promise<(other: Bench) => Promise<number>>} */
async function noteLeaving(bench) {
	const key = `left ${leavings++}`;
	await bench.run(
		`(key) => addEventListener("pagehide", () => localStorage.setItem(key, bench.now()),
			{ capture: true })`,
		key,
	);
	return (other) =>
		until(() => other.run("(key) => Number(localStorage.getItem(key))", key), {
			what: "it was left",
		});
}

/** A test whose page comes out of the cache. @param {string} name
 * @param {(t: import("node:test").TestContext) => Promise<void>} fn */
const andBack = (name, fn) => cacheTest(name, fn, () => browser.closeAll().then(nobody));

/** The tab that the page of another one opens, which gets a copy of its sessionStorage.
 * @param {Bench} bench @param {string} url */
async function opened(bench, url) {
	const pages = async () =>
		(await browser.send("Target.getTargets")).targetInfos
			.filter((/** @type {any} */ target) => target.type === "page")
			.map((/** @type {any} */ target) => target.targetId);
	const before = await pages();
	await bench.run("(url) => void window.open(url)", url);
	const [id] = await until(
		async () => (await pages()).filter((/** @type {string} */ one) => !before.includes(one)),
		{ what: "it is open" },
	);
	const tab = new Tab(browser, id, "");
	await browser.attach(tab);
	await until(
		() => tab.run("(url) => location.href === url && document.readyState === 'complete'", url),
		{ what: "it is loaded" },
	);
	return new Bench(tab);
}

const attached = async () =>
	(await daemon.status()).waiting.map((/** @type {any} */ row) => row.attached);

/** @type {[string, (bench: Bench) => Promise<any>][]} */
const absences = [
	["in the cache", away],
	["whose tab was killed", (bench) => bench.tab.crash()],
	["that was discarded", (bench) => discard(bench.tab)],
];
for (const [where, go] of absences)
	test(`a waiter ${where} costs the one behind it nothing`, async (t) => {
		const ms = await bestOf(COST_MS, async () => {
			const all = await open("holder", "absent", "next");
			await queue(all, { key: "job" });
			await go(all[1]);
			await until(
				async () => !(await attached())[0] || (await waiting(daemon))[0] === "next",
				{ what: "its connection is gone" },
			);
			const { at } = await all[0].release("turn");
			const granted = await all[2].granted("turn");
			await close(...all);
			return granted.at - at;
		});
		t.diagnostic(`granted ${ms.toFixed(1)} ms after the release`);
		assert.ok(ms <= COST_MS, `${ms} ms`);
	});

test("a copy of a tab that was left takes nothing from who was back before it", async () => {
	const [holder, first] = await open("holder", "first");
	await queue([holder, first], { key: "job" });
	await first.run("() => addEventListener('unload', () => {})"); // no page for the cache
	await away(first);
	const copy = await opened(first, `${site.base}/?copy`);
	await first.tab.goto(`${site.base}/?first`);
	await first.install(broker("first"));
	await first.ask("turn", { key: "job" });
	await holder.release("turn");
	await first.granted("turn");

	await copy.install(broker("first"));
	await copy.ask("turn", { key: "job" });
	await until(async () => (await waiting(daemon)).length === 1, { what: "the copy waits" });
	assert.deepEqual(await first.run("() => [bench.over, bench.states.length]"), [{}, 1]);
	await first.release("turn");
	await copy.granted("turn");
	await close(holder, first, copy);
});

andBack(
	"out of the cache, after a copy took up its place: each has a turn of its own",
	async () => {
		const [holder, first] = await open("holder", "first");
		await queue([holder, first], { key: "job" });
		await away(first);
		const copy = await opened(first, `${site.base}/?copy`);
		await copy.install(broker("first"));
		await copy.ask("turn", { key: "job" });
		await until(async () => (await attached())[0], { what: "the copy has the place" });
		await holder.release("turn");
		await copy.granted("turn");
		await back(first.tab);
		await until(async () => (await waiting(daemon)).length === 1, { what: "it waits again" });
		assert.deepEqual(await copy.run("() => [bench.over, bench.states.length]"), [{}, 1]);
		await copy.release("turn");
		await first.granted("turn");
		await close(holder, first, copy);
	},
);

andBack("what waits goes on waiting after the cache, in its place, with a key or not", async () => {
	const all = await open("holder", "cached", "next");
	for (const request of [{ key: "job" }, {}]) {
		await queue(all, request);
		await away(all[1]);
		await untilWaiting(daemon, ["next"]); // its place is gone, but for its request's id
		await back(all[1].tab);
		await untilWaiting(daemon, ["cached", "next"]);
		await all[0].release("turn");
		await all[1].granted("turn");
		assert.deepEqual(await all[1].run("() => bench.errors"), {});
		await all[1].release("turn");
		await all[2].granted("turn");
		await all[2].release("turn");
	}
	await close(...all);
});

andBack("a Broker that has not connected yet comes out of the cache as it was", async () => {
	const lazy = await new Bench(await browser.page(`${site.base}/`)).install({
		...broker("lazy"),
		ready: false,
	});
	await away(lazy);
	await back(lazy.tab);
	assert.deepEqual(await lazy.run("() => [bench.broker.state, bench.states]"), ["idle", []]);
	await lazy.ask("turn");
	await lazy.granted("turn");
	await close(lazy);
});

andBack("a holder that goes into the cache has stopped, the next is granted at once", async (t) => {
	const ms = await bestOf(COST_MS * 2, async () => {
		const all = await open("holder", "next");
		await queue(all);
		const leftAt = await noteLeaving(all[0]);
		await away(all[0]);
		const granted = await all[1].granted("turn");
		assert.deepEqual(await holding(daemon), ["next"]);
		await back(all[0].tab);
		assert.equal((await all[0].over("turn")).code, "CLOSED");
		await all[0].ask("again");
		await all[1].release("turn");
		await all[0].granted("again");
		const at = await leftAt(all[1]);
		await close(...all);
		return granted.at - at;
	});
	t.diagnostic(`granted ${ms.toFixed(1)} ms after the page was left`);
	assert.ok(ms < (LINGER_S * 1000) / 2, `${ms} ms`);
});

// As in Firefox, where a worker ends before it hears what its page said last.
test("a worker that dies with its page: the page itself gives back what it held", async (t) => {
	const ms = await bestOf(COST_MS * 2, async () => {
		const all = await open("holder", "next");
		await queue(all);
		await all[0].run(`() => addEventListener("pagehide",
			() => { Worker.prototype.postMessage = () => {}; }, { capture: true })`);
		const leftAt = await noteLeaving(all[0]);
		await all[0].tab.reload();
		const granted = await all[1].granted("turn");
		const at = await leftAt(all[1]);
		await close(...all);
		return granted.at - at;
	});
	t.diagnostic(`granted ${ms.toFixed(1)} ms after the page was left`);
	assert.ok(ms < (LINGER_S * 1000) / 2, `${ms} ms`);
});

/** @type {[string, (bench: Bench) => Promise<any>, (bench: Bench) => Promise<any>][]} */
const deaths = [
	["crashes", (bench) => bench.tab.crash(), (bench) => bench.tab.reload()],
	["is discarded", (bench) => discard(bench.tab), (bench) => wake(bench.tab)],
];
for (const [what, die, live] of deaths)
	test(`a waiting tab that ${what} has its place when loaded, at once or later`, async () => {
		for (const wait of [false, true]) {
			const all = await open("holder", "absent", "next");
			await queue(all, { key: "job" });
			await die(all[1]);
			if (wait) await untilWaiting(daemon, ["next"]);
			await live(all[1]);
			await all[1].install(broker("absent"));
			await all[1].ask("again", { key: "job" });
			await untilWaiting(daemon, ["absent", "next"]);
			await all[0].release("turn");
			await all[1].granted("again");
			await close(...all);
		}
	});

test("a copy of a waiting tab leaves the place to the tab that has it", async () => {
	const all = await open("holder", "tab", "next");
	await queue(all, { key: "job" });
	const kept = await all[1].run("() => JSON.stringify({ ...sessionStorage })");
	const copy = new Bench(await browser.page(`${site.base}/`));
	await copy.run("(kept) => void Object.assign(sessionStorage, JSON.parse(kept))", kept);
	await copy.install(broker("tab"));
	await copy.ask("turn", { key: "job" });
	await untilWaiting(daemon, ["tab", "next", "tab"]);
	await all[0].release("turn");
	await all[1].granted("turn");
	assert.deepEqual(await all[1].run("() => bench.states.map((s) => s.state)"), [
		"connecting",
		"open",
	]);
	await close(...all, copy);
});

test("a page that is loaded anew before it asks again has its place the next time", async () => {
	const all = await open("holder", "hasty", "next");
	await queue(all, { key: "job" });
	await all[1].tab.reload();
	await all[1].install(broker("hasty"));
	await all[1].tab.reload();
	await all[1].install(broker("hasty"));
	await all[1].ask("turn", { key: "job" });
	await untilWaiting(daemon, ["hasty", "next"]);
	await close(...all);
});

/** Runs in the page: two Brokers of one name, each with a request. @param {any} options */
async function two(options) {
	const { bench } = /** @type {any} */ (globalThis);
	bench.turns = [];
	for (const key of ["one", "two"]) {
		const broker = new bench.sdk.Broker(options);
		await broker.ready();
		bench.turns.push(broker.request({ key }));
		await new Promise((resolve) => broker.addEventListener("queue", resolve, { once: true }));
	}
}

test("two Brokers of one name in a page both have their places after a reload", async () => {
	const all = await open("holder", "page", "next");
	await queue([all[0]]);
	await all[1].run(two, broker("twin").broker);
	await untilWaiting(daemon, ["twin", "twin"]);
	await all[2].ask("turn");
	await untilWaiting(daemon, ["twin", "twin", "next"]);
	await all[1].tab.reload();
	await all[1].install(broker("page"));
	await all[1].run(two, broker("twin").broker);
	await untilWaiting(daemon, ["twin", "twin", "next"]);
	await close(...all);
});

const FILE = Buffer.alloc(300_000, 1);
const BEGIN = 100_000;

/** Runs in the page. @param {string} path */
function bring(path) {
	const page = /** @type {any} */ (globalThis);
	const module = "/sdk/files.js"; // a name that the type checker does not follow
	page.brought = import(module)
		.then(async ({ Files }) => {
			const files = new Files();
			files.add([path]);
			await files.fetch({});
			return (await (await files.match(path)).blob()).size;
		})
		.catch((error) => error.message);
}

/** A server that stops in the middle of a file, each time: what lets each answer go on. */
function halfAFile() {
	/** @type {(() => void)[]} */
	const goOn = [];
	routes["/model.bin"] = (request, answer) => {
		const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
		answer.writeHead(from ? 206 : 200, {
			ETag: '"one"',
			"Content-Length": FILE.length - from,
			"Content-Range": `bytes ${from}-${FILE.length - 1}/${FILE.length}`,
		});
		answer.write(FILE.subarray(from, Math.max(from, BEGIN)));
		goOn.push(() => answer.end(FILE.subarray(Math.max(from, BEGIN))));
	};
	return goOn;
}

andBack("a page that was left while it downloads has its file when it is back", async () => {
	const goOn = halfAFile();
	const [page] = await open("left");
	await page.run(bring, "/model.bin");
	await until(() => goOn.length === 1, { what: "it downloads" });
	await away(page);
	await back(page.tab);
	goOn[0]();
	assert.equal(await page.run("() => brought"), FILE.length);
	await close(page);
});

// Chromium throws it out of the cache for that (WebLocksContention).
test("a page that was left while it downloads keeps no other one from the file", async () => {
	const goOn = halfAFile();
	const all = await open("left", "other");
	await all[0].run("() => caches.delete('baton-models')");
	await all[0].run(bring, "/model.bin");
	await until(() => goOn.length === 1, { what: "it downloads" });
	await away(all[0]);
	await all[1].run(bring, "/model.bin");
	await until(() => goOn.length === 2, { what: "the other one downloads" });
	goOn[1]();
	assert.equal(await all[1].run("() => brought"), FILE.length);
	await close(...all);
});

test("a page that was left while it asks to queue keeps no other one from asking", async () => {
	const all = await open("left", "other");
	const pair =
		"(url) => { globalThis.paired = bench.sdk.pair({ url }).then(({ length }) => length); }";
	const asks = async () => /sites allow (\d+)/.exec(await daemon.cli("sites"))?.[1];
	await all[0].run(pair, daemon.base);
	const first = await until(asks, { what: "it asks" });
	await away(all[0]);
	await all[1].run(pair, daemon.base);
	const second = await until(async () => (await asks()) !== first && (await asks()), {
		what: "the other one asks",
	});
	await daemon.cli("sites", "allow", second);
	assert.equal(await all[1].run("() => paired"), 64);
	await close(...all);
});

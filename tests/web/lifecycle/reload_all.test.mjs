// @ts-check
// All tabs of a site are loaded anew at the same moment, as after a restart of its server, the one
// that holds among them: nobody computes beside another, everybody has a turn, and all but the one
// that held are served in the old order, also whose turn came while its page was going.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { Bench, holding, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const NAMES = ["tab0", "tab1", "tab2", "tab3", "tab4", "tab5"];
/** Clocks of two tabs differ by a fraction of a millisecond. */
const CLOCKS_MS = 1;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	// A busy machine may take longer than 2 s to load six pages.
	daemon = await startDaemon({ config: { origins: [site.base], timing: { ack_s: 20 } } });
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** Runs in the page: a turn until it is told, or taken; all tabs write down when they had theirs. */
function takeTurn() {
	const { bench } = /** @type {any} */ (globalThis);
	const { name } = bench.broker.door;
	bench.turn = bench.broker.run({ key: "job" }, (/** @type {any} */ lease) => {
		const from = bench.now();
		return new Promise((resolve) => {
			bench.finish = (/** @type {any} */ _, end = "cut") => {
				localStorage[from] ??= JSON.stringify({ name, from, to: bench.now(), end });
				resolve(0);
			};
			lease.signal.addEventListener("abort", bench.finish);
		});
	});
	bench.turn.catch(() => {});
}

/** @param {Bench} bench @param {string} name */
async function begin(bench, name) {
	await bench.install({ broker: { name, url: daemon.base, token: daemon.token } });
	await bench.run(takeTurn);
}

test("six tabs loaded anew at once, the holder among them", async (t) => {
	const all = await Promise.all(NAMES.map(async () => new Bench(await browser.page(site.base))));
	for (const [at, bench] of all.entries()) {
		await begin(bench, NAMES[at]);
		await until(
			async () =>
				(await holding(daemon)).length === 1 && (await waiting(daemon)).length === at,
			{ what: "it holds, or waits" },
		);
	}
	assert.deepEqual([await holding(daemon), await waiting(daemon)], [["tab0"], NAMES.slice(1)]);

	await Promise.all(
		all.map(async (bench, at) => {
			await bench.tab.reload();
			await begin(bench, NAMES[at]);
		}),
	);
	await until(async () => (await waiting(daemon)).length === NAMES.length - 1, {
		what: "all but one wait again",
	});
	/** @type {string[]} */
	const served = [];
	while (served.length < NAMES.length) {
		const [name] = await until(async () => {
			const now = await holding(daemon);
			return now.length === 1 && now[0] !== served.at(-1) && now;
		});
		served.push(name);
		const bench = all[NAMES.indexOf(name)];
		await until(() => bench.run("() => Boolean(bench.finish)"), { what: "it computes" });
		await bench.run("async () => { bench.finish(null, 'whole'); await bench.turn; }");
	}
	assert.deepEqual([...served].sort(), NAMES, "everybody had a turn, once");

	/** @type {{name: string, from: number, to: number, end: string}[]} */
	const turns = await all[0].run(
		"() => Object.values({ ...localStorage }).map((text) => JSON.parse(text))",
	);
	turns.sort((a, b) => a.from - b.from);
	for (const [at, turn] of turns.entries())
		if (at > 0) assert.ok(turns[at - 1].to <= turn.from + CLOCKS_MS, JSON.stringify(turns));
	await Promise.all(all.map(({ tab }) => tab.close()));
	await until(async () => (await daemon.status()).sessions === 0, { what: "no session is left" });

	const { history } = await daemon.http("GET", "/v1/gpu/history");
	const came = history.filter((/** @type {any} */ { granted }) => granted);
	const twice = NAMES.filter(
		(name) => came.filter((/** @type {any} */ { id }) => id === name).length > 1,
	);
	assert.ok(twice.includes("tab0"));
	// The first that was back found nobody there.
	const inOrder = served.slice(1).filter((name) => name !== "tab0");
	assert.deepEqual(inOrder, [...inOrder].sort());
	t.diagnostic(`came before: ${twice}; then served: ${served}`);
});

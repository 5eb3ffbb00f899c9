// @ts-check
// The wall clock is set while a page lives, as when a laptop wakes and asks what time it is: before
// the page has its session, whose worker begins by another clock than the page did, or under it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchFirefox } from "../lib/bidi.mjs";
import { launch } from "../lib/cdp.mjs";
import { settableClock } from "../lib/clocks.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, untilWaiting } from "../lib/tabs.mjs";

const HOUR_S = 3600;
const clock = settableClock();
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	daemon = await startDaemon({ config: { origins: [site.base] } });
});
after(async () => {
	await daemon?.stop();
	await site?.stop();
});

/** Waits in the page, holds, and takes a step after what a browser says to a page that wakes.
 * @param {Bench<any>} bench @param {string} turn */
async function takeTurn(bench, turn) {
	const other = await connect(daemon, "other");
	const { lease } = await other.ask({ type: "acquire", ref: 1 }, "offered");
	await other.ask({ type: "accept", lease }, "granted");
	await bench.ask(turn, { waitMs: 60_000 });
	await untilWaiting(daemon, ["page"]);
	other.send({ type: "release", lease });
	await bench.granted(turn);
	const step = await bench.run(
		`async (turn) => {
		document.dispatchEvent(new Event("resume"));
		const step = await bench.leases[turn].yieldIfNeeded().catch((error) => error.code);
		return [step, bench.over[turn] ?? null];
	}`,
		turn,
	);
	assert.deepEqual(step, [false, null]);
	await bench.release(turn);
	other.close();
}

/** @type {[string, () => Promise<{page(url: string): Promise<any>, close(): Promise<void>}>][]} */
const browsers = [
	["Chromium", () => launch({ env: clock.env })],
	["Firefox", () => launchFirefox({ env: clock.env })],
];
for (const [name, start] of browsers)
	test(`the clock of ${name} is set, an hour on or back: nothing is late, and nothing lost`, async () => {
		const browser = await start();
		try {
			for (const seconds of [HOUR_S, -HOUR_S]) {
				clock.set(0);
				const tab = await browser.page(`${site.base}/`);
				const began = await tab.run("() => Date.now()");
				clock.set(seconds);
				const ms = (await tab.run("() => Date.now()")) - began;
				assert.ok(Math.abs(ms / 1000 - seconds) < 60, `it was set by ${ms} ms`);
				const bench = await new Bench(tab).install({
					broker: { name: "page", url: daemon.base, token: daemon.token },
				});
				await takeTurn(bench, "set before");
				clock.set(-seconds);
				await takeTurn(bench, "set under it");
				await tab.close();
			}
		} finally {
			await browser.close();
		}
	});

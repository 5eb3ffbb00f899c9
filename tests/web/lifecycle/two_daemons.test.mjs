// @ts-check
// One page with two Brokers, each of a daemon of its own, under one name: what one of them does to
// the page is not felt by what the page has of the other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {import("../lib/cdp.mjs").Tab} Tab */
/** @typedef {import("../lib/daemon.mjs").Daemon} Daemon */
/** @typedef {import("../lib/session.mjs").Session} Session */
/** @typedef {{url: string, token?: string, name: string}} Options */

const GPUS = ["left", "right"];
const NAME = "page";
/** @type {Daemon[]} */
let daemons;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	daemons = await Promise.all(
		GPUS.map((gpu) =>
			startDaemon({
				gpu: `${gpu}:24576`,
				config: {
					origins: [site.base],
					timing: { tab_linger_s: 1, lock_delay_s: 0.5, grace_s: 0.5 },
				},
			}),
		),
	);
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await Promise.all((daemons ?? []).map((daemon) => daemon.stop()));
	await site?.stop();
});

/** Runs in the page: a Broker for each, and what became of it. @param {Options[]} options */
async function install(options) {
	const { Broker } = await import("/sdk/index.js");
	/** @type {any} */ (globalThis).sides = options.map((each) => {
		const broker = new Broker(each);
		/** @type {any} */
		const side = { broker, states: [], over: null };
		broker.addEventListener("state", (/** @type {any} */ event) =>
			side.states.push(event.detail.state),
		);
		side.ask = (/** @type {object} */ request) => {
			side.turn = broker.request(request).then((/** @type {any} */ lease) => {
				side.lease = lease;
				lease.signal.addEventListener("abort", () => {
					side.over = lease.signal.reason.code;
				});
				return { gpu: lease.gpu, fence: Number(lease.fence) };
			});
			side.turn.catch(() => {});
		};
		return side;
	});
}

/** @param {Tab} tab @param {{key?: string}} [request] */
async function open(tab, request) {
	await tab.run(
		install,
		daemons.map(({ base, token }) => ({ url: base, token, name: NAME })),
	);
	await tab.run("() => Promise.all(sides.map(({ broker }) => broker.ready()))");
	if (request) await tab.run("(request) => sides.forEach((side) => side.ask(request))", request);
	return tab;
}

/** @param {Tab} tab */
const turns = (tab) => tab.run("() => Promise.all(sides.map(({ turn }) => turn))");

/** @param {Tab} tab @param {number} at */
const seen = (tab, at) =>
	tab.run(
		`async (at) => {
		const { broker, states, over, lease } = sides[at];
		return [broker.state, states, over, lease && lease.signal.aborted];
	}`,
		at,
	);

/** Somebody who holds the GPU of that daemon. @param {Daemon} daemon */
async function holder(daemon) {
	const session = await connect(daemon, "holder");
	const { lease } = await session.ask({ type: "acquire", ref: 1 }, "offered");
	await session.ask({ type: "accept", lease }, "granted");
	return { session, give: () => session.send({ type: "release", lease }) };
}

/** Numbers of the claims that wait, in their order. @param {Daemon} daemon */
const places = async (daemon) =>
	(await daemon.status()).waiting.map((/** @type {any} */ row) => row.lease);

/** One page waits at each for its turn, before one who came later. @param {Tab} tab */
async function queue(tab) {
	const holders = await Promise.all(daemons.map(holder));
	await open(tab, { key: "job" });
	await Promise.all(daemons.map((daemon) => untilWaiting(daemon, [NAME])));
	/** @type {Session[]} */
	const others = [];
	for (const daemon of daemons) {
		others.push(await connect(daemon, "later"));
		others.at(-1)?.send({ type: "acquire", ref: 1 });
		await untilWaiting(daemon, [NAME, "later"]);
	}
	return {
		kept: await Promise.all(daemons.map(places)),
		give: () => holders.forEach((each) => each.give()),
		end: () => [...others, ...holders.map(({ session }) => session)].forEach((s) => s.close()),
	};
}

/** @param {Tab[]} tabs */
async function close(...tabs) {
	await Promise.all(tabs.map((tab) => tab.close()));
	for (const daemon of daemons)
		await until(async () => (await daemon.status()).sessions === 0, {
			what: "no session is left",
		});
}

test("one daemon dies: the lease of the other is untouched, and its own comes anew", async () => {
	const [first, second] = daemons;
	const tab = await open(await browser.page(site.base), {});
	assert.deepEqual(
		(await turns(tab)).map((/** @type {any} */ turn) => turn.gpu),
		GPUS,
	);
	const [{ fence }] = (await second.status()).leases;
	const quiet = ["open", ["connecting", "open"], null, false];
	assert.deepEqual(await seen(tab, 0), quiet);

	await first.kill();
	await until(async () => (await seen(tab, 0))[2], { what: "its lease is over" });
	assert.deepEqual((await seen(tab, 0)).slice(2), ["LOST", true]);
	assert.deepEqual(await seen(tab, 1), quiet);
	const [row] = (await second.status()).leases;
	assert.deepEqual([row.fence, row.attached], [fence, true]);

	await first.restart();
	await tab.run("() => sides[0].ask({})");
	assert.equal((await tab.run("() => sides[0].turn")).gpu, "left");
	assert.deepEqual(await seen(tab, 1), quiet);
	await tab.run("() => sides[1].lease.release()");
	assert.equal((await seen(tab, 0))[3], false);
	await close(tab);
});

test("a reload keeps each place with its own broker", async () => {
	const tab = await browser.page(site.base);
	const { give, end } = await queue(tab);
	await tab.reload();
	await open(tab, { key: "job" });
	for (const daemon of daemons) await untilWaiting(daemon, [NAME, "later"]);
	give();
	assert.deepEqual(
		(await turns(tab)).map((/** @type {any} */ turn) => turn.gpu),
		GPUS,
	);
	end();
	await close(tab);
});

test("a copy of the tab leaves the places of both to the tab that has them", async () => {
	const tab = await browser.page(site.base);
	const { kept, give, end } = await queue(tab);
	const copy = await browser.page(site.base);
	const storage = await tab.run("() => JSON.stringify({ ...sessionStorage })");
	await copy.run("(kept) => void Object.assign(sessionStorage, JSON.parse(kept))", storage);
	await open(copy, { key: "job" });
	for (const [at, daemon] of daemons.entries()) {
		await untilWaiting(daemon, [NAME, "later", NAME]);
		assert.deepEqual((await places(daemon)).slice(0, 2), kept[at]);
	}
	give();
	assert.deepEqual(
		(await turns(tab)).map((/** @type {any} */ turn) => turn.gpu),
		GPUS,
	);
	assert.deepEqual(await seen(tab, 0), ["open", ["connecting", "open"], null, false]);
	end();
	await close(tab, copy);
});

/** Runs in the page: asks both operators at once, and says what each gave. @param {string[]} urls */
async function pairBoth(urls) {
	const { pair } = await import("/sdk/index.js");
	return Promise.all(urls.map((url) => pair({ url })));
}

test("pair() with each: a token of its own, and one that is revoked ends its own side", async () => {
	const stranger = await startForeignSite();
	const tab = await browser.page(stranger.base);
	const urls = daemons.map(({ base }) => base);
	const asked = tab.run(pairBoth, urls);
	for (const daemon of daemons)
		await until(async () => (await daemon.cli("sites")).includes(stranger.base), {
			what: "it has asked",
		});
	for (const daemon of daemons) await daemon.cli("sites", "allow", stranger.base);
	const tokens = await asked;
	assert.notEqual(tokens[0], tokens[1]);
	assert.deepEqual(await tab.run(pairBoth, urls), tokens, "neither is asked for again");

	await tab.run(
		install,
		urls.map((url) => ({ url, name: NAME })),
	);
	await tab.run("() => sides.forEach((side) => side.ask({}))");
	assert.deepEqual(
		(await turns(tab)).map((/** @type {any} */ turn) => turn.gpu),
		GPUS,
	);
	await daemons[0].cli("sites", "revoke", stranger.base);
	await until(async () => (await seen(tab, 0))[0] === "closed", { what: "it is closed" });
	assert.equal((await seen(tab, 0))[3], true);
	assert.deepEqual(await seen(tab, 1), ["open", ["connecting", "open"], null, false]);
	await close(tab);
	await stranger.stop();
});

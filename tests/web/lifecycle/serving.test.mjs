// @ts-check
// A tab that answers programs at two daemons and goes away: into the back/forward cache, by a crash,
// discarded, loaded anew. No client waits for a page that is not there, nothing of it stays, and a
// page that comes back serves again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { back, cacheTest } from "../lib/back.mjs";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { discard } from "../lib/discards.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {import("../lib/cdp.mjs").Tab} Tab */
/** @typedef {import("../lib/daemon.mjs").Daemon} Daemon */

/** The broker's own patience with a worker that says nothing is over 20 s. */
const TOLD_MS = 10_000;
/** @type {Daemon[]} */
let daemons;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	const timing = { tab_linger_s: 0.5, lock_delay_s: 0.3, grace_s: 0.3 };
	daemons = await Promise.all(
		["left", "right"].map((gpu) =>
			startDaemon({ gpu: `${gpu}:24576`, config: { origins: [site.base], timing } }),
		),
	);
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await Promise.all((daemons ?? []).map((daemon) => daemon.stop()));
	await site?.stop();
});

/** Runs in the page: a server at each, which answers with its tag until it is told to end.
 * @param {{url: string}[]} options of the Brokers @param {string} tag */
async function install(options, tag) {
	const [{ Broker }, { serve }] = await Promise.all(
		["/sdk/index.js", "/sdk/serve.js"].map((path) => import(path)),
	);
	const finish = new Promise((resolve) => Object.assign(globalThis, { finish: resolve }));
	/** @param {unknown} _ @param {{signal: AbortSignal}} context */
	async function* chat(_, { signal }) {
		yield tag;
		const unwanted = new Promise((resolve) => signal.addEventListener("abort", resolve));
		await Promise.race([finish, unwanted]);
		signal.throwIfAborted();
		yield " END";
	}
	const models = [{ id: "m", loaded: true, chat }];
	const all = options.map((each) => serve(new Broker(each), { models }));
	Object.assign(globalThis, { all: await Promise.all(all) });
}

/** @param {string} tag */
async function open(tag) {
	const tab = await browser.page(`${site.base}/?${tag}`);
	const options = daemons.map(({ base, token }) => ({ url: base, token, name: "page" }));
	await tab.run(install, options, tag);
	await serves(tab);
	return tab;
}

/** @param {Tab} tab */
const serves = (tab) =>
	until(() => tab.run("() => all.every(({ state }) => state === 'open')"), { what: "it serves" });

/** Whether its clients may ask for the page's model. @param {Daemon} daemon */
async function offers(daemon) {
	const { data } = await daemon.http("GET", "/v1/models");
	return data.some((/** @type {any} */ { id }) => id === "m");
}

/** What a program gets. @param {Daemon} daemon @param {() => void} [heard] its first words came */
async function ask(daemon, heard) {
	const answer = await fetch(`${daemon.base}/v1/chat/completions`, {
		method: "POST",
		headers: { Authorization: `Bearer ${daemon.token}`, "Content-Type": "application/json" },
		body: JSON.stringify({
			model: "m",
			stream: true,
			messages: [{ role: "user", content: "" }],
		}),
	});
	let text = "";
	const decoder = new TextDecoder();
	for await (const part of answer.body ?? []) {
		text += decoder.decode(part, { stream: true });
		if (text.includes('"content":"')) heard?.();
	}
	const said = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, words]) => words).join("");
	return { at: performance.now(), said, code: /"code":\s*"(\w+)"/.exec(text)?.[1] };
}

/** @param {(status: any) => boolean} is */
const everywhere = (is, what = "") =>
	until(async () => (await Promise.all(daemons.map((daemon) => daemon.status()))).every(is), {
		what,
		ms: 15_000,
	});
const computes = () => everywhere(({ leases }) => leases.length === 1, "it computes");
const nothing = () =>
	everywhere(
		({ leases, waiting, sessions }) => leases.length + waiting.length + sessions === 0,
		"nothing is left",
	);

/** Somebody who holds it; how that is released. @param {Daemon} daemon */
async function hold(daemon) {
	const holder = await connect(daemon, "holder");
	const { lease } = await holder.ask({ type: "acquire", ref: 1 }, "offered");
	await holder.ask({ type: "accept", lease }, "granted");
	return async () => {
		await holder.ask({ type: "release", lease }, "released");
		holder.close();
	};
}

/** @param {Tab} tab */
const away = (tab) => tab.goto(`${site.base}/elsewhere`);

/** @type {[string, (tab: Tab) => Promise<unknown>][]} */
const absences = [
	["goes into the cache", away],
	["crashes", (tab) => tab.crash()],
	["is discarded", (tab) => discard(tab)],
	["is loaded anew", (tab) => tab.reload()],
];
for (const [what, go] of absences)
	test(`a tab that ${what} while it answers: both clients are told, nothing stays`, async () => {
		const tab = await open("a");
		const heard = new Set();
		const answers = daemons.map((daemon) => ask(daemon, () => heard.add(daemon)));
		await until(() => heard.size === daemons.length, { what: "it answers" });
		await go(tab);
		const goneAt = performance.now();
		for (const { at, said, code } of await Promise.all(answers)) {
			assert.deepEqual([said, code], ["a", "upstream_unreachable"]);
			assert.ok(at - goneAt < TOLD_MS, `after ${at - goneAt} ms`);
		}
		await nothing();
		await tab.close();
	});

for (const [what, go] of absences)
	test(`a tab that ${what} before its turn: another one answers, once`, async () => {
		const tab = await open("a");
		const holders = await Promise.all(daemons.map(hold));
		const answers = daemons.map((daemon) => ask(daemon));
		for (const daemon of daemons) await untilWaiting(daemon, ["page"]);
		const other = await open("b");
		await go(tab);
		const goneAt = performance.now();
		await other.run("() => finish()");
		for (const release of holders) await release();
		for (const { at, said, code } of await Promise.all(answers)) {
			assert.deepEqual([said, code], ["b END", undefined]);
			assert.ok(at - goneAt < TOLD_MS, `after ${at - goneAt} ms`);
		}
		await Promise.all([tab.close(), other.close()]);
		await nothing();
	});

cacheTest(
	"out of the cache a tab serves again, and a client's next try is answered",
	async () => {
		const tab = await open("a");
		const lost = daemons.map((daemon) => ask(daemon));
		await computes();
		await away(tab);
		await Promise.all(lost);
		await back(tab);
		// By the daemons: the page may not know yet that its connections are gone.
		await until(async () => (await Promise.all(daemons.map(offers))).every(Boolean), {
			what: "both offer its model",
		});
		await tab.run("() => finish()");
		for (const answer of daemons.map((daemon) => ask(daemon)))
			assert.equal((await answer).said, "a END");
		await tab.close();
		await nothing();
	},
	() => browser.closeAll().then(nothing),
);

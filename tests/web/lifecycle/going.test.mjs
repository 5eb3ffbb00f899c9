// @ts-check
// A tab that waits has its turn in the moment in which its page is being loaded anew, so that the
// page which is granted is on its way out: the next one works meanwhile, and the new page has the
// old one's place. It has to go by the request's id, since the session ends with the page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, holding, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** For a turn that is left within this its place is kept. */
const SOON_S = 20;
const STILL_MS = 1000;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** Lets the page that was asked for again come. @type {(() => void)|undefined} */
let answer;
/** A page whose answer waits until it is let. @type {import("../lib/foreign.mjs").Routes} */
const routes = {
	"/tab": ({ headers }, response) => {
		const send = () =>
			response
				.writeHead(200, { "Content-Type": "text/html", "Cache-Control": "no-store" })
				.end("<!doctype html><title>tab</title>");
		if (headers["cache-control"]) answer = send;
		else send();
	},
};

before(async () => {
	site = await startForeignSite(routes);
	daemon = await startDaemon({ config: { origins: [site.base], timing: { ack_s: SOON_S } } });
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** @param {Bench} bench @param {string} name */
const install = (bench, name) =>
	bench.install({ broker: { name, url: daemon.base, token: daemon.token } });

/** @param {string} name @param {string} path */
async function tab(name, path) {
	const bench = new Bench(await browser.page(`${site.base}${path}`));
	await install(bench, name);
	await bench.ask(name, { key: "job" });
	return bench;
}

/** Runs in the page, which is loaded anew: told so it stands still, and hears what comes meanwhile at
 * the end at the earliest. @param {number} ms */
function reload(ms) {
	new BroadcastChannel("still").onmessage = () => {
		const end = performance.now() + ms;
		while (performance.now() < end);
	};
	setTimeout(() => location.reload());
}

/** @param {boolean} hears its page learns of its turn */
async function goes(hears) {
	const holder = await connect(daemon, "holder");
	const { lease } = await holder.ask({ type: "acquire", ref: 1 }, "offered");
	await holder.ask({ type: "accept", lease }, "granted");
	const page = await tab("page", "/tab");
	await untilWaiting(daemon, ["page"]);
	const next = await tab("next", "/");
	await untilWaiting(daemon, ["page", "next"]);

	answer = undefined;
	await page.run(reload, STILL_MS);
	const come = await until(() => answer, { what: "the page is asked for again" });
	// By another tab: while a page goes, the browser runs nothing in it for its tools.
	if (!hears) await next.run("() => new BroadcastChannel('still').postMessage(null)");
	holder.send({ type: "release", lease });
	await until(async () => (await holding(daemon))[0] === "page", { what: "it has its turn" });
	come();
	await until(async () => (await holding(daemon))[0] === "next", { what: "it has left" });
	const last = await tab("last", "/");
	await untilWaiting(daemon, ["last"]);

	await install(page, "page");
	await page.ask("page", { key: "job" });
	await untilWaiting(daemon, ["page", "last"]);
	await next.release("next");
	await page.granted("page");
	assert.deepEqual(await holding(daemon), ["page"]);
	for (const each of [page, next, last]) await each.tab.close();
	holder.close();
	await until(async () => (await daemon.status()).sessions === 0, { what: "all are gone" });
}

test("a page that goes and computes has its place again", () => goes(true));
test("a page that goes and has not heard of its turn has its place again", () => goes(false));

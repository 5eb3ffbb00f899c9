// @ts-check
// What a site keeps in the browser is denied to it, full, or cleared while it waits: nothing that it
// asks for fails by that, and it is in nobody's place.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchFirefox } from "../lib/bidi.mjs";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const NAME = "page";
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let stranger;

before(async () => {
	[site, stranger] = await Promise.all([
		startForeignSite({ "/weights.bin": Buffer.alloc(1000, 7) }),
		startForeignSite(),
	]);
	daemon = await startDaemon({ config: { origins: [site.base], timing: { tab_linger_s: 1 } } });
});
after(async () => {
	await daemon?.stop();
	await Promise.all([site, stranger].map((each) => each?.stop()));
});

const broker = () => ({ broker: { name: NAME, url: daemon.base, token: daemon.token } });

/** Somebody who holds, with one behind the page that `wait` lets wait.
 * @param {() => Promise<void>} wait */
async function between(wait) {
	const [holder, behind] = [await connect(daemon, "holder"), await connect(daemon, "behind")];
	const { lease } = await holder.ask({ type: "acquire", ref: 1 }, "offered");
	await holder.ask({ type: "accept", lease }, "granted");
	await wait();
	await untilWaiting(daemon, [NAME]);
	behind.send({ type: "acquire", ref: 1, timeout_s: null });
	await untilWaiting(daemon, [NAME, "behind"]);
	return {
		/** The page is behind by now. */
		async passBy() {
			await untilWaiting(daemon, ["behind", NAME]);
			behind.close();
		},
		async end() {
			holder.close();
			behind.close();
			await until(async () => (await daemon.status()).waiting.length === 0);
		},
		give: () => holder.send({ type: "release", lease }),
	};
}

/** Runs in the page: what it says where it may keep nothing. @param {string} url */
async function withoutStorage(url) {
	const { Broker, pair } = await import("/sdk/index.js");
	const kinds = ["sessionStorage", "localStorage"].map((name) => {
		try {
			return typeof (/** @type {any} */ (globalThis)[name].length);
		} catch (error) {
			return /** @type {Error} */ (error).name;
		}
	});
	const token = await pair({ url });
	const site = new Broker({ url, token, name: "paired" });
	const ran = await site.run({}, () => "ran");
	await site.close();
	return { kinds, ran };
}

/** Runs in the page: a model whose files find no room. */
async function modelWithFiles() {
	const { bench } = /** @type {any} */ (globalThis);
	const model = bench.broker.model({
		name: "weights",
		vramBytes: 1000,
		fetch: ["/weights.bin"],
		load: () => ({}),
	});
	const { code, message } = await model.run({}, () => "ran").catch((/** @type {any} */ e) => e);
	return { code, message };
}

/** @type {[string, () => Promise<{page(url: string): Promise<any>, close(): Promise<void>}>][]} */
const browsers = [
	[
		"Chromium",
		() => launch({ settings: { profile: { default_content_setting_values: { cookies: 2 } } } }),
	],
	["Firefox", () => launchFirefox({ prefs: [["network.cookie.cookieBehavior", 2]] })],
];
for (const [name, start] of browsers)
	test(`${name} denies sites their storage: they wait, hold, pair, and say why no model is kept`, async () => {
		const browser = await start();
		try {
			const bench = await new Bench(await browser.page(`${site.base}/`)).install(broker());
			const others = await between(() => bench.ask("turn", { key: "job" }));
			others.give();
			await bench.granted("turn");
			assert.deepEqual(await bench.run("() => bench.errors"), {});
			await bench.release("turn");
			await others.end();

			const model = await bench.run(modelWithFiles);
			assert.equal(model.code, "STORAGE", model.message);
			const reloaded = await between(() => bench.ask("again", { key: "job" }));
			await bench.tab.reload();
			await bench.install(broker());
			await bench.ask("turn", { key: "job" });
			await reloaded.passBy();
			await bench.tab.close();
			await reloaded.end();

			const tab = await browser.page(`${stranger.base}/`);
			const paired = tab.run(withoutStorage, daemon.base);
			await until(async () => (await daemon.cli("sites")).includes("asks to queue"), {
				what: "it has asked",
			});
			await daemon.cli("sites", "allow", stranger.base);
			const denied = "SecurityError";
			assert.deepEqual(await paired, { kinds: [denied, denied], ran: "ran" });
			await daemon.cli("sites", "revoke", stranger.base);
		} finally {
			await browser.close();
		}
	});

const CLEAR = "() => { sessionStorage.clear(); localStorage.clear(); }";
const FILL = `() => {
	for (let text = "x".repeat(2 ** 20); text; )
		try { sessionStorage.setItem(Math.random(), text); }
		catch { text = text.slice(text.length / 2 + 1); }
}`;
const nothing = "() => {}";

/** @type {[string, string, string][]} what is done before it asks, and as it is left */
const losses = [
	["cleared", nothing, CLEAR],
	["not kept, since all is full", FILL, nothing],
];
for (const [what, before, after] of losses)
	test(`what a page has of its place is ${what}: it waits, and anew once it is loaded anew`, async () => {
		const browser = await launch();
		try {
			const bench = await new Bench(await browser.page(`${site.base}/`)).install(broker());
			await bench.run(before);
			const others = await between(() => bench.ask("turn", { key: "job" }));
			await bench.run(after);
			await untilWaiting(daemon, [NAME, "behind"]);
			await bench.run(`() => addEventListener("pagehide", ${after})`);
			await bench.tab.reload();
			await bench.install(broker());
			await bench.ask("turn", { key: "job" });
			await others.passBy();
			others.give();
			await bench.granted("turn");
			await bench.tab.close();
			await others.end();
		} finally {
			await browser.close();
		}
	});

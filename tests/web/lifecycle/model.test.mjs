// A model whose files lie elsewhere, in a page of its own origin: its download holds nothing, so
// that a voice behind it waits for no byte; files that turn out damaged, or that are cleared away,
// are fetched again by themselves, once.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { voiceWait } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const VOICE_MS_MAX = 100;

let site;
let daemon;
let browser;
let page;
/** @type {Record<string, any>} */
const routes = {};
let fetched;

/** Answers with what `body` gives then. */
const counted = (body) => (_, answer) => {
	fetched++;
	answer.end(body());
};

before(async () => {
	site = await startForeignSite(routes);
	daemon = await startDaemon({ config: { origins: [site.base] } });
	browser = await openBrowser();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});
beforeEach(async () => {
	fetched = 0;
	await page?.close();
	await until(async () => (await daemon.status()).sessions === 0, { what: "nothing is left" });
	page = await browser.page();
	await page.goto(site.base);
	await page.evaluate(
		async ({ url, token }) => {
			for (const name of await caches.keys()) await caches.delete(name);
			const { Broker } = await import("/sdk/index.js");
			const broker = new Broker({ url, token, name: "page" });
			window.loads = 0;
			/** Its weights are words; "good" is what it can read. */
			window.make = (o) =>
				broker.model({
					name: "far",
					vramBytes: 2 ** 26,
					fetch: ["/weights.bin"],
					load: async ({ match }) => {
						window.loads++;
						const text = await (await match("/weights.bin")).text();
						if (text !== "good") throw new Error(`protobuf: ${text}`);
						return { say: () => text };
					},
					...o,
				});
			window.ask = async (model) =>
				model
					.run({ class: "chat" }, (engine) => engine.say())
					.catch(({ code, message }) => ({ code, message }));
			await broker.ready();
		},
		{ url: daemon.base, token: daemon.token },
	);
});

const ask = () => page.evaluate(async () => window.ask((window.model ??= window.make())));

test("while a tab downloads it holds nothing, and a voice waits under 100 ms", async () => {
	let release;
	routes["/weights.bin"] = (_, answer) => {
		answer.write("go");
		release = () => answer.end("od");
	};
	const answer = ask();
	await until(() => release && page.evaluate(() => window.model.state === "fetching"), {
		what: "it downloads",
	});
	const { leases, waiting } = await daemon.status();
	assert.deepEqual([leases, waiting], [[], []]);
	const waited = await voiceWait(daemon, VOICE_MS_MAX);
	console.log(`# a voice behind a download: ${waited.toFixed(1)} ms`);
	assert.ok(waited < VOICE_MS_MAX, `${waited} ms`);
	release();
	assert.equal(await answer, "good");
});

test("files that cannot be loaded are deleted, fetched again, once, and then said", async () => {
	const bodies = ["rotten", "good"];
	routes["/weights.bin"] = counted(() => bodies.shift());
	assert.equal(await ask(), "good");
	assert.equal(fetched, 2);
	await page.evaluate(async () => {
		await window.model.unload();
		await window.model.forget();
	});
	routes["/weights.bin"] = counted(() => "rotten");
	fetched = 0;
	const { code, message } = await ask();
	assert.equal(code, "DAMAGED");
	assert.match(message, /"far" cannot be read, though it was fetched again/);
	assert.equal(fetched, 2);
	assert.deepEqual((await daemon.status()).leases, []);
	routes["/weights.bin"] = counted(() => "good");
	assert.equal(await ask(), "good", "and nothing of it has stayed");
});

test("storage that is cleared while it loads: fetched again, and loaded", async () => {
	routes["/weights.bin"] = counted(() => "good");
	await page.evaluate(() => {
		let cleared = false;
		window.model = window.make({
			load: async ({ match }) => {
				if (!cleared) await caches.delete("baton-models");
				cleared = true;
				const text = await (await match("/weights.bin")).text();
				return { say: () => text };
			},
		});
	});
	assert.equal(await ask(), "good");
	assert.equal(fetched, 2);
	await page.evaluate(() => {
		window.model = window.make({
			load: async ({ match }) => {
				await caches.delete("baton-models");
				return (await match("/weights.bin")).text();
			},
		});
	});
	const { code, message } = await ask();
	assert.equal(code, "STORAGE");
	assert.match(message, /storage was cleared while "far" was loaded/);
});

test("'fetch again' deletes what is there and fetches it", async () => {
	routes["/weights.bin"] = counted(() => "good");
	assert.equal(await ask(), "good");
	await page.evaluate(() => window.model.fetchAgain());
	assert.equal(fetched, 2);
	assert.equal(await ask(), "good");
	assert.equal(await page.evaluate(() => window.loads), 2);
});

// @ts-check
// What keeps a page from the broker is named by its cause, at once, in a real browser: the page's
// own policy, an iframe that may not ask, a site that is not listed.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { tempFolder } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { root } from "../lib/packages.mjs";
import { Bench, signIn } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {Awaited<ReturnType<typeof startForeignSite>>} Site */
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Site[]} */
let sites;

before(async () => {
	sites = await Promise.all(
		[{ "Content-Security-Policy": "default-src 'self'" }, {}, {}].map((headers) =>
			startForeignSite({}, /** @type {any} */ (headers)),
		),
	);
	daemon = await startDaemon({ config: { origins: [sites[0].base] } });
	const publicly = sites
		.map(({ port }) => `127.0.0.1:${port}=public`)
		.slice(1)
		.join();
	browser = await launch({
		args: [
			"--host-resolver-rules=MAP *.test 127.0.0.1",
			`--ip-address-space-overrides=${publicly}`,
			`--unsafely-treat-insecure-origin-as-secure=${origin(1)},${origin(2)}`,
		],
	});
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await Promise.all(sites.map((site) => site.stop()));
});

/** @param {number} n */
const origin = (n) => `http://site${n}.test:${sites[n].port}`;

test("the page's Content-Security-Policy: said at once, and nothing is tried again", async (t) => {
	for (const heartbeat of ["worker", "reply"]) {
		const tab = await browser.page(`${sites[0].base}/`);
		const bench = await new Bench(tab).install({
			ready: false,
			broker: {
				name: "csp",
				url: daemon.base,
				token: daemon.token,
				heartbeat,
				fallback: "unmanaged",
			},
		});
		const began = await bench.run("() => bench.now()");
		await bench.ask("turn");
		const { at, code, message } = await bench.refused("turn");
		t.diagnostic(`${heartbeat}: told after ${Math.round(at - began)} ms`);
		assert.equal(code, "DENIED", message);
		assert.match(message, /Content-Security-Policy/);
		assert.ok(at - began < 2000, `${at - began} ms`);
		await bench.tab.close();
	}
});

// Chromium fires no `close` for a WebSocket that the policy forbids.
test("pair() names the policy, too, at once, and with a token from before", async () => {
	const tab = await browser.page(`${sites[0].base}/`);
	for (const token of [null, "0".repeat(64)]) {
		const error = await tab.run(
			`async (url, token) => {
			if (token) localStorage.setItem("baton-site " + url, token);
			const { pair } = await import("/sdk/index.js");
			const late = new Promise((resolve) => setTimeout(resolve, 5000, { code: "late" }));
			const { code, message } = await Promise.race([pair({ url }).catch((e) => e), late]);
			return { code, message };
		}`,
			daemon.base,
			token,
		);
		assert.equal(error.code, "DENIED", error.message);
		assert.match(error.message, /Content-Security-Policy/);
	}
	await tab.close();
});

test("a page of another broker: its policy is named by pair(), and by a Broker", async () => {
	const other = await startDaemon();
	try {
		await signIn(browser, other);
		const tab = await browser.page(other.base);
		const said = await tab.run(
			`async (url) => {
			const { Broker, pair } = await import("/sdk/index.js");
			const broker = new Broker({ url, name: "guest", token: "0".repeat(64) });
			const errors = [pair({ url }), broker.request()].map((one) => one.catch((e) => e));
			return (await Promise.all(errors)).map(({ code, message }) => code + ": " + message);
		}`,
			daemon.base,
		);
		const policy = `DENIED: The page's Content-Security-Policy must allow ${daemon.base}, also as ws:.`;
		assert.deepEqual(said, [policy, policy]);
		await tab.close();
	} finally {
		await other.stop();
	}
});

/** Runs in a page that has the SDK at `module`. @param {string} module @param {any} options */
async function refusal(module, options) {
	const { Broker, pair } = await import(module);
	const broker = new Broker(options);
	const error = await broker.request().catch((/** @type {any} */ e) => e);
	await broker.close();
	const { code, message } = await pair({
		url: options.url,
		signal: AbortSignal.timeout(5000),
	}).catch((/** @type {any} */ e) => e);
	return { code: error.code, message: error.message, pair: { code, message } };
}

test("an iframe that may not ask for the permission: the attribute is named", async () => {
	const tab = await browser.page(`${origin(1)}/`);
	await tab.run(
		`(src) => {
		addEventListener("message", ({ data }) => { globalThis.told = data; });
		document.body.append(Object.assign(document.createElement("iframe"), { src }));
	}`,
		`${origin(2)}/`,
	);
	const { targetInfos } = await until(
		async () => {
			const all = await browser.send("Target.getTargets");
			return (
				all.targetInfos.some((/** @type {any} */ i) => i.url.startsWith(origin(2))) && all
			);
		},
		{ what: "the iframe is there" },
	);
	const { targetId } = targetInfos.find((/** @type {any} */ i) => i.url.startsWith(origin(2)));
	const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
	const result = await until(
		async () => {
			const answer = await browser.send(
				"Runtime.evaluate",
				{
					awaitPromise: true,
					returnByValue: true,
					expression: `(${refusal})("/sdk/index.js", ${JSON.stringify({
						name: "frame",
						url: daemon.base,
						token: daemon.token,
						fallback: "unmanaged",
					})})`,
				},
				sessionId,
				60000,
			);
			// It may not be the iframe's own document yet.
			return answer.result.value ?? Promise.reject(new Error(answer.exceptionDetails?.text));
		},
		{ what: "it is refused", ms: 60000 },
	);
	assert.equal(result.code, "DENIED", result.message);
	assert.match(result.message, /allow="loopback-network"/);
	assert.deepEqual(result.pair, { code: "DENIED", message: result.message });
	await tab.close();
});

test("an extension that is not listed is told to list itself, and works once it is", async () => {
	const folder = tempFolder("baton-extension");
	cpSync(join(root, "web/sdk"), join(folder, "sdk"), {
		recursive: true,
		filter: (from) => !/dist|node_modules/.test(from),
	});
	const manifest = { manifest_version: 3, name: "helper", version: "1" };
	writeFileSync(
		join(folder, "manifest.json"),
		JSON.stringify({ ...manifest, host_permissions: ["http://127.0.0.1/*"] }),
	);
	writeFileSync(join(folder, "page.html"), "<!doctype html><title>helper</title>");
	// Its id is made of where it lies.
	const id = createHash("sha256")
		.update(folder)
		.digest("hex")
		.slice(0, 32)
		.replace(/./g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)));
	const own = await launch({
		args: [`--disable-extensions-except=${folder}`, `--load-extension=${folder}`],
	});
	const listing = await startDaemon({ config: { origins: [`chrome-extension://${id}`] } });
	try {
		const tab = await own.page();
		// The browser may answer before it has loaded the extension.
		await until(() => tab.goto(`chrome-extension://${id}/page.html`).then(() => true));
		const ask = (/** @type {import("../lib/daemon.mjs").Daemon} */ { base: url, token }) =>
			tab.run(refusal, "/sdk/index.js", { name: "helper", url, token });
		const refused = await ask(daemon);
		assert.equal(refused.code, "DENIED", refused.message);
		assert.match(refused.message, /^List .* under `origins`/);
		assert.equal((await ask(listing)).code, undefined);
	} finally {
		await listing.stop();
		await own.close();
	}
});

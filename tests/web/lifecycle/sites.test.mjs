// @ts-check
// A site whose origin is not listed asks to queue: the operator sees on the dashboard who asks,
// allows it, and revokes it; the page then has its turn by the token that pair() left there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
before(async () => {
	[daemon, site] = await Promise.all([startDaemon(), startForeignSite()]);
	browser = await openBrowser({ args: ["--disable-features=LocalNetworkAccessChecks"] });
});
after(async () => {
	await browser?.close();
	await Promise.all([daemon?.stop(), site?.stop()]);
});

test("asks, is allowed on the dashboard, has its turn, and is revoked", async () => {
	const page = await browser.page();
	await page.goto(site.base);
	const before = await page.evaluate(async (url) => {
		const { Broker } = await import("/sdk/index.js");
		const broker = new Broker({ url, name: "site" });
		const { state } = broker;
		const refused = await broker.request().catch((error) => error);
		return { state, code: refused.code, message: refused.message };
	}, daemon.base);
	assert.deepEqual([before.state, before.code], ["idle", "DENIED"]);
	assert.match(before.message, /pair\(\)/);

	const turn = page.evaluate(async (url) => {
		const { Broker, pair } = await import("/sdk/index.js");
		// Twice, as by a double click: the second must not end the first.
		const [token] = await Promise.all([pair({ url }), pair({ url })]);
		const broker = (globalThis.site = new Broker({ url, name: "site" }));
		return {
			length: token.length,
			gpu: await broker.run({ class: "chat" }, (lease) => lease.gpu),
			rights: broker.rights,
		};
	}, daemon.base);
	const dashboard = await browser.signedInPage(daemon);
	const asks = dashboard.locator(".site-asks");
	await asks.waitFor();
	assert.match(await asks.innerText(), new RegExp(`^${site.base} asks to queue for the GPU`));
	await asks.getByRole("button", { name: "Allow…" }).click();
	await dashboard.locator("dialog[open] button[type=submit]").click();
	assert.deepEqual(await turn, { length: 64, gpu: "rtx", rights: "queue" });
	const again = await page.evaluate(async (url) => {
		const { pair } = await import("/sdk/index.js");
		let asked = false;
		return [
			(
				await pair({
					url,
					onAsked: () => {
						asked = true;
					},
				})
			).length,
			asked,
		];
	}, daemon.base);
	assert.deepEqual(again, [64, false], "it is not asked for again");

	const held = page.evaluate(async () => {
		const lease = await globalThis.site.request();
		await new Promise((resolve) => lease.signal.addEventListener("abort", resolve));
		return globalThis.site.state;
	});
	await until(async () => (await daemon.status()).locked, { what: "the site holds" });
	const row = dashboard.locator("#sites li");
	await row.getByRole("button", { name: "Revoke…" }).click();
	await dashboard.locator("dialog[open] button[type=submit]").click();
	assert.equal(await held, "closed");
	await until(async () => !(await daemon.status()).locked, { what: "the GPU is free" });
	await row.waitFor({ state: "detached" });
	assert.deepEqual(dashboard.problems, []);
	await dashboard.close();
	await page.close();
});

test("the dashboard looks for sites when it is looked at, and seldom meanwhile", async () => {
	const page = await browser.page();
	let asked = 0;
	page.on("request", (request) => {
		if (request.url().endsWith("/v1/sites")) asked++;
	});
	await page.clock.install();
	await page.goto(daemon.base);
	await until(() => asked > 0, { what: "it looks" });
	const first = asked;
	await page.clock.runFor(21_000);
	await until(() => asked > first, { what: "it looks again" });
	assert.ok(asked - first <= 5, `${asked - first} times in 21 s`);
	const before = asked;
	await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
	await until(() => asked > before, { what: "it looks at once", ms: 2000 });
	await page.close();
});

test("any site may read the SDK, and learns from it why it is refused", async () => {
	const page = await browser.page();
	await page.goto(site.base);
	const said = await page.evaluate(async (base) => {
		const { Broker } = await import(`${base}/sdk/index.js`);
		return await new Broker({ name: "stranger" }).request().catch((error) => error.code);
	}, daemon.base);
	assert.match(said, /DENIED|UNAUTHORIZED/);
	await page.close();
});

// @ts-check
// Refused is not the same as unreachable: a wrong token, an origin that is not listed, and a public
// page without the browser's permission are each told apart from a broker that is down, and none of
// them is given the GPU by a fallback.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { Bench, signIn } from "../lib/tabs.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @typedef {Awaited<ReturnType<typeof startForeignSite>>} Site */
/** @type {Site} listed under `origins` */
let listed;
/** @type {Site} not listed */
let stranger;
/** @type {Site} listed, and of the public internet as far as the browser knows */
let publicSite;
let publicBase = "";

before(async () => {
	[listed, stranger, publicSite] = await Promise.all([
		startForeignSite(),
		startForeignSite(),
		startForeignSite(),
	]);
	publicBase = `http://public.test:${publicSite.port}`;
	daemon = await startDaemon({ config: { origins: [listed.base, publicBase] } });
	browser = await launch({
		args: [
			"--host-resolver-rules=MAP public.test 127.0.0.1",
			`--ip-address-space-overrides=127.0.0.1:${publicSite.port}=public`,
			`--unsafely-treat-insecure-origin-as-secure=${publicBase}`,
		],
	});
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await Promise.all([listed, stranger, publicSite].map((site) => site?.stop()));
});

/**
 * A page that asks at once, and would take the GPU without a broker if it were told that there is
 * none.
 * @param {string} url @param {object} [broker] @param {object} [tab]
 */
async function ask(url, broker = {}, tab = {}) {
	const page = await browser.page(url, tab);
	const bench = await new Bench(page).install({
		ready: false,
		broker: { name: "page", fallback: "unmanaged", ...broker },
	});
	await bench.ask("turn");
	return bench;
}

/** @param {Bench} bench @param {string} code @param {RegExp} message */
async function refusedWith(bench, code, message) {
	const refused = await bench.refused("turn");
	assert.equal(refused.code, code, refused.message);
	assert.match(refused.message, message, "the message says what to do");
	assert.equal((await daemon.status()).locked, false);
	await bench.tab.close();
}

test("no token and a wrong token: UNAUTHORIZED", async () => {
	for (const token of [undefined, "0".repeat(64)]) {
		const bench = await ask(listed.base, { url: daemon.base, token });
		await refusedWith(bench, "UNAUTHORIZED", /baton open|token/);
	}
	const own = await ask(
		`${daemon.base}/health`,
		{},
		{ browserContextId: await browser.createContext() },
	);
	await refusedWith(own, "UNAUTHORIZED", /baton open/);
});

test("the right token from a listed origin: granted, with the token's rights", async () => {
	const bench = await ask(listed.base, { url: daemon.base, token: daemon.token });
	assert.equal((await bench.granted("turn")).managed, true);
	assert.equal(await bench.run("() => bench.broker.rights"), "token");
	await bench.release("turn");
	await bench.tab.close();
});

test("a signed-in browser does not lend its rights to a page of another origin", async () => {
	await signIn(browser, daemon);
	const bench = await ask(listed.base, { url: daemon.base });
	await refusedWith(bench, "UNAUTHORIZED", /baton open|token/);
});

test("two brokers of one host: each signed in at, and what others see is of no use", async () => {
	const second = await startDaemon();
	/** @type {string|undefined} */
	let seen;
	const server = createServer((request, answer) => {
		seen = request.headers.cookie;
		answer.end("<!doctype html>");
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
	try {
		await signIn(browser, daemon);
		await signIn(browser, second);
		for (const one of [daemon, second]) {
			const own = await ask(`${one.base}/health`);
			assert.equal((await own.granted("turn")).managed, true);
			assert.equal(await own.run("() => bench.broker.rights"), "admin");
			await own.release("turn");
			await own.tab.close();
		}
		const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
		const visit = await browser.page(`http://127.0.0.1:${port}/`);
		await visit.close();
		assert.match(seen ?? "", new RegExp(`baton-${daemon.port}=.*baton-${second.port}=`));
		for (const one of [daemon, second])
			for (const [method, path] of [
				["GET", "/v1/gpu/status"],
				["POST", "/v1/gpu/reset"],
			]) {
				const answer = await fetch(one.base + path, {
					method,
					headers: { Cookie: seen ?? "", Origin: one.base },
				});
				assert.equal(answer.status, 401);
			}
	} finally {
		server.close();
		server.closeAllConnections();
		await second.stop();
	}
});

test("an origin that is not listed: DENIED, though it knows the token", async () => {
	const bench = await ask(stranger.base, { url: daemon.base, token: daemon.token });
	await refusedWith(bench, "DENIED", /origins/);
});

test("a broker that is down is UNREACHABLE for the same page", async () => {
	const gone = await startForeignSite();
	await gone.stop();
	for (const site of [listed, stranger]) {
		const bench = await ask(site.base, { url: gone.base, token: "x", fallback: "error" });
		const refused = await bench.refused("turn");
		assert.equal(refused.code, "UNREACHABLE");
		assert.match(refused.message, /baton serve/);
		await bench.tab.close();
	}
});

test("a public page without the permission: DENIED; with it, granted", async () => {
	const origin = publicBase;
	const without = await ask(origin, { url: daemon.base, token: daemon.token });
	assert.notEqual(
		await without.run(`async () =>
		(await navigator.permissions.query({ name: "loopback-network" })).state`),
		"granted",
	);
	await refusedWith(without, "DENIED", /reach apps on this device/);

	await browser.send("Browser.grantPermissions", { origin, permissions: ["loopbackNetwork"] });
	const allowed = await ask(origin, { url: daemon.base, token: daemon.token });
	assert.equal((await allowed.granted("turn")).managed, true);
	await allowed.release("turn");
	await allowed.tab.close();
});

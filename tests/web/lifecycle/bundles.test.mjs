// @ts-check
// A page that was bundled is as safe as one that was not: its thread stands still for longer than
// the session's TTL under a lease, while another waits for the same GPU. Nobody computes beside it,
// and what it held is known to it. All pages do so at once, each with a GPU of its own.
// BUNDLES_RUNS: how often (`make bundles`), and then for a minute each by the broker's own times,
// five runs side by side, each with a broker of its own. BUNDLES_BROWSER=firefox
// (`make bundles-firefox`): there a page that waits for a request lets its worker's messages
// through, so it computes instead, each in a process of its own, and runs follow each other.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BUNDLERS, SERVERS, developmentServer, writePage } from "../lib/bundlers.mjs";
import { launchFirefox } from "../lib/bidi.mjs";
import { launch } from "../lib/cdp.mjs";
import { tempFolder } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { installSdk } from "../lib/package.mjs";
import { connect } from "../lib/session.mjs";
import { clock } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const RUNS = Number(process.env.BUNDLES_RUNS) || 1;
const LONG = Boolean(process.env.BUNDLES_RUNS);
const FIREFOX = process.env.BUNDLES_BROWSER === "firefox";
const SIDE_BY_SIDE = FIREFOX ? 1 : Math.min(RUNS, 5); // a browser opens six connections to a site
const CLOCK_MS = FIREFOX ? 2 : 0; // it rounds the clock to a millisecond
const STILL_MS = LONG ? 60_000 : 5_200;
const SHORT = {
	session_ttl_s: 2,
	heartbeat_s: 0.5,
	grace_s: 0.3,
	lock_delay_s: 0.3,
	settle_s: 0.5,
};
const TYPES = /** @type {Record<string, string>} */ ({ html: "text/html", js: "text/javascript" });

/** @type {import("../lib/daemon.mjs").Daemon[]} */
let daemons = [];
/** @typedef {import("../lib/cdp.mjs").Tab | import("../lib/bidi.mjs").FirefoxTab} Tab */

/** @type {{page(url: string): Promise<Tab>, close(): Promise<void>}} */
let browser;
/** @type {{base: string, stop(): void}[]} */
const sites = [];
/** @type {Record<string, string>} where each bundle is */
const pages = {};

/** Answers `/still` only after so long: for a page that stands still without taking a core.
 * @param {(request: any, answer: any) => void} rest */
async function serve(rest) {
	// Firefox keeps all pages of a host in one process, and a page that computes stops the others.
	const host = FIREFOX ? `127.0.0.${sites.length + 2}` : "127.0.0.1";
	const server = createServer((request, answer) => {
		if (request.url?.startsWith("/still")) setTimeout(() => answer.end(), STILL_MS);
		else rest(request, answer);
	});
	await new Promise((done) => server.listen(0, host, () => done(0)));
	const { port } = /** @type {any} */ (server.address());
	const stop = () => {
		server.close();
		server.closeAllConnections();
	};
	sites.push({ base: `http://${host}:${port}`, stop });
	return `http://${host}:${port}`;
}

/** @param {string} folder @param {Record<string, string>} [headers] */
const files =
	(folder, headers = {}) =>
	(/** @type {any} */ request, /** @type {any} */ answer) => {
		const path = request.url.endsWith("/") ? `${request.url}index.html` : request.url;
		try {
			const text = readFileSync(join(folder, path));
			answer
				.writeHead(200, { "Content-Type": TYPES[path.split(".").at(-1)] ?? "", ...headers })
				.end(text);
		} catch {
			answer.writeHead(404).end();
		}
	};

before(async () => {
	const from = tempFolder("baton-bundled");
	const out = tempFolder("baton-bundles");
	writePage(from);
	installSdk(from);
	for (const [at, [name, bundle]] of Object.entries(BUNDLERS).entries()) {
		mkdirSync(join(out, `${at}`));
		await bundle(from, join(out, `${at}`));
		pages[name] = `${await serve(files(out))}/${at}/`;
	}
	for (const [name, which] of Object.entries(SERVERS)) {
		const vite = await developmentServer(which, from);
		pages[name] = `${await serve(vite.middlewares)}/`;
		sites.push({ base: "", stop: () => vite.close() });
	}
	const csp = { "Content-Security-Policy": "script-src 'self'; worker-src 'self'" };
	pages["no worker allowed"] = `${await serve(files(out, csp))}/0/`;
	const typed = { "Content-Security-Policy": "require-trusted-types-for 'script'" };
	pages["Trusted Types"] = `${await serve(files(out, typed))}/0/`;
	daemons = await Promise.all(
		Array.from({ length: SIDE_BY_SIDE }, () =>
			startDaemon({
				gpu: null,
				args: Object.keys(pages).flatMap((_, at) => ["--fake-gpu", `gpu${at}:24576`]),
				config: {
					origins: sites.map(({ base }) => base).filter(Boolean),
					classes: { normal: { hold_max_s: 600 } },
					...(LONG ? {} : { timing: SHORT }),
				},
			}),
		),
	);
	browser = await (FIREFOX ? launchFirefox() : launch());
});
after(async () => {
	await browser?.close();
	await Promise.all(daemons.map((daemon) => daemon.stop()));
	sites.forEach(({ stop }) => stop());
});

/** Runs in the page. @param {any} options @param {string} gpu
 * @param {number} computeMs 0: it waits for a request */
async function standStill(options, gpu, computeMs) {
	const { sdk } = /** @type {any} */ (globalThis);
	const now = () => performance.timeOrigin + performance.now();
	/** @type {any} */
	const told = { warnings: [] };
	console.warn = (...texts) => told.warnings.push(texts.join(" "));
	const broker = new sdk.Broker(options);
	told.result = await broker
		.run({ gpu }, async (/** @type {any} */ lease) => {
			const { signal } = lease;
			await new Promise((go) => Object.assign(globalThis, { go }));
			for (const from = now(); now() - from < computeMs;);
			if (!computeMs) {
				const request = new XMLHttpRequest();
				request.open("GET", "/still", false);
				request.send();
			}
			told.aborted = signal.aborted;
			told.end = now();
			return "done";
		})
		.catch((/** @type {any} */ error) => error.code);
	told.heartbeat = broker.heartbeat;
	await broker.close();
	return told;
}

/** Lets a page go on that holds its lease: once this call was answered.
 * @param {Tab} tab */
const begin = (tab) =>
	until(() => tab.run("() => globalThis.go && setTimeout(globalThis.go)"), {
		what: "it holds",
		ms: 30000,
	});

/** A page that will stand still under a lease, and one that waits for its GPU.
 * @param {import("../lib/daemon.mjs").Daemon} daemon @param {string} name @param {number} at */
async function open(daemon, name, at) {
	const gpu = `gpu${at}`;
	const tab = await browser.page(pages[name]);
	await until(() => tab.run("() => Boolean(globalThis.sdk)"), { what: name, ms: 60000 });
	const other = await connect(daemon, "other");
	await tab.run(
		`(...options) => { globalThis.told = (${standStill})(...options); }`,
		{ name, url: daemon.base, token: daemon.token },
		gpu,
		FIREFOX ? STILL_MS : 0,
	);
	// The GPU may still be of the one before.
	await until(
		async () =>
			(await daemon.status()).leases.some(
				(/** @type {any} */ row) => row.gpu === gpu && row.id === name,
			),
		{ what: `${name} holds`, ms: 30000 },
	);
	other.send({ type: "acquire", ref: 1, timeout_s: null, gpu });
	await other.hear("queued");
	return { name, tab, other };
}

let opened = Promise.resolve();

/** Pages are opened one after the other: they shall have the processor. @type {typeof open} */
function openInTurn(...page) {
	const mine = opened.then(async () => {
		const held = await open(...page);
		await begin(held.tab);
		return held;
	});
	opened = mine.then(
		() => undefined,
		() => undefined,
	);
	return mine;
}

/** What becomes of a page that has begun. @param {Awaited<ReturnType<typeof open>>} held */
async function outcome({ name, tab, other }) {
	const offered = await until(() => other.messages.find((m) => m.type === "offered"), {
		what: `the one after ${name} is offered the GPU`,
		ms: STILL_MS + 30000,
		every: 2,
	});
	const granted = clock();
	other.send({ type: "accept", lease: offered.lease });
	const all = { name, granted, ...(await tab.run("() => globalThis.told")) };
	other.close();
	await tab.close();
	return all;
}

/** One page again and again. @type {(...page: Parameters<typeof open>) => Promise<any[]>} */
async function rounds(...page) {
	const all = [];
	for (let run = daemons.indexOf(page[0]); run < RUNS; run += daemons.length)
		all.push(await outcome(await openInTurn(...page)));
	return all;
}

/** All pages once, which begin when all are there: while they compute no other can be opened. */
async function roundOfAll() {
	const held = [];
	for (const [at, name] of Object.keys(pages).entries())
		held.push(await open(daemons[0], name, at));
	await Promise.all(held.map(({ tab }) => begin(tab)));
	return Promise.all(held.map(outcome));
}

/** All pages, as many times each. */
async function everyRound() {
	if (!FIREFOX) {
		const each = daemons.flatMap((daemon) =>
			Object.keys(pages).map((name, at) => rounds(daemon, name, at)),
		);
		return (await Promise.all(each)).flat();
	}
	const all = [];
	for (let run = 0; run < RUNS; run++) all.push(...(await roundOfAll()));
	return all;
}

const NO_WORKER = "no worker allowed";

test("each bundle has its worker, and nobody computes beside a thread that stands still", async (t) => {
	const all = await everyRound();
	const overlaps = [];
	for (const { name, granted, end, result, aborted, heartbeat, warnings } of all) {
		t.diagnostic(
			`${name}: ${heartbeat}, ${result}, the next `
				+ `${Math.round(granted - end)} ms after its end`,
		);
		if (name === NO_WORKER) {
			assert.deepEqual([heartbeat, result, aborted], ["reply", "LOST", true], name);
			assert.equal(warnings.length, 1, name);
			assert.match(warnings[0], /worker-src/);
			continue;
		}
		assert.deepEqual(
			[heartbeat, result, aborted, warnings],
			["worker", "done", false, []],
			name,
		);
		if (granted < end - CLOCK_MS) overlaps.push(name);
	}
	t.diagnostic(
		`${all.length} pages in ${RUNS} runs of ${STILL_MS / 1000} s: `
			+ `${overlaps.length} overlaps`,
	);
	assert.deepEqual(overlaps, []);
});

test("a bundle lies elsewhere: pair() asks where a Broker would connect", async () => {
	for (const [name, address] of Object.entries(pages)) {
		const tab = await browser.page(address);
		await until(() => tab.run("() => Boolean(globalThis.sdk)"), { what: name, ms: 60000 });
		const asked = await tab.run(`() => new Promise((resolve) => {
			globalThis.fetch = (url) => {
				resolve(url);
				return new Promise(() => {});
			};
			sdk.pair();
		})`);
		assert.equal(asked, "http://127.0.0.1:8470/v1/pair", name);
		await tab.close();
	}
});

test('a lease that the worker lost while the page\'s thread stood still: LOST, never "done"', async () => {
	const [daemon] = daemons;
	const tab = await browser.page(pages["esbuild, iife"]);
	const told = tab.run(
		standStill,
		{ name: "cut", url: daemon.base, token: daemon.token },
		"gpu0",
		FIREFOX ? STILL_MS : 0,
	);
	await begin(tab);
	await daemon.kill();
	const { result, heartbeat } = await told;
	await daemon.start();
	assert.deepEqual([result, heartbeat], ["LOST", "worker"]);
	await tab.close();
});

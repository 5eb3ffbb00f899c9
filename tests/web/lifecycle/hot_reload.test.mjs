// @ts-check
// A module that holds the Broker and is replaced while the page lives, by Vite: with the line of the
// README the session before it ends, and each version has its turn. Without it the page waits for
// itself, and says so.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SERVERS, hotServer, writePage } from "../lib/bundlers.mjs";
import { launch } from "../lib/cdp.mjs";
import { tempFolder } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { installSdk } from "../lib/package.mjs";
import { holding, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const VERSIONS = 4;
const REWRITE_MS = 2000;
/** As web/sdk/README.md says. */
const DISPOSE = "import.meta.hot?.dispose(() => broker.close());";
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	browser = await launch();
});
after(() => browser?.close());

/** @param {any} options of the Broker @param {number} version @param {string} line */
const page = (options, version, line) => `
import { Broker } from "@baton/sdk";
import.meta.hot.accept();
const broker = new Broker(${JSON.stringify(options)});
${line}
globalThis.versions = [...(globalThis.versions ?? []), ${version}];
broker.run({ key: "job" }, (lease) => {
	globalThis.holds = ${version};
	return new Promise((resolve) => lease.signal.addEventListener("abort", resolve));
}).catch(() => {});
`;

/** A page under development, whose module is written anew so many times.
 * @param {string} which one of SERVERS @param {string} line @param {number} versions
 * @param {(daemon: any, tab: any, version: number) => Promise<void>} look after each */
async function develop(which, line, versions, look) {
	const from = tempFolder("baton-hot");
	writePage(from);
	installSdk(from);
	const server = createServer();
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(0)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
	const origin = `http://127.0.0.1:${port}`;
	const daemon = await startDaemon({ config: { origins: [origin] } });
	const options = { url: daemon.base, token: daemon.token, name: "page", connect: "now" };
	const write = (/** @type {number} */ version) =>
		writeFileSync(join(from, "page.js"), page(options, version, line));
	write(1);
	const vite = await hotServer(which, from, server);
	server.on("request", vite.middlewares);
	try {
		const tab = await browser.page(`${origin}/`);
		for (let version = 1; version <= versions; version++) {
			let writtenAt = version > 1 ? 0 : Infinity;
			const runs = async () => {
				// A watcher may miss one of two writes in a row.
				if (Date.now() - writtenAt > REWRITE_MS) {
					write(version);
					writtenAt = Date.now();
				}
				return tab.run("(v) => globalThis.versions?.at(-1) === v", version);
			};
			await until(runs, { what: `version ${version} runs`, ms: 30_000 });
			await look(daemon, tab, version);
		}
		assert.equal(await tab.run("() => versions[0]"), 1, "the page was not reloaded");
		await tab.close();
	} finally {
		await vite.close();
		server.close();
		server.closeAllConnections();
		await daemon.stop();
	}
}

for (const [name, which] of Object.entries(SERVERS)) {
	test(`${name}: a Broker that its module closes is replaced, nothing is left of it`, () =>
		develop(which, DISPOSE, VERSIONS, async (daemon, tab, version) => {
			await until(() => tab.run("(v) => globalThis.holds === v", version), {
				what: `version ${version} holds`,
			});
			// A slow watcher may have it replaced twice, by the same version.
			await until(
				async () => {
					const { sessions, leases, waiting } = await daemon.status();
					const [row] = leases;
					return sessions === 1 && row?.id === "page" && waiting.length === 0;
				},
				{ what: "one session is left, and holds" },
			);
		}));

	test(`${name}: one that nobody closes keeps its turn, and the page is told that it waits for itself`, () =>
		develop(which, "", 2, async (daemon, tab, version) => {
			if (version === 1) {
				await until(async () => (await holding(daemon)).length === 1);
				return;
			}
			// Twice, if it was replaced twice.
			await until(async () => (await waiting(daemon)).length >= 1, { what: "it waits" });
			assert.deepEqual([...new Set(await waiting(daemon))], ["page"]);
			assert.equal(await tab.run("() => globalThis.holds"), 1);
		}));
}

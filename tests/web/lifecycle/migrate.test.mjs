// @ts-check
// An old page, of its own origin, whose modules/sovereign.js is the one that docs/migrate.md says:
// it takes turns under --compat bridge with the bridge's token, in a real browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { root } from "../lib/packages.mjs";
import { until } from "../lib/until.mjs";

const TOKEN = "sovereign-secret";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("node:http").Server} */
let site;
let origin = "";

/** The file of step 3. */
function kernelFile() {
	const doc = readFileSync(join(root, "docs/migrate.md"), "utf8");
	const file = /sovereign\.js <<'END'\n([^]*?)END\n/.exec(doc)?.[1] ?? "";
	assert.ok(file.includes(`"${TOKEN}"`));
	return file.replaceAll("http://localhost:8080", `http://localhost:${daemon.port}`);
}

before(async () => {
	site = createServer((request, answer) => {
		const script = request.url === "/modules/sovereign.js";
		answer.writeHead(200, { "Content-Type": script ? "text/javascript" : "text/html" });
		answer.end(script ? kernelFile() : "<!doctype html><title>old page</title>");
	});
	await new Promise((done) => site.listen(0, "127.0.0.1", () => done(0)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (site.address());
	origin = `http://localhost:${port}`;
	daemon = await startDaemon({
		args: ["--compat", "bridge"],
		config: { origins: [origin] },
		env: { BRIDGE_TOKEN: TOKEN, BRIDGE_PORT: "0" },
	});
	browser = await openBrowser();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	site?.close();
	site?.closeAllConnections();
});

test("an old page with the file of docs/migrate.md takes turns with another", async () => {
	const open = async () => {
		const page = await browser.page();
		await page.goto(origin);
		return page;
	};
	const lock = async () => {
		const path = "/modules/sovereign.js";
		const { GPUController } = await import(/** @type {any} */ (path));
		return GPUController.acquireLock("Root-Console-Chat");
	};
	const unlock = async () => {
		const path = "/modules/sovereign.js";
		const { GPUController } = await import(/** @type {any} */ (path));
		await GPUController.releaseLock("Root-Console-Chat");
		return GPUController.checkStatus();
	};
	const [a, b] = [await open(), await open()];
	assert.equal((await a.evaluate(lock)).success, true);
	const second = b.evaluate(lock);
	const owners = async () => {
		const { owner, queued } = await daemon.status();
		return [owner, ...queued].join();
	};
	await until(async () => (await owners()) === "Root-Console-Chat,Root-Console-Chat");
	await a.evaluate(unlock);
	assert.equal((await second).success, true);
	assert.equal((await b.evaluate(unlock)).locked, false);
	const problems = [...a.problems, ...b.problems].filter((text) => !text.includes("favicon"));
	assert.deepEqual(problems, []);
});

// @ts-check
// The predecessor's browser kernel: an old page that only swaps the file works, takes turns with
// everybody else, and cannot lock itself out. Each import below is a tab of its own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startDaemon } from "../lib/daemon.mjs";
import { until, within } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

/** @typedef {typeof import("../../../web/compat/sovereign.js")} Kernel */

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
/** @type {Kernel[]} */
const tabs = [];
before(async () => {
	it = await bench({ timing: { tab_linger_s: 2 } });
});
after(async () => {
	await Promise.all(tabs.map((tab) => tab.GPUController.close()));
	await it.end();
});

/** @param {{url?: string, token?: string}} [o] */
async function openTab({ url = it.daemon.base, token = it.daemon.token } = {}) {
	/** @type {Kernel} */
	const tab = await import(`../../../web/compat/sovereign.js?tab=${tabs.length}`);
	tabs.push(tab);
	tab.GPUController.BRIDGE_URL = url;
	tab.GPUController.TOKEN = token;
	return tab.GPUController;
}

/** @param {any} result */
function granted(result) {
	assert.equal(result.success, true, result.error);
	assert.equal(typeof result.token, "string");
	return result.token;
}

test("the old shapes: lock, status with the old name and class, release", async () => {
	const gpu = await openTab();
	const token = granted(await within(gpu.acquireLock("Root-Mic-Whisper")));
	/** @type {any} */
	const status = await gpu.checkStatus();
	assert.deepEqual(
		[status.locked, status.owner, status.queue_depth, status.queued],
		[true, "Root-Mic-Whisper", 0, []],
	);
	assert.equal((await it.daemon.status()).leases[0].class, "voice");
	await gpu.releaseLock("Root-Mic-Whisper");
	await gpu.releaseLock("Root-Mic-Whisper");
	const dream = granted(await gpu.acquireLock("Root-Dreamer"));
	assert.notEqual(dream, token);
	assert.equal((await it.daemon.status()).leases[0].class, "background");
	await gpu.releaseLock("Root-Dreamer", dream);
	assert.equal(await gpu.withLock("Root-Console-Chat", () => 42), 42);
	assert.equal((await it.daemon.status()).locked, false);
	assert.ok("error" in (await (await openTab({ token: "wrong" })).checkStatus()));
});

test("two tabs with one id are two holders: a second release frees nobody else", async () => {
	const [a, b, c] = [await openTab(), await openTab(), await openTab()];
	const id = "Root-Console-Chat";
	granted(await a.acquireLock(id));
	const second = b.acquireLock(id);
	await it.waiting(1);
	await a.releaseLock(id);
	granted(await within(second));
	const third = c.acquireLock(id);
	await it.waiting(1);
	await a.releaseLock(id);
	await c.releaseLock(id);
	assert.equal((await it.daemon.status()).waiting.length, 1);
	await b.releaseLock(id);
	granted(await within(third));
	await c.releaseLock(id);
});

test("model loads of two tabs never overlap", async () => {
	const [a, b] = [await openTab(), await openTab()];
	let inside = 0,
		most = 0;
	const load = (/** @type {typeof a} */ gpu, /** @type {string} */ id) =>
		gpu.withModelLoadLock(id, async () => {
			most = Math.max(most, ++inside);
			await gpu.checkStatus();
			await gpu.checkStatus();
			inside--;
		});
	const all = [load(a, "Root-Console"), load(a, "Root-Mic"), load(b, "Root-Console")];
	assert.equal(a.getModelLoadStatus().queueSize, 2);
	assert.equal(a.getModelLoadStatus().hasPendingLoad, true);
	await within(Promise.all(all));
	assert.equal(most, 1);
	assert.deepEqual(a.getModelLoadStatus(), {
		queueSize: 0,
		activeLoaders: [],
		hasPendingLoad: false,
		modelLoadQueueInfo: "no load waits",
	});
});

test("a lock inside a load, or a load inside a lock, does not wait for itself", async () => {
	const gpu = await openTab();
	assert.equal(
		await within(
			gpu.withModelLoadLock("Root-Console", () =>
				gpu.withLock("Root-Console-Chat", () => "warm"),
			),
		),
		"warm",
	);
	assert.equal(
		await within(
			gpu.withLock("Root-Console-Chat", () =>
				gpu.withModelLoadLock("Root-Console", () => "loaded"),
			),
		),
		"loaded",
	);
	await until(async () => !(await it.daemon.status()).locked);
});

test("who timed out and asks again has its old place", async () => {
	const [a, b, c] = [await openTab(), await openTab(), await openTab()];
	granted(await a.acquireLock("holder"));
	const late = await b.acquireLock("early", 50);
	assert.deepEqual(late, { success: false, error: "GPU Queue Timeout" });
	const other = c.acquireLock("later");
	await it.waiting(2);
	const again = b.acquireLock("early");
	await a.releaseLock("holder");
	granted(await within(again));
	assert.equal((await it.daemon.status()).owner, "early");
	await b.releaseLock("early");
	granted(await within(other));
	await c.releaseLock("later");
});

test("a wrong token and a task that fails never leave a lock behind", async () => {
	const gpu = await openTab({ token: "sovereign-secret" });
	const refused = await within(gpu.acquireLock("Root-Console"));
	assert.equal(refused.success, false);
	let ran = false;
	await assert.rejects(
		gpu.withLock("Root-Console", () => {
			ran = true;
		}),
		/acquire GPU lock/,
	);
	assert.equal(ran, false);
	const good = await openTab();
	await assert.rejects(
		good.withLock("x", () => {
			throw new TypeError("mine");
		}),
		TypeError,
	);
	assert.equal((await it.daemon.status()).locked, false);
});

test("a turn that was taken under the task is an error for the page", async () => {
	const gpu = await openTab();
	await assert.rejects(
		gpu.withLock("old", async () => {
			await it.daemon.http("POST", "/v1/gpu/reset", {});
			await until(async () => (await it.daemon.status()).leases.length === 0);
		}),
		{ code: "REVOKED" },
	);
});

test("the old bridge's address and token work under --compat bridge", async () => {
	const daemon = await startDaemon({
		args: ["--compat", "bridge"],
		env: { BRIDGE_PORT: "0", BRIDGE_TOKEN: "old-secret-of-the-bridge" },
	});
	const gpu = await openTab({
		url: daemon.base.replace("127.0.0.1", "localhost"),
		token: "old-secret-of-the-bridge",
	});
	granted(await within(gpu.acquireLock("Root-Console")));
	await gpu.releaseLock("Root-Console");
	await gpu.close();
	await daemon.stop();
});

test("a connection that breaks under the task: it hears so before the next is let in", async () => {
	const [a, b] = [await openTab(), await openTab()];
	const { WebSocket } = globalThis;
	/** @type {any[]} */
	const sockets = [];
	let cut = false;
	/** @type {any} */ (globalThis).WebSocket = class extends WebSocket {
		/** @param {string} url */
		constructor(url) {
			super(cut ? "ws://127.0.0.1:1/" : url);
			sockets.push(this);
		}
	};
	try {
		/** @type {string[]} */
		const order = [];
		const task = a.withLock(
			"Root-Dreamer",
			(lease) =>
				new Promise((_, reject) =>
					lease.signal.addEventListener("abort", () => reject(lease.signal.reason)),
				),
		);
		task.catch(() => order.push("told"));
		await until(async () => (await it.daemon.status()).owner === "Root-Dreamer");
		const next = b.acquireLock("Root-Dreamer-2").then((got) => {
			order.push("next");
			return got;
		});
		await it.waiting(1);
		cut = true;
		sockets[0].terminate();
		await assert.rejects(within(task), { code: "LOST" });
		cut = false;
		granted(await within(next));
		assert.deepEqual(order, ["told", "next"]);
		await b.releaseLock("Root-Dreamer-2");
	} finally {
		globalThis.WebSocket = WebSocket;
	}
});

test("log lines reach both channels, and none after close", async () => {
	const { SovereignLogger } = tabs[0];
	/** @type {any[]} */
	const heard = [];
	const channels = ["sovereign-logs", "coda_logs"].map((name) => new BroadcastChannel(name));
	for (const channel of channels)
		channel.onmessage = ({ data }) =>
			heard.push([channel.name, data.source, data.level, data.message]);
	const logger = new SovereignLogger("Root Mic");
	logger.success("<b>done</b>");
	await until(() => heard.length === 2);
	assert.deepEqual(heard.sort(), [
		["coda_logs", "Root Mic", "success", "<b>done</b>"],
		["sovereign-logs", "Root Mic", "success", "<b>done</b>"],
	]);
	logger.close();
	logger.info("late");
	for (const channel of channels) channel.close();
});

test("a store tells what changed, to whom still listens", () => {
	const { state, subscribe, unsubscribe } = tabs[0].createStore({ n: 1, name: "a" });
	/** @type {any[]} */
	const heard = [];
	const listener = (/** @type {string} */ key, /** @type {unknown} */ value) =>
		heard.push([key, value]);
	const stop = subscribe(listener);
	state.n = 2;
	state.n = 2;
	stop();
	state.n = 3;
	subscribe(listener);
	state.name = "b";
	unsubscribe(listener);
	state.name = "c";
	assert.deepEqual(heard, [
		["n", 2],
		["name", "b"],
	]);
});

test("profiles are clamped to the adapter, and the old reload hooks are harmless", async () => {
	const MIB = 2 ** 20;
	const adapter = {
		features: new Set(),
		info: {},
		limits: { maxBufferSize: 512 * MIB, maxStorageBufferBindingSize: 256 * MIB },
	};
	Object.defineProperty(globalThis, "navigator", {
		configurable: true,
		value: { gpu: { requestAdapter: async () => adapter } },
	});
	const { getWebGPUConfig } = tabs[0];
	const lite = await getWebGPUConfig("lite");
	assert.deepEqual([lite.maxBufferSize, lite.isConstrained], [256 * MIB, false]);
	const high = await getWebGPUConfig("high");
	assert.deepEqual([high.maxBufferSize, high.isConstrained], [512 * MIB, true]);
	assert.equal(high.adapter, adapter);
	Reflect.deleteProperty(globalThis, "navigator");
	const page = /** @type {any} */ (globalThis.window = {});
	await openTab();
	granted(await tabs[0].GPUController.acquireLock("holder"));
	assert.equal((await page.triggerGPUHotReload()).success, true);
	page.setGPUHotReloadEnabled(false);
	assert.equal((await it.daemon.status()).owner, "holder");
	await tabs[0].GPUController.releaseLock("holder");
	Reflect.deleteProperty(globalThis, "window");
});

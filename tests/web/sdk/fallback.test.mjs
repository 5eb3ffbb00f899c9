// @ts-check
// Unreachable is not refused: who gets the GPU when the broker is down, mute, refusing or blocked.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createServer as createTcp } from "node:net";
import { after, before, test } from "node:test";
import { until, within } from "../lib/until.mjs";
import { bench, coded, next } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench();
});
after(() => it.end());

const FALLBACKS = /** @type {const} */ (["error", "origin-lock", "unmanaged"]);

/**
 * A server of our own on a free port, and its URL.
 * @param {import("node:net").Server} server
 */
async function listening(server) {
	await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
	return `http://127.0.0.1:${port}`;
}

/** Web Locks as far as the SDK uses them: one exclusive lock, shared ones at once. */
function fakeLocks() {
	/** @type {Promise<unknown>} */
	let tail = Promise.resolve();
	const request = (/** @type {string} */ name, /** @type {any} */ o, /** @type {any} */ fn) => {
		if (o.mode === "shared") return Promise.resolve(fn({ name }));
		const turn = tail.then(() => (o.signal?.aborted ? null : fn({ name })));
		tail = turn;
		return turn;
	};
	Object.defineProperty(globalThis, "navigator", {
		configurable: true,
		value: { locks: { request }, gpu: undefined },
	});
	return () => Reflect.deleteProperty(globalThis, "navigator");
}

test("nothing listens: an error by default, and the page's own choice otherwise", async () => {
	const server = createTcp();
	const url = await listening(server);
	await new Promise((resolve) => server.close(resolve));
	const end = fakeLocks();
	const error = await within(it.broker("e", { url }).request()).catch((e) => e);
	assert.equal(error.code, "UNREACHABLE");
	assert.ok(error.retryable && error.detail.listening === false);
	assert.match(error.message, /baton serve/);
	const free = await within(it.broker("u", { url, fallback: "unmanaged" }).request());
	assert.ok(!free.managed && free.gpu === null && free.fence === 0n);
	await free.release();
	const [a, b] = [
		it.broker("l1", { url, fallback: "origin-lock" }),
		it.broker("l2", { url, fallback: "origin-lock" }),
	];
	const first = await within(a.request());
	assert.equal(first.managed, false);
	let second = null;
	const waits = b.request().then((lease) => {
		second = lease;
		return lease;
	});
	const gone = new AbortController();
	const leaves = b.request({ signal: gone.signal });
	await until(() => b.state === "offline");
	gone.abort();
	await assert.rejects(within(leaves), { name: "AbortError" });
	assert.equal(second, null, "the tabs of one origin take turns");
	await first.release();
	await (await within(waits)).release();
	end();
});

test("where Web Locks are refused, as in a sandboxed frame, nobody waits for one", async () => {
	const server = createTcp();
	const url = await listening(server);
	await new Promise((resolve) => server.close(resolve));
	const request = async () => {
		throw new DOMException("Access denied", "SecurityError");
	};
	Object.defineProperty(globalThis, "navigator", {
		configurable: true,
		value: { locks: { request } },
	});
	const broker = it.broker("sandboxed", { url, fallback: "origin-lock" });
	await assert.rejects(within(broker.request()), coded("UNREACHABLE"));
	Reflect.deleteProperty(globalThis, "navigator");
});

test("what answers but refuses never gives the GPU, whatever the fallback", async () => {
	const refusing = createServer((request, response) => response.writeHead(403).end());
	// A client that has heard enough may reset.
	refusing.on("upgrade", (request, socket) => {
		socket.on("error", () => {});
		socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
	});
	const mute = createTcp((socket) => {
		socket.on("error", () => {});
	});
	const urls = [await listening(refusing), await listening(mute)];
	for (const url of urls)
		for (const fallback of FALLBACKS) {
			const broker = it.broker("r", { url, fallback, connectTimeoutMs: 200 });
			const error = await within(broker.request()).catch((e) => e);
			assert.ok(["UNREACHABLE", "DENIED"].includes(error.code), String(error));
			assert.notEqual(error.detail?.listening, false);
			await broker.close();
		}
	refusing.close();
	mute.close();
	refusing.closeAllConnections?.();
});

/** When it comes up, and how many looks find nobody before. @type {[string, number][]} */
const COMES_UP = [
	["before it is looked for", 0],
	["while it is looked for", 1],
];
for (const [when, looks] of COMES_UP)
	test(`a broker that comes up ${when} has refused nobody`, async (t) => {
		const { WebSocket } = await import("../lib/packages.mjs");
		let silent = looks;
		let isUp = false;
		const server = createServer((request, response) => {
			if (silent-- > 0) request.socket.destroy();
			else response.writeHead(200, { "Access-Control-Allow-Origin": "*" }).end("{}");
		});
		const sockets = new WebSocket.Server({ noServer: true });
		server.on("upgrade", (request, socket, head) => {
			if (!isUp) socket.destroy();
			else
				sockets.handleUpgrade(request, socket, head, (/** @type {any} */ opened) =>
					opened.send('{"type":"welcome","session":"1-a","session_ttl_s":20}'),
				);
			isUp = true;
		});
		// Mostly tried again after the looks, which is when they would count.
		const backoff = { minMs: 300, maxMs: 300 };
		const broker = it.broker("early", { url: await listening(server), backoff });
		const asked = broker.request();
		t.after(async () => {
			asked.catch(() => {});
			await broker.close();
			server.close();
			server.closeAllConnections?.();
		});
		await Promise.race([asked, until(() => broker.state === "open")]);
	});

test("what was found before a session was open counts no more once it broke", async (t) => {
	const { WebSocket } = await import("../lib/packages.mjs");
	/** @type {import("node:net").Socket[]} */
	const looks = [];
	let isSilent = false;
	const server = createServer((request) => {
		if (isSilent) request.socket.destroy();
		else looks.push(request.socket);
	});
	const sockets = new WebSocket.Server({ noServer: true });
	/** @type {any} */
	let session;
	let tries = 0;
	server.on("upgrade", (request, socket, head) => {
		tries++;
		if (tries === 1) socket.destroy();
		else if (tries === 2)
			// and later ones hang
			sockets.handleUpgrade(request, socket, head, (/** @type {any} */ opened) => {
				session = opened;
				opened.send('{"type":"welcome","session":"1-a","session_ttl_s":20}');
			});
	});
	const broker = it.broker("late look", { url: await listening(server), fallback: "unmanaged" });
	let isOver = false;
	const asked = broker.request().finally(() => (isOver = true));
	t.after(async () => {
		asked.catch(() => {});
		await broker.close();
		server.close();
		server.closeAllConnections?.();
		for (const socket of looks) socket.destroy();
	});
	await until(() => looks.length && broker.state === "open", { every: 2 });
	session.terminate();
	await until(() => broker.state === "reconnecting", { every: 2 });
	isSilent = true;
	for (const socket of looks) socket.destroy();
	const toldAt = performance.now();
	await until(() => performance.now() - toldAt > 500, { what: "it would have been judged" });
	assert.deepEqual([broker.state, isOver], ["reconnecting", false]);
});

test("a wrong token and a close with 4403 are final, under every fallback", async () => {
	const { WebSocket } = await import("../lib/packages.mjs");
	const server = createServer();
	const sockets = new WebSocket.Server({ server });
	sockets.on("connection", (/** @type {any} */ socket) => socket.close(4403, "origin"));
	const url = await listening(server);
	for (const fallback of FALLBACKS) {
		const foreign = it.broker("f", { url, fallback });
		await assert.rejects(within(foreign.request()), coded("DENIED"));
		assert.equal(foreign.state, "closed");
		const wrong = it.broker("w", { token: "1".repeat(64), fallback });
		await assert.rejects(within(wrong.request()), coded("UNAUTHORIZED"));
	}
	sockets.close();
	server.close();
});

test("too many connections is tried again, not taken as an end", async () => {
	const { WebSocket } = await import("../lib/packages.mjs");
	const server = createServer();
	const sockets = new WebSocket.Server({ server });
	let tries = 0;
	sockets.on("connection", (/** @type {any} */ socket) => {
		tries++;
		socket.close(tries % 2 ? 4429 : 4503, "full");
	});
	const broker = it.broker("many", { url: await listening(server), fallback: "unmanaged" });
	let got = null;
	broker.request().then(
		() => {
			got = "granted";
		},
		(error) => {
			got = error.code;
		},
	);
	await until(() => tries >= 4);
	assert.equal(got, null);
	await broker.close();
	assert.equal(broker.state, "closed");
	sockets.close();
	server.close();
});

test("a foreign origin is refused by the real broker and gets nothing", async () => {
	const { WebSocket } = await import("../lib/packages.mjs");
	const plain = globalThis.WebSocket;
	/** @type {any} */ (globalThis).WebSocket = class extends WebSocket {
		/** @param {string} url */
		constructor(url) {
			super(url, { origin: "https://evil.example" });
		}
	};
	const broker = it.broker("evil", { fallback: "unmanaged" });
	const error = await within(broker.request()).catch((e) => e);
	globalThis.WebSocket = plain;
	assert.notEqual(error.detail?.listening, false);
	assert.ok(error.code === "UNREACHABLE" || error.code === "DENIED");
	await broker.close();
});

test("the page returns to the broker when it is back: same lease, now managed", async () => {
	const end = fakeLocks();
	const other = await bench();
	await other.daemon.kill();
	const broker = other.broker("back", { fallback: "origin-lock", token: other.daemon.token });
	const lease = await within(broker.request());
	assert.equal(lease.managed, false);
	const model = await broker.reside({ model: "m", vramBytes: 2 ** 30, evict: () => {} });
	const asked = next(broker, "yield");
	await other.daemon.restart();
	assert.equal((await within(asked)).lease, lease);
	assert.equal(await within(lease.yieldIfNeeded()), true);
	assert.ok(lease.managed && lease.fence > 0n && !lease.signal.aborted);
	const leases = await until(
		async () => {
			const all = (await other.daemon.status()).leases;
			return all.length === 2 && all;
		},
		{ what: "the model came into the ledger" },
	);
	assert.deepEqual(leases.map((/** @type {any} */ l) => l.vram_mb).sort(), [0, 1024]);
	await model.release();
	await lease.release();
	await other.end();
	end();
});

test("a fallback lease unlocks nobody else's lease", async () => {
	const other = await bench();
	const { base } = other.daemon;
	await other.daemon.kill();
	const astray = other.broker("same-name", { fallback: "unmanaged" });
	const mine = await within(astray.request());
	await other.daemon.restart();
	const holder = other.broker("same-name", { url: base });
	const theirs = await within(holder.request());
	await mine.release();
	await until(() => astray.state === "open");
	const { leases } = await astray.status();
	assert.deepEqual(
		leases.map((/** @type {any} */ l) => String(l.lease)),
		[theirs.id],
	);
	assert.ok(!theirs.signal.aborted);
	await other.end();
});

// driver_sdk: the web SDK as a client of the conformance suite, in Node. Its timers, its clock and
// its WebSocket are those of the runner (virtual.py says how); what runs is the Broker that pages
// import, under a small page that uses "the GPU" when it may.
// CONFORMANCE_SDK names another folder of the SDK.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const rest = globalThis.setImmediate;
let [now, listening] = [0, "yes"];
/** @type {any[]} */
let out = [];
const report = (ev, fields = {}) => out.push({ ev, ...fields });

// ---- time ----

/** What a page reckons from its clock's large numbers is off by their last digits. */
const wholeUs = (/** @type {number} */ ms) => Math.round(ms * 1000) / 1000;

/** @type {Map<number, {at: number, fn: Function, args: any[]}>} */
const timers = new Map();
let timerLast = 0;
globalThis.setTimeout = /** @type {any} */ (
	(fn, ms = 0, ...args) => {
		timers.set(++timerLast, { at: wholeUs(now + Math.max(0, +ms || 0)), fn, args });
		return timerLast;
	}
);
globalThis.clearTimeout = (id) => void timers.delete(+id);
Object.defineProperty(globalThis, "performance", {
	value: { now: () => 1_000_000 + now }, // of a page that has lived for a while
	configurable: true,
});
AbortSignal.timeout = (ms) => {
	const control = new AbortController();
	setTimeout(() => control.abort(new DOMException("late", "TimeoutError")), ms);
	return control.signal;
};
let chance = 1;
Math.random = () => (chance = (chance * 48271) % 2147483647) / 2147483647; // each run the same
/** Whoever asks by HTTP what is wrong finds nobody. */
globalThis.fetch = async () => {
	throw new TypeError("nobody answers");
};

// ---- the socket ----

/** @type {Map<number, Socket>} */
const sockets = new Map();

class Socket {
	readyState = 0;
	constructor() {
		this.conn = sockets.size + 1;
		sockets.set(this.conn, this);
		if (listening === "yes") {
			report("connect", { conn: this.conn });
			queueMicrotask(() => {
				this.readyState = 1;
				this.onopen?.({});
			});
		} else if (listening === "no") {
			setTimeout(() => this.end(1006), 1);
		}
	}

	send(text) {
		if (this.readyState === 1) report("sent", { conn: this.conn, text });
	}

	close() {
		if (this.readyState === 1) report("closed", { conn: this.conn });
		if (this.readyState < 2) this.readyState = 2; // the closing handshake needs a peer that answers
	}

	end(code) {
		if (this.readyState === 3) return;
		this.readyState = 3;
		this.onclose?.({ code });
	}
}
/** @type {any} */ (globalThis).WebSocket = Socket;

// ---- the page ----

const folder = process.env.CONFORMANCE_SDK ?? new URL("../../web/sdk", import.meta.url).pathname;
const { Broker } = await import(pathToFileURL(`${folder}/index.js`).href);
/** @type {any} */
let broker, lease, program;
let using = false;
const cancel = new AbortController();

function use() {
	using = true;
	report("using");
}

/** Takes what the work needs to stop. @returns {Promise<void>} */
const stop = () =>
	new Promise((resolve) => {
		const stopped = () => {
			if (using) report("stopped");
			using = false;
			resolve();
		};
		if (using && program.stop_ms) setTimeout(stopped, program.stop_ms);
		else stopped();
	});

async function giveWay() {
	if (program.on_yield === "release") {
		await stop();
		await lease.release();
	} else if (program.on_yield === "requeue") {
		await stop();
		await lease.yieldIfNeeded();
		use();
		watchYield();
	}
}

function watchYield() {
	lease.yieldSignal.addEventListener(
		"abort",
		() => lease.signal.aborted || giveWay().catch(() => {}),
	);
}

async function work() {
	lease = await broker.request({
		waitMs: program.timeout_ms ?? Infinity,
		ifAvailable: program.no_wait,
		signal: cancel.signal,
	});
	if (!lease) {
		report("ended", { code: "busy" });
		return;
	}
	lease.signal.addEventListener("abort", stop);
	lease.guard({ terminate: stop });
	use();
	watchYield();
	if (program.need_ms) await lease.yieldIfNeeded({ graceMs: program.need_ms }); // says what it will need
	if (program.hold_ms) setTimeout(() => stop().then(() => lease.release()), program.hold_ms);
}

function start(given) {
	program = given;
	broker = new Broker({
		url: "http://127.0.0.1:1",
		token: "t",
		name: "conformance",
		heartbeat: "reply",
		backoff: { minMs: 250, maxMs: 10_000 },
	});
	broker.addEventListener("ended", (event) => report("ended", { code: event.detail.error.code }));
	work().catch((error) => report("ended", { code: error.code ?? `${error}` }));
}

async function tell(what) {
	if (what === "cancel") cancel.abort();
	else if (what === "release") await stop().then(() => lease.release());
	else if (what === "exit") {
		await stop();
		await broker.close();
		report("exited");
	}
}

// ---- the runner ----

/** Until all that is due has happened, and all promises with it. */
async function settle() {
	for (let quiet = 0; quiet < 2;) {
		await new Promise(rest);
		const due = [...timers]
			.filter(([, t]) => t.at <= now)
			.sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
		if (due) {
			timers.delete(due[0]);
			due[1].fn(...due[1].args);
		}
		quiet = due ? 0 : quiet + 1;
	}
}

function obey(order) {
	if (order.op === "start") start(order.program);
	else if (order.op === "message") sockets.get(order.conn)?.onmessage?.({ data: order.text });
	else if (order.op === "closed") sockets.get(order.conn)?.end(order.code);
	else if (order.op === "tell")
		tell(order.what).catch((error) => report("failed", { words: `${error}` }));
}

for await (const line of createInterface({ input: process.stdin })) {
	const round = JSON.parse(line);
	({ now, listening } = round);
	for (const order of round.do) {
		obey(order);
		await settle();
	}
	await settle();
	const next = [...timers.values()].map((t) => t.at);
	const wake = next.length ? Math.min(...next) : null;
	process.stdout.write(`${JSON.stringify({ out, next: wake })}\n`);
	out = [];
}

// @ts-check
// A page that opens 300 WebSockets: Chromium gives it 255 and fails the rest. Who has a session keeps
// it, plain files are still served, the broker serves everybody else, and a tab that found no socket
// free gets its session when there is one, without ever taking the GPU unasked.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { openBench, signIn } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	daemon = await startDaemon();
	browser = await launch();
	await signIn(browser, daemon);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** Runs in the page: so many sessions at once, each of them real. @param {number} count */
function openSockets(count) {
	/** @type {any} */
	const seen = { sockets: [], welcome: 0, closed: 0 };
	/** @type {any} */ (globalThis).many = seen;
	for (let i = 0; i < count; i++) {
		const socket = new WebSocket(`ws://${location.host}/v1/gpu/session`);
		seen.sockets.push(socket);
		socket.onopen = () =>
			socket.send(JSON.stringify({ type: "hello", version: 1, id: `many${i}` }));
		socket.onmessage = ({ data }) => {
			const { type } = JSON.parse(data);
			if (type === "welcome")
				seen.welcome++;
			else if (type === "heartbeat")
				socket.send('{"type":"alive"}');
		};
		socket.onclose = () => { seen.closed++; };
	}
}

test("300 sockets from one page", async (t) => {
	const session = await connect(daemon, "outside");
	const old = await openBench(browser, daemon, "old");
	await old.ask("turn");
	const held = await old.granted("turn");

	const greedy = await browser.page(`${daemon.base}/health`);
	await greedy.run(openSockets, 300);
	const seen = () => greedy.run("() => ({ welcome: many.welcome, closed: many.closed })");
	await until(async () => {
		const { welcome, closed } = await seen();
		return welcome + closed >= 300;
	}, { what: "each socket is open or failed", ms: 60000, every: 100 });
	const { welcome, closed } = await seen();
	t.diagnostic(`${welcome} opened, ${closed} failed`);
	assert.ok(welcome > 200 && welcome < 256, `the browser's limit: ${welcome} opened`);

	// Who was there before is not hurt.
	const status = await daemon.status();
	assert.equal(status.leases[0].fence, held.fence);
	assert.equal(status.leases[0].attached, true);
	await old.release("turn");
	await old.ask("second");
	await old.granted("second");
	assert.equal((await session.ask({ type: "status" }, "status")).owner, "old");

	// A new tab still gets plain files, and has to wait for a session; it is not told "down", so that
	// no fallback gives it the GPU.
	const young = await openBench(browser, daemon, "young",
		{ ready: false, broker: { fallback: "unmanaged" } });
	await young.ask("turn", { class: "voice" });
	await until(() => young.run("() => bench.broker.state !== 'connecting' || bench.states.length"),
		{ what: "it tried to connect", ms: 15000 });
	assert.notEqual(await young.run("() => bench.broker.state"), "open");
	assert.equal(await young.run("() => bench.at.turn ?? null"), null, "it has no lease");

	await greedy.close();
	await until(() => young.run("() => bench.broker.state === 'open'"),
		{ what: "it has its session", ms: 20000 });
	await old.release("second");
	assert.equal((await young.granted("turn")).managed, true);
	await until(async () => (await daemon.status()).sessions === 3,
		{ what: "the broker has forgotten the many", ms: 10000 });
	session.close();
});

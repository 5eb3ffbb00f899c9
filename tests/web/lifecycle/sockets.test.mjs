// @ts-check
// A page that opens 300 WebSockets: Chromium gives a page 255 and fails the rest. Everybody else
// goes on, and the page's own Broker, which found no socket free, gets its session when there is
// one, without ever taking the GPU unasked.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, openBench, signIn } from "../lib/tabs.mjs";
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
			socket.send(
				JSON.stringify({
					type: "hello",
					version: 1,
					id: `many${i}`,
					token: localStorage.getItem("baton-key"),
				}),
			);
		socket.onmessage = ({ data }) => {
			const { type } = JSON.parse(data);
			if (type === "welcome") seen.welcome++;
			else if (type === "heartbeat") socket.send('{"type":"alive"}');
		};
		socket.onclose = () => {
			seen.closed++;
		};
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
	await until(
		async () => {
			const { welcome, closed } = await seen();
			return welcome + closed >= 300;
		},
		{ what: "each socket is open or failed", ms: 60000, every: 100 },
	);
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

	// A new tab, which needs files and a session.
	const young = await openBench(browser, daemon, "young");
	await young.ask("turn"); // no voice, for which the holder would have to go before the end

	// The page that has used up its sockets gets no session. That is not "down", so that no
	// fallback gives it the GPU behind the holder's back.
	const bench = await new Bench(greedy).install({
		ready: false,
		broker: { name: "greedy", fallback: "unmanaged" },
	});
	await bench.ask("turn");
	const refused = await bench.refused("turn");
	assert.equal(refused.code, "UNREACHABLE");
	assert.match(refused.message, /session/);
	assert.equal((await daemon.status()).owner, "old", "the old one holds");

	await greedy.run("() => many.sockets.forEach((socket) => socket.close())");
	await until(() => bench.run("() => bench.broker.ready().then(() => true)"), {
		what: "it has its session",
		ms: 30000,
	});
	await bench.ask("again");
	await old.release("second");
	assert.equal((await young.granted("turn")).managed, true);
	await young.release("turn");
	assert.equal((await bench.granted("again")).managed, true);
	await Promise.all([old, young, bench].map((one) => one.tab.close()));
	await until(async () => (await daemon.status()).sessions === 1, {
		what: "the broker has forgotten the many",
	});
	session.close();
});

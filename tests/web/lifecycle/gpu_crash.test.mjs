// @ts-check
// The one GPU process of a browser serves every tab: when it dies, each tab's device is lost at
// once. Leases live on in the broker; pages give theirs back, ask again and compute again, one at a
// time.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { openBench, signIn, untilWaiting } from "../lib/tabs.mjs";
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

/** Runs in the page: a turn on a device of its lease, which doubles four numbers. */
async function compute() {
	const { bench } = /** @type {any} */ (globalThis);
	return bench.broker.run({}, async (/** @type {any} */ lease) => {
		const from = bench.now();
		const device = await lease.requestDevice();
		const module = device.createShaderModule({
			code: `
			@group(0) @binding(0) var<storage, read_write> x: array<u32>;
			@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
				x[id.x] = x[id.x] * 2u;
			}`,
		});
		const pipeline = device.createComputePipeline({
			layout: "auto",
			compute: { module, entryPoint: "main" },
		});
		const data = device.createBuffer({ size: 16, usage: 128 | 8 | 4 });
		const read = device.createBuffer({ size: 16, usage: 1 | 8 });
		device.queue.writeBuffer(data, 0, new Uint32Array([1, 2, 3, 4]));
		const encoder = device.createCommandEncoder();
		const pass = encoder.beginComputePass();
		pass.setPipeline(pipeline);
		pass.setBindGroup(
			0,
			device.createBindGroup({
				layout: pipeline.getBindGroupLayout(0),
				entries: [{ binding: 0, resource: { buffer: data } }],
			}),
		);
		pass.dispatchWorkgroups(1);
		pass.end();
		encoder.copyBufferToBuffer(data, 0, read, 0, 16);
		device.queue.submit([encoder.finish()]);
		await read.mapAsync(1);
		return {
			from,
			to: bench.now(),
			fence: Number(lease.fence),
			result: [...new Uint32Array(read.getMappedRange())],
		};
	});
}

/** A busy machine may take longer to start the GPU process anew than the SDK waits for an adapter; its
 * error says to wait. @param {import("../lib/tabs.mjs").Bench} bench */
async function computeAtLast(bench) {
	const { turn, error } = await until(
		async () => {
			const outcome = await bench.run(compute).then(
				(/** @type {any} */ turn) => ({ turn, error: null }),
				(/** @type {any} */ error) => ({ turn: null, error }),
			);
			return !/offers no GPU/.test(outcome.error?.message) && outcome;
		},
		{ what: "there is a GPU again" },
	);
	if (error) throw error;
	return turn;
}

test("after the GPU process died both tabs lose their device, ask again and compute, one at a time", async () => {
	const [holder, other] = [
		await openBench(browser, daemon, "holder"),
		await openBench(browser, daemon, "other"),
	];
	await holder.ask("turn");
	const held = await holder.granted("turn");
	// The other tab has a device as well: of its own, with no lease to it.
	for (const [bench, open] of /** @type {[any, string][]} */ ([
		[holder, "bench.leases.turn.requestDevice()"],
		[other, "navigator.gpu.requestAdapter().then((a) => a.requestDevice())"],
	])) {
		await bench.run(`async () => {
				bench.device = await ${open};
				bench.device.lost.then((info) => { bench.lost = info.reason; });
			}`);
	}
	await other.ask("turn");
	await untilWaiting(daemon, ["other"]);

	await browser.crashGpu();
	for (const bench of [holder, other])
		await until(() => bench.run("() => bench.lost === 'unknown'"), {
			what: "the device is lost in both tabs",
		});
	// The broker's truth has not changed by it: the same one holds, the same one waits,
	// until the page that lost its device lets go.
	const status = await daemon.status();
	const gone = await holder.run("() => bench.over.turn ?? null");
	if (gone === null) {
		assert.equal(status.leases[0].fence, held.fence);
		assert.deepEqual(status.queued, ["other"]);
		await holder.release("turn");
	}
	const next = await other.granted("turn");
	assert.ok(next.fence > held.fence);
	assert.equal((await daemon.status()).held, 1);
	await other.release("turn");

	const turns = await Promise.all([holder, other].map(computeAtLast));
	for (const turn of turns) assert.deepEqual(turn.result, [2, 4, 6, 8]);
	turns.sort((a, b) => a.fence - b.fence);
	assert.ok(turns[0].to <= turns[1].from + 2, `the two turns overlap: ${JSON.stringify(turns)}`);
	await Promise.all([holder, other].map((bench) => bench.tab.close()));
});

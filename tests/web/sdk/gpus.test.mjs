// @ts-check
// Two GPUs, of which the browser's is one: memory, loads and turns of a page are there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { within } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench({
		gpu: "b:8192:4",
		args: ["--fake-gpu", "a:24576:1"],
		config: { browser_gpu: "a" },
	});
});
after(() => it.end());

test("memory, load and turns of a page are on the browser's GPU", async () => {
	const page = it.broker("page");
	const home = await page.reside({ model: "m", vramBytes: 2 ** 30, evict: () => {} });
	assert.equal(await page.load("m", (lease) => lease?.gpu), "a");
	assert.equal(await page.run({ class: "chat" }, (lease) => lease?.gpu), "a");
	await home.release();
});

test("a load that names no GPU does not wait for one that others use", async () => {
	const other = await it.broker("other").request({ gpu: "b" });
	assert.equal(other.gpu, "b");
	assert.equal(await within(it.broker("loader").load("m", (lease) => lease?.gpu)), "a");
	await other.release();
});

test("turns follow a residence that names its GPU, and a load there is alone", async () => {
	const page = it.broker("page 2");
	const home = await page.reside({ model: "m", vramBytes: 2 ** 30, gpu: "b", evict: () => {} });
	await page.load("m", async (lease) => {
		assert.equal(lease?.gpu, "b");
		assert.equal(await it.broker("other 2").request({ gpu: "b", ifAvailable: true }), null);
	});
	await home.release();
});

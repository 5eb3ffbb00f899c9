// "Add models": what a repository holds is read from the hub's list, in Node; and in Root Console
// it is looked up by name, shown with its size, fetched, and answers. The hub is the test's; it
// speaks as Hugging Face does.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { entryOf, lookUp } from "../../../web/pages/console/repository.js";
import { problemOf } from "../../../web/inference/catalog.js";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { batonPath } from "../lib/packages.mjs";
import { untilText } from "../lib/until.mjs";

const HUB = "https://huggingface.co";
const BUILT = join(dirname(batonPath), "web/models/tiny-lm");
const ANSWER_MS = 90_000;
const MIB = 2 ** 20;

/** A hub that knows one repository.
 * @param {[string, number, string?][]} files @param {object} config */
const hub =
	(files, config = {}) =>
	async (/** @type {string} */ url) =>
		new Response(
			JSON.stringify(
				/\/api\/models\/a\/b\/tree\/main/.test(url)
					? [
							{ type: "directory", path: "onnx" },
							...files.map(([path, size, oid]) => ({
								type: "file",
								path,
								size,
								...(oid ? { lfs: { oid, size } } : {}),
							})),
						]
					: config,
			),
			{ status: /\/a\/b\//.test(url) ? 200 : 404 },
		);

const HASH = "a".repeat(64);

test("a chat model's variants, the smallest first, each with files, sizes and hashes", async () => {
	const get = hub(
		[
			["README.md", 9000],
			["config.json", 800],
			["tokenizer.json", 2000],
			["onnx/model.onnx", 500],
			["onnx/model.onnx_data", 4000 * MIB, HASH],
			["onnx/model_q4f16.onnx", 480 * MIB, HASH],
			["onnx/model_q4.onnx_notes", 1],
		],
		{ architectures: ["Qwen2ForCausalLM"] },
	);
	const found = await lookUp("a/b", { get });
	assert.deepEqual([found.engine, found.task, found.url], ["transformers", "chat", `${HUB}/a/b`]);
	assert.deepEqual(
		found.variants.map(({ dtype, files }) => [dtype, files.length]),
		[
			["q4f16", 3],
			["fp32", 4],
		],
	);
	const entry = entryOf(found, found.variants[0]);
	assert.equal(problemOf(entry), null);
	assert.deepEqual([entry.id, entry.dtype, entry.profile], ["b-q4f16", "q4f16", "lite"]);
	assert.ok(entry.vram_mb > 480 && entry.vram_mb < 800);
	assert.deepEqual(entry.files.at(-1), {
		path: "onnx/model_q4f16.onnx",
		bytes: 480 * MIB,
		sha256: HASH,
	});
	assert.equal(entryOf(found, found.variants[1]).profile, "mid");
});

test("Whisper needs both halves; WebLLM's own list names the library and the memory", async () => {
	const halves = ["encoder_model", "decoder_model_merged"].map((name) => [
		`onnx/${name}.onnx`,
		10,
	]);
	const get = hub([["config.json", 1], ...halves, ["onnx/encoder_model_q4.onnx", 5]], {
		model_type: "whisper",
	});
	const { task, variants } = await lookUp(`${HUB}/a/b`, { get });
	assert.equal(task, "transcribe");
	assert.deepEqual(
		variants.map(({ dtype }) => dtype),
		["fp32"],
	);
	const mlc = hub([
		["mlc-chat-config.json", 10],
		["tensor-cache.json", 10],
		["tokenizer.json", 10],
		["params_shard_0.bin", 100],
		["logs.txt", 5],
	]);
	const webllmModels = async () => [
		{ model_id: "b", model_lib: "https://libs.example/b.wasm", vram_required_MB: 879.04 },
	];
	const found = await lookUp("a/b", { get: mlc, webllmModels });
	assert.equal(found.variants[0].bytes, 130);
	const entry = entryOf(found, found.variants[0]);
	assert.equal(problemOf(entry), null);
	assert.deepEqual([entry.vram_mb, entry.model_lib], [880, "https://libs.example/b.wasm"]);
	await assert.rejects(lookUp("a/b", { get: mlc, webllmModels: async () => [] }), /no library/);
});

test("what cannot be used is said: no such name, no such kind, no list, no way there", async () => {
	await assert.rejects(lookUp("b", { get: hub([]) }), /owner\/name/);
	await assert.rejects(lookUp("c/d", { get: hub([]) }), /no such repository/);
	await assert.rejects(lookUp("a/b", { get: hub([["model.safetensors", 10]]) }), /neither ONNX/);
	await assert.rejects(
		lookUp("a/b", { get: hub([["onnx/model.onnx", 10]], { architectures: ["BertModel"] }) }),
		/another kind \(BertModel\)/,
	);
	await assert.rejects(lookUp("a/b", { get: async () => new Response("<html>") }), /sign in/);
	await assert.rejects(
		lookUp("a/b", {
			get: async () => {
				throw new TypeError("no");
			},
		}),
		(error) => error.origin === HUB && /could not be asked/.test(error.message),
	);
});

test("what a hub lies about is not used, and never an error of ours", async () => {
	const good = ["onnx/model.onnx", 10];
	const config = { architectures: ["Qwen2ForCausalLM"] };
	for (const size of [-1, 1.5, 1e300, "many", null, undefined, {}]) {
		const { variants } = await lookUp("a/b", {
			get: hub([good, ["onnx/model_q4.onnx", size]], config),
		});
		assert.deepEqual(
			variants.map(({ dtype, bytes }) => [dtype, bytes]),
			[["fp32", 10]],
		);
	}
	for (const list of [
		[null],
		[1, "x"],
		[{ type: "file" }],
		[{ type: "file", path: {}, size: 1 }],
	])
		await assert.rejects(
			lookUp("a/b", { get: async () => Response.json(list) }),
			/neither ONNX/,
			JSON.stringify(list),
		);
	for (const odd of [null, 1, [], { architectures: 5 }, { architectures: null, model_type: {} }])
		await assert.rejects(
			lookUp("a/b", { get: hub([good], odd) }),
			/another kind/,
			JSON.stringify(odd),
		);
});

test("a hub that stalls, has no end or breaks off is said so, in time", async () => {
	/** @type {Record<string, (answer: import("node:http").ServerResponse) => void>} */
	const hubs = {
		silent: () => undefined,
		stalls: (answer) => answer.write("["),
		endless: (answer) => {
			const more = () => !answer.destroyed && answer.write(" ".repeat(65_536), more);
			more();
		},
		breaks: (answer) => answer.write("[", () => answer.destroy()),
	};
	const site = await startForeignSite({
		"/hub": (request, answer) => hubs[String(request.headers.kind)](answer),
	});
	const words = {
		silent: /did not answer within 0\.5 s/,
		stalls: /did not answer within 0\.5 s/,
		endless: /more than 8 MiB/,
		breaks: /broke its answer off/,
	};
	try {
		for (const [kind, message] of Object.entries(words))
			await assert.rejects(
				lookUp("a/b", {
					waitMs: kind === "silent" || kind === "stalls" ? 500 : 20_000,
					get: (_, o) => fetch(`${site.base}/hub`, { ...o, headers: { kind } }),
				}),
				{ name: "RepositoryError", message },
				kind,
			);
	} finally {
		await site.stop();
	}
});

let daemon;
let browser;

before(async () => {
	daemon = await startDaemon({ config: { model_origins: [HUB] } });
	const permissions = ["clipboard-read", "clipboard-write"];
	browser = await openBrowser({ context: { permissions } });
	const names = [
		"config.json",
		"generation_config.json",
		"tokenizer.json",
		"tokenizer_config.json",
		"onnx/model.onnx",
	];
	const list = names
		.filter((name) => existsSync(join(BUILT, name)))
		.map((path) => {
			const oid = createHash("sha256")
				.update(readFileSync(join(BUILT, path)))
				.digest("hex");
			const { size } = statSync(join(BUILT, path));
			return {
				type: "file",
				path,
				size,
				...(/onnx/.test(path) ? { lfs: { oid, size } } : {}),
			};
		});
	await browser.context.route(`${HUB}/**`, (route) => {
		const headers = { "Access-Control-Allow-Origin": "*" };
		const { pathname } = new URL(route.request().url());
		if (pathname === "/api/models/demo/tiny/tree/main")
			return route.fulfill({ headers, json: list });
		const file = pathname.replace("/demo/tiny/resolve/main/", "");
		return existsSync(join(BUILT, file))
			? route.fulfill({ headers, body: readFileSync(join(BUILT, file)) })
			: route.fulfill({ headers, status: 404 });
	});
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

test("in Root Console: by name, with sizes, fetched, chosen, there after a reload", async () => {
	const page = await browser.signedInPage(daemon, "/console");
	await page.getByRole("button", { name: "Add models…" }).click();
	await page.locator("#repository").fill("demo/none");
	await page.locator("#repository").press("Enter");
	await page.getByText("There is no such repository").waitFor();
	await page.locator("#repository").fill("demo/tiny");
	await page.getByRole("button", { name: "Look up" }).click();
	const variant = page.locator("#found fieldset label");
	await variant.waitFor();
	await untilText(variant, /fp32: 5 files, [\d.]+ KiB/);
	await page.getByText("What will be fetched").click();
	await untilText(page.locator("#found ul"), /onnx\/model\.onnx, [\d.]+ KiB/);
	await page.getByText("The entry for a models file").click();
	await page.getByRole("button", { name: "Copy the entry" }).click();
	await page.locator("#found").getByText("Copied").waitFor();
	const [entry] = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
	assert.deepEqual([entry.id, entry.url], ["tiny-fp32", `${HUB}/demo/tiny`]);
	assert.equal((await daemon.status()).leases.length, 0);
	await page.getByRole("button", { name: "Add and fetch" }).click();
	await page.getByText("tiny (fp32) is here, and chosen.").waitFor({ timeout: ANSWER_MS });
	assert.equal((await daemon.status()).leases.length, 0, "fetching takes no lease");
	await page.getByRole("button", { name: "Close" }).click();
	await page.reload();
	await page
		.locator("#choose option:checked", { hasText: "tiny (fp32)" })
		.waitFor({ state: "attached" });
	await page.locator("#question").fill("How does the queue work?");
	await page.locator("#question").press("Enter");
	await page.locator(".message.answer:not(.writing)").waitFor({ timeout: ANSWER_MS });
	await untilText(page.locator(".message.answer"), /tiny \(fp32\)/);
	await page.close();
});

test("where the policy refuses the hub, the setting that would allow it is shown", async () => {
	const page = await browser.signedInPage(daemon, "/console");
	await page.getByRole("button", { name: "Add models…" }).click();
	await page.locator("#repository").fill("https://hub.example/demo/tiny");
	await page.locator("#repository").press("Enter");
	await page.getByText('model_origins: ["https://hub.example"]').waitFor();
	await page.getByRole("button", { name: "Copy the setting" }).click();
	await page.locator("#found").getByText("Copied").waitFor();
	await page.close();
});

// @ts-check
// The parts that decide without a broker, and the size that a page pays.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import ts from "../../../web/node_modules/typescript/lib/typescript.js";
import { closeError, endError, plain } from "../../../web/sdk/errors.js";
import { backoffMs, quickMs } from "../../../web/sdk/session.js";
import { sha256 } from "../../../web/sdk/hash.js";
import { clamp, detect } from "../../../web/sdk/webgpu.js";
import { load } from "../lib/packages.mjs";

/** @type {typeof import("esbuild")} */
const esbuild = load("esbuild");

test("tries come sooner or later within a limit that doubles up to the maximum", () => {
	assert.deepEqual(
		[0, 1, 5, 6, 99].map((n) => backoffMs(n, 250, 10_000, () => 1)),
		[250, 500, 8000, 10_000, 10_000],
	);
	assert.equal(
		backoffMs(3, 250, 10_000, () => 0),
		0,
	);
	for (let n = 0; n < 50; n++) assert.ok(backoffMs(n, 250, 10_000) <= 10_000);
});

test("each refusal has its code, and says whether to try again", () => {
	const code = (/** @type {any} */ m) => [endError(m).code, endError(m).retryable];
	const denied = (/** @type {string} */ code) => ({ type: "denied", code, message: "No." });
	assert.deepEqual(code(denied("queue_full")), ["QUEUE_FULL", true]);
	assert.deepEqual(code(denied("quota")), ["QUEUE_FULL", true]);
	assert.deepEqual(code(denied("class_not_allowed")), ["DENIED", false]);
	assert.deepEqual(code(denied("never_fits")), ["NEVER_FITS", false]);
	assert.deepEqual(code(denied("bad_field")), ["PROTOCOL", false]);
	assert.deepEqual(code({ ...denied("journal_unavailable"), retry_after_s: 5 }), [
		"UNREACHABLE",
		true,
	]);
	assert.deepEqual(code({ type: "timeout" }), ["WAIT_TIMEOUT", true]);
	assert.deepEqual(code({ type: "lost" }), ["LOST", true]);
	assert.deepEqual(code({ type: "revoked", reason: "operator" }), ["REVOKED", true]);
	assert.deepEqual(code({ type: "revoked", reason: "expired" }), ["EXPIRED", true]);
	assert.deepEqual(code({ type: "released", reason: "force-released" }), ["RELEASED", true]);
	assert.match(endError({ type: "revoked", reason: "operator", detail: "rest" }).message, /rest/);
	assert.deepEqual(
		[4401, 4403, 4409].map((c) => closeError(c)?.code),
		["UNAUTHORIZED", "DENIED", "PROTOCOL"],
	);
	for (const again of [1000, 1001, 1006, 1008, 4429, 4503])
		assert.equal(closeError(again), undefined);
});

test("limits stay within the adapter's, sizes are whole words, what shrank is named", () => {
	const has = {
		maxBufferSize: 1003,
		maxStorageBufferBindingSize: 500,
		maxBindGroups: 4,
		minUniformBufferOffsetAlignment: 64,
	};
	const wanted = {
		maxBufferSize: 2 ** 40,
		maxStorageBufferBindingSize: 402,
		maxBindGroups: 4,
		minUniformBufferOffsetAlignment: 32,
	};
	assert.deepEqual(clamp(wanted, has), {
		limits: {
			maxBufferSize: 1000,
			maxStorageBufferBindingSize: 400,
			maxBindGroups: 4,
			minUniformBufferOffsetAlignment: 64,
		},
		clamped: ["maxBufferSize", "minUniformBufferOffsetAlignment"],
	});
	assert.deepEqual(clamp({ maxNovelty: 1 }, has), { limits: {}, clamped: ["maxNovelty"] });
});

/** @param {(n: number) => any} requestAdapter given how often it was asked */
async function withGpu(requestAdapter, o = {}) {
	let asked = 0;
	Object.defineProperty(globalThis, "navigator", {
		configurable: true,
		value: { gpu: { requestAdapter: async () => requestAdapter(++asked) } },
	});
	try {
		return await detect(o);
	} finally {
		Reflect.deleteProperty(globalThis, "navigator");
	}
}

const adapter = (info = {}) => ({
	features: new Set(["shader-f16"]),
	info,
	limits: { maxBufferSize: 1024, maxStorageBufferBindingSize: 512 },
});

test("an adapter that comes late is found; one that never comes is NO_ADAPTER", async () => {
	const found = await withGpu((n) => (n > 3 ? adapter() : null));
	assert.deepEqual(found.descriptor.requiredLimits, {
		maxBufferSize: 1024,
		maxStorageBufferBindingSize: 512,
	});
	await assert.rejects(
		withGpu(() => null),
		{ code: "NO_ADAPTER" },
	);
	await assert.rejects(detect(), { code: "NO_WEBGPU" });
});

test("a software adapter is named, missing features are left out, strict refuses", async () => {
	assert.equal((await withGpu(() => adapter({ isFallbackAdapter: true }))).software, true);
	assert.equal((await withGpu(() => adapter({ architecture: "swiftshader" }))).software, true);
	assert.equal((await withGpu(() => adapter({ vendor: "nvidia" }))).software, false);
	const o = { features: ["shader-f16", "subgroups"], limits: { maxBufferSize: 4096 } };
	const { descriptor, clamped } = await withGpu(() => adapter(), o);
	assert.deepEqual([descriptor.requiredFeatures, clamped], [["shader-f16"], ["maxBufferSize"]]);
	await assert.rejects(
		withGpu(() => adapter(), { ...o, strict: true }),
		{ code: "LIMITS" },
	);
});

test("a name is cut between characters and loses what could hide or reorder text", () => {
	assert.equal(plain("a\u202eb\u0007c\u200d", 128), "a b c");
	assert.equal(plain("é".repeat(100), 9), "éééé");
	assert.equal(plain("😀😀", 5), "😀");
	assert.equal(plain("", 128), "");
});

test("a hash by pieces is the hash of the whole, at every edge of block and piece", async () => {
	const PIECE = 2 ** 18;
	for (const size of [
		0,
		1,
		55,
		56,
		63,
		64,
		65,
		119,
		120,
		PIECE - 9,
		PIECE - 1,
		PIECE,
		PIECE + 1,
		3 * PIECE + 56,
	]) {
		const bytes = Buffer.alloc(size, "a model's weights");
		assert.equal(
			await sha256(new Blob([bytes])),
			createHash("sha256").update(bytes).digest("hex"),
			`${size} bytes`,
		);
	}
});

const SDK = new URL("../../../web/sdk/", import.meta.url);

/** What a bundler makes of them, and a server sends: a name or a comment costs nothing here, and
 * must never have to be paid for. @param {string[]} names */
const gzipped = (names) =>
	gzipSync(
		names
			.map((name) => readFileSync(new URL(name, SDK), "utf8"))
			.map((source) => esbuild.transformSync(source, { minify: true, target: "es2022" }).code)
			.join(""),
		{ level: 9 },
	).length;

test("a worker goes by its page's clock, whatever time its own began at", async () => {
	const errors = new URL("../../../web/sdk/errors.js", import.meta.url);
	Object.assign(globalThis, { name: "5000000" });
	const worker = await import(`${errors}?worker`);
	Object.assign(globalThis, { document: {} }); // a page may be named by whoever opened it
	const page = await import(`${errors}?page`);
	Reflect.deleteProperty(globalThis, "name");
	Reflect.deleteProperty(globalThis, "document");
	assert.ok(Math.abs(worker.now() - performance.now() - 5_000_000) < 1000);
	assert.ok(Math.abs(page.now() - performance.now()) < 1000);
});

test("the SDK is at most 12 kB minified and gzipped, its models 6 kB more, and serving 6", () => {
	const files = readdirSync(SDK).filter((name) => name.endsWith(".js"));
	const models = ["download.js", "files.js", "hash.js", "model.js"];
	const serving = files.filter((name) => name.startsWith("serve"));
	const session = files.filter((name) => ![...models, ...serving].includes(name));
	assert.ok(session.length > 5 && serving.length > 2);
	const sizes = [session, models, serving].map(gzipped);
	console.log(`# ${sizes.join(", ")} bytes`);
	assert.ok(sizes[0] <= 12_000 && sizes[1] <= 6_000 && sizes[2] <= 6_000, `${sizes} bytes`);
});

test("a page that does not serve loads nothing of it", () => {
	for (const name of readdirSync(SDK).filter((file) => /^(?!serve).*\.js$/.test(file)))
		assert.doesNotMatch(readFileSync(new URL(name, SDK), "utf8"), /from "\.\/serve/);
});

/** The modules of web/, as they are named from there. */
const typed = ["sdk", "compat", "inference", "pages", "storage", "ui"].flatMap((room) =>
	readdirSync(new URL(`../${room}`, SDK), { recursive: true })
		.map((name) => `${room}/${name}`)
		.filter((name) => /\.(js|ts)$/.test(name)),
);

test("`any` stands in the types at most five times, each time with its reason", () => {
	assert.ok(typed.length > 60);
	let count = 0;
	for (const name of typed) {
		const file = ts.createSourceFile(
			name,
			readFileSync(new URL(`../${name}`, SDK), "utf8"),
			ts.ScriptTarget.ESNext,
			true,
			name.endsWith(".ts") ? ts.ScriptKind.TS : ts.ScriptKind.JS,
		);
		const lines = file.text.split("\n");
		/** @type {Set<number>} */
		const places = new Set();
		/** @param {import("typescript").Node & { jsDoc?: import("typescript").Node[] }} node */
		const walk = (node) => {
			if (node.kind === ts.SyntaxKind.AnyKeyword) places.add(node.getStart(file));
			node.jsDoc?.forEach(walk);
			ts.forEachChild(node, walk);
		};
		walk(file);
		for (const place of places) {
			const { line } = file.getLineAndCharacterOfPosition(place);
			assert.match(
				lines.slice(line - 1, line + 1).join("\n"),
				/\bany: /,
				`${name}:${line + 1} has an \`any\` without a reason ("any: ..")`,
			);
		}
		count += places.size;
	}
	assert.ok(count > 0 && count <= 5, `${count} times`);
});

test("while something is at stake tries come at once, soon, and at most 200 ms apart", () => {
	assert.deepEqual([0, 1, 2, 3, 4, 99].map(quickMs), [0, 50, 100, 200, 200, 200]);
});

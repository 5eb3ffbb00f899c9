// @ts-check
// The package's types, for whoever checks a page of their own with `tsc --strict`; and what the
// documents say to write in one, checked so.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../lib/children.mjs";
import { installSdk } from "../lib/package.mjs";
import { packageFile, root } from "../lib/packages.mjs";
import { snippets } from "../lib/readme.mjs";

const PAGE = `
import { Broker, BrokerError, detect, type Lease, type QueueInfo } from "@baton/sdk";
import type { Command, Protocol } from "@baton/sdk";

const broker = new Broker({ name: "page", fallback: "origin-lock" });
const mode: "worker" | "reply" = broker.heartbeat;
broker.addEventListener("queue", ({ detail: q }) => q.position.toFixed() + q.why?.code);
broker.addEventListener("yield", ({ detail }) => void detail.lease.yieldIfNeeded());
broker.addEventListener("state", (event) => event.detail.error?.code === "LOST", { once: true });
broker.addEventListener("ended", ({ detail: { lease, error } }) => [lease.id, error.retryable]);
broker.addEventListener("anything", () => undefined);
// @ts-expect-error: there is no such field
broker.addEventListener("queue", (event) => event.detail.place);

// A page's request can be followed over the worker to the wire and back: each word is typed.
const asked: Command = ["acquire", 1, { class: "chat", slots: "all" }, null];
// @ts-expect-error: there is no such command
const wrong: Command = ["aquire", 1, {}, null];
// @ts-expect-error: the wire has no such class
const urgent: Protocol.ToBroker.Acquire = { type: "acquire", ref: 1, class: "urgent" };
function heard(m: Protocol.FromBroker.Message) {
	if (m.type === "granted")
		return m.fence.toFixed() + m.gpus?.[0]?.name;
	// @ts-expect-error: told apart by its type
	return m.type === "queued" ? m.fence : [asked, wrong, urgent];
}
void heard;

async function main(): Promise<string> {
	const maybe = await broker.request({ ifAvailable: true });
	// @ts-expect-error: it may be null
	maybe.id;
	const lease: Lease = await broker.request({ class: "chat", onQueue: (q: QueueInfo) => q.etaS });
	const device: GPUDevice = await lease.requestDevice({ features: ["shader-f16"] });
	const { adapter } = await detect();
	adapter.limits.maxBufferSize + device.limits.maxBindGroups;
	await using turn = await broker.request();
	await broker.close();
	return broker.run({}, async (held) => \`\${held.fence} \${mode} \${turn.id}\`)
		.catch((error: unknown) => error instanceof BrokerError ? error.code : "");
}
void main();
`;

/** A folder with the package, its peers as npm installs them, and `names`.
 * @param {string[]} [names] */
function project(names = []) {
	const folder = tempFolder("baton-types");
	const sdk = installSdk(folder);
	const { peerDependencies } = JSON.parse(readFileSync(join(sdk, "package.json"), "utf8"));
	for (const name of [...Object.keys(peerDependencies), ...names]) {
		mkdirSync(join(folder, "node_modules", name, ".."), { recursive: true });
		symlinkSync(join(root, "web/node_modules", name), join(folder, "node_modules", name));
	}
	writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
	return folder;
}

/** What tsc says of these files. @param {string} folder @param {string[]} files
 * @param {object} ways more options */
function tsc(folder, files, ways) {
	const compilerOptions = {
		strict: true,
		noUncheckedIndexedAccess: true,
		noEmit: true,
		target: "ES2022",
		types: [],
		lib: ["ES2022", "DOM"],
		...ways,
	};
	writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ files, compilerOptions }));
	const { stdout, stderr } = spawnSync(
		process.execPath,
		[join(packageFile("typescript"), "../tsc.js"), "-p", folder],
		{ encoding: "utf8" },
	);
	return stdout + stderr;
}

test("a strict page type-checks, with and without skipLibCheck, in ES2022 and the DOM", () => {
	const folder = project();
	writeFileSync(join(folder, "page.ts"), PAGE);
	for (const ways of [
		{ module: "esnext", moduleResolution: "bundler", skipLibCheck: false },
		{ module: "nodenext", moduleResolution: "nodenext", skipLibCheck: true },
	])
		assert.equal(tsc(folder, ["page.ts"], ways), "", JSON.stringify(ways));
});

/** What the documents leave to their reader, and packages that carry no types. */
const READER = `
declare const token: string;
declare const button: HTMLButtonElement;
declare const bridgeWs: WebSocket;
declare const model: import("@baton/sdk").ServedModel<any>["model"];
declare function compute(device: GPUDevice, signal: AbortSignal, prompt: string): Promise<string>;
declare function goOnWithoutGpu(): null;
declare function show(text: string): void;
declare function work(lease: import("@baton/sdk").Lease): Promise<void>;
declare module "http://127.0.0.1:8470/sdk/index.js" { export * from "@baton/sdk"; }
declare module "http://127.0.0.1:8470/modules/sovereign.js" {
	export const GPUController: { TOKEN: string };
}
declare module "react" {
	export function useEffect(effect: () => void | (() => void), deps?: unknown[]): void;
	export function useState<T>(first: T): [T, (next: T | ((old: T) => T)) => void];
}
`;

test("the code in the documents type-checks as it stands, strict", () => {
	const folder = project(["@huggingface/transformers", "@mlc-ai/web-llm", "vue"]);
	writeFileSync(join(folder, "reader.d.ts"), READER);
	const files = ["web/sdk/README.md", "docs/browser.md", "docs/migrate.md"].flatMap(snippets);
	assert.ok(files.length > 15, `${files.length} were found`);
	for (const { name, code } of files) writeFileSync(join(folder, name), `${code}export {};\n`);
	const said = tsc(folder, ["reader.d.ts", ...files.map(({ name }) => name)], {
		noImplicitAny: false, // they are JavaScript, and name no types
		allowJs: true,
		checkJs: true,
		jsx: "preserve",
		module: "esnext",
		moduleResolution: "bundler",
		types: ["@webgpu/types"],
		skipLibCheck: true,
		paths: {
			"/sdk/index.js": ["./node_modules/@baton/sdk/dist/index.d.ts"],
			"/sdk/serve.js": ["./node_modules/@baton/sdk/dist/serve.d.ts"],
		},
	});
	assert.equal(said, "");
});

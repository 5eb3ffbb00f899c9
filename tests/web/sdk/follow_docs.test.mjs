// @ts-check
// web/sdk/README.md and docs/browser.md followed literally, as somebody does who has only them: in
// an empty folder the package is installed from the broker, each block of code is copied as it
// stands, bundled by each bundler and opened. The broker is at a port of its own here, so whatever
// is served has that in the place of 8470. What it says is a transcript.
// FOLLOW_ALL: also the examples with libraries, which take their time (`make follow-docs`).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { BUNDLERS } from "../lib/bundlers.mjs";
import { launch } from "../lib/cdp.mjs";
import { tempFolder } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { packageFile, root } from "../lib/packages.mjs";
import { readmeExamples } from "../lib/readme.mjs";
import { startFolderSite } from "../lib/site.mjs";
import { until } from "../lib/until.mjs";

const ALL = Boolean(process.env.FOLLOW_ALL);
const NAMES = Object.keys(BUNDLERS).filter((name) => name !== "webpack, development");
const README = "web/sdk/README.md";
const GUIDE = "docs/browser.md";
const HTML = '<!doctype html><title>a page</title><script type="module" src="./page.js"></script>';
const AWAY = "127.0.0.1:1"; // nothing listens there

/** @param {string} file */
const text = (file) => readFileSync(join(root, file), "utf8");

/** The block of code with these words, as it stands. @param {string} file @param {string} words */
function block(file, words) {
	const found = [...text(file).matchAll(/^```\w+\n([^]*?)^```$/gm)].find(([, code]) =>
		code.includes(words),
	);
	assert.ok(found, `${file} has a block with ${words}`);
	return found[1];
}

/** What the blocks leave to their reader. @param {string} token */
const reader = (token) => `
const token = "${token}";
const goOnWithoutGpu = () => "without the GPU";
const compute = async (device, signal, prompt) => {
	device.queue.submit([device.createCommandEncoder().finish()]);
	await device.queue.onSubmittedWorkDone();
	return signal.aborted ? "too late" : prompt + " computed";
};
const button = globalThis.button = document.createElement("button");
const show = (words) => { globalThis.shown = words; };
const work = () => show("worked");
`;
const ASK = "globalThis.result = answer('it is');";
const FIRST = [
	[README, 'name: "my-page", token'],
	[GUIDE, 'name: "My page", token'],
];
const START = "globalThis.result = start().then((broker) => broker.state ?? broker);";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startFolderSite>>} */
let listed;
/** @type {typeof listed} */
let unlisted;
let project = "";
let served = "";
let pages = 0;

before(async () => {
	const change = (/** @type {string} */ all) => all.replaceAll("127.0.0.1:8470", served);
	[listed, unlisted, browser] = await Promise.all([
		startFolderSite(change),
		startFolderSite(change),
		launch(),
	]);
	daemon = await startDaemon({ config: { origins: [listed.base] } });
	served = `127.0.0.1:${daemon.port}`;
	project = tempFolder("baton-project");
	writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
	writeFileSync(join(project, "index.html"), HTML);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	listed?.stop();
	unlisted?.stop();
});

/** A page of that code: bundled by name, or as it stands. Its tab. @param {typeof listed} site
 * @param {string} code @param {string} [bundler] */
async function open(site, code, bundler) {
	const name = `page${pages++}`;
	mkdirSync(join(site.folder, name));
	writeFileSync(join(project, "page.js"), code);
	if (bundler) await BUNDLERS[bundler](project, join(site.folder, name));
	else {
		writeFileSync(join(site.folder, name, "page.js"), code);
		writeFileSync(join(site.folder, name, "index.html"), HTML);
	}
	return browser.page(`${site.base}/${name}/`);
}

/** What a page of that code says in the end. @param {string} code @param {string} [bundler] */
async function says(code, bundler) {
	try {
		const tab = await open(listed, code, bundler);
		const said =
			(await tab.run("() => globalThis.result").catch((error) => error.message))
			?? tab.console.join("\n");
		await tab.close();
		return said;
	} catch (error) {
		// it cannot be built
		return `${/** @type {Error} */ (error).message}`.slice(0, 500);
	}
}

test("npm install http://127.0.0.1:8470/sdk/baton-sdk.tgz", async (t) => {
	const address = "http://127.0.0.1:8470/sdk/baton-sdk.tgz";
	for (const file of [README, GUIDE])
		assert.ok(text(file).replace(/\s+/g, " ").includes(`npm install ${address}`), file);
	// Without its peer, the types, for which npm would ask the registry.
	const args = [
		"install",
		address.replace("127.0.0.1:8470", served),
		...(ALL ? [] : ["--legacy-peer-deps"]),
	];
	const { stdout } = await promisify(execFile)("npm", args, { cwd: project });
	t.diagnostic(`$ npm ${args.join(" ")}: ${stdout.trim()}`);
});

for (const [file, words] of FIRST)
	test(`the first page of ${file}: from the broker, and bundled`, async (t) => {
		const code = `${reader(daemon.token)}${block(file, words)}${ASK}`.replace(
			'token: "…"',
			"token",
		);
		/** @type {Record<string, string>} */
		const said = { "as it stands": await says(code) };
		const bundled = code.replace(/"http\S+"; +\/\/ bundled: ("@baton\/sdk")/, "$1; //");
		assert.notEqual(bundled, code);
		for (const name of NAMES) said[name] = await says(bundled, name);
		for (const [how, what] of Object.entries(said)) t.diagnostic(`${how}: ${what}`);
		assert.deepEqual([...new Set(Object.values(said))], ["it is computed"]);
	});

test("a page that goes on where no broker is", async (t) => {
	const code = `${reader("")}${block(README, "goOnWithoutGpu()")}${START}`;
	const there = await says(code);
	served = AWAY;
	const away = await says(code);
	served = `127.0.0.1:${daemon.port}`;
	t.diagnostic(`there: ${there}; away: ${away}`);
	assert.deepEqual([there, away], ["idle", "without the GPU"]);
});

test("a site that is not listed asks, is allowed by `baton sites`, and has its turn", async (t) => {
	const code = reader("") + block(README, "await pair({ onAsked");
	for (const [at, name] of NAMES.entries()) {
		const tab = await open(unlisted, code, name);
		await tab.run("() => button.click()");
		const shown = () => until(() => tab.run("() => globalThis.shown"), { what: "it says" });
		if (at === 0) {
			const advice = await shown();
			t.diagnostic(`${name}: ${advice}`);
			assert.equal(
				advice,
				`Allow ${unlisted.base} on the broker's dashboard, or: baton sites`,
			);
			t.diagnostic(await daemon.cli("sites"));
			t.diagnostic(await daemon.cli("sites", "allow", unlisted.base));
		}
		await until(async () => (await shown()) === "worked", { what: `${name} has its turn` });
		t.diagnostic(`${name}: worked`);
		await tab.close();
	}
});

test("an old page has the session beneath", async (t) => {
	mkdirSync(join(listed.folder, "modules"));
	writeFileSync(
		join(listed.folder, "modules/sovereign.js"),
		block(GUIDE, "GPUController.TOKEN").replace("…", daemon.token),
	);
	const said = await says(`import { GPUController } from "/modules/sovereign.js";
		globalThis.result = GPUController.withLock("old page", async () => "it had the lock");`);
	t.diagnostic(JSON.stringify(said));
	assert.match(JSON.stringify(said), /it had the lock/);
});

test("the configuration for two GPUs", async (t) => {
	const two = await startDaemon();
	try {
		await two.kill();
		two.args = [];
		writeFileSync(join(two.folder, "config.yaml"), block(GUIDE, "browser_gpu: rtx"));
		await two.start();
		const names = (await two.status()).gpus.map((/** @type {any} */ gpu) => gpu.name);
		t.diagnostic(names.join(", "));
		assert.deepEqual(names, ["igpu", "rtx"]);
	} finally {
		await two.stop();
	}
});

/** @param {string[]} names */
function havePackages(...names) {
	for (const name of names) {
		const at = join(project, "node_modules", name);
		if (existsSync(at)) continue;
		mkdirSync(dirname(at), { recursive: true });
		symlinkSync(join(root, "web/node_modules", name), at);
	}
}

/** A component that is in the page for as long as `shown`, as its reader would mount it. */
const APP = `
import { createRoot } from "react-dom/client";
import { StrictMode, useEffect, useState } from "react";
import { Broker } from "@baton/sdk";
import { Turn } from "./lease.js";

function Naive({ broker }) {
	const [lease, setLease] = useState(null);
	useEffect(() => {
		broker.request({ class: "chat" }).then(setLease, () => {});
	}, []);
	return <p>{lease ? "has it" : "waits"}</p>;
}
const broker = new Broker({ name: "react", url: URL_HERE, token: TOKEN_HERE });
const options = { class: "chat" };
const turn = <Turn broker={broker} options={options}>{(lease) => "lease " + lease.id}</Turn>;
const root = createRoot(document.documentElement.appendChild(document.createElement("div")));
globalThis.mount = (what) => root.render(<StrictMode>
	{{ turn, naive: <Naive broker={broker} /> }[what]}
</StrictMode>);
globalThis.shown = () => document.querySelector("section, p")?.textContent ?? "nothing";
`;

/** What JSX is for a browser, by the compiler that bundlers have. @param {string} code */
async function compiled(code) {
	const { transform } = await import(pathToFileURL(packageFile("esbuild")).href);
	return (await transform(code, { loader: "jsx", jsx: "automatic" })).code;
}

test("a React component has its lease, loses it, and leaves nothing behind", async (t) => {
	havePackages("react", "react-dom", "scheduler");
	writeFileSync(join(project, "lease.js"), await compiled(readmeExamples()["lease.jsx"]));
	const code = (await compiled(APP))
		.replace("URL_HERE", JSON.stringify(daemon.base))
		.replace("TOKEN_HERE", JSON.stringify(daemon.token));
	const claims = async () => {
		const { leases, waiting } = await daemon.status();
		return [...leases, ...waiting].filter((/** @type {any} */ row) => row.id === "react");
	};

	// Only in development StrictMode mounts twice. Rollup finds no packages without its plugin.
	const twice = "webpack, development";
	for (const name of [twice, ...(ALL ? NAMES.filter((one) => one !== "rollup") : [])]) {
		const tab = await open(listed, code, name);
		const shows = (/** @type {RegExp} */ words) =>
			until(async () => words.test(await tab.run("() => globalThis.shown?.()")), {
				what: `${name} shows ${words}`,
			});
		await tab.run("() => globalThis.mount('turn')");
		await shows(/^lease \d+$/);
		await until(async () => (await claims()).length === 1, { what: "it has one" });

		const [{ lease }] = await claims();
		await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "test" });
		await shows(/^Waiting/);
		await tab.run("() => globalThis.mount('nothing')");
		await until(async () => (await claims()).length === 0, { what: "it is left" });
		assert.doesNotMatch(tab.console.join(), /waits for itself/);

		if (name === twice) {
			await tab.run("() => globalThis.mount('naive')");
			const why = () => claims().then((all) => all.find(({ why: one }) => one)?.why.code);
			await until(async () => (await why()) === "self", { what: "without a signal" });
			await until(() => /waits for itself/.test(tab.console.join()), { what: "it warns" });
		}
		t.diagnostic(`${name}: ${tab.console.join()}`);
		await tab.close();
		await until(async () => (await claims()).length === 0, { what: "the page is gone" });
	}
});

const MODULES = ["steps", "generator", "chat", "job", "use_turn", "use_turn_vue"];
const EXAMPLES = `${MODULES.map((name) => `import * as ${name} from "./${name}.js";`).join("\n")}
globalThis.result = Object.entries({ ${MODULES} }).flatMap(([name, all]) =>
	Object.keys(all).map((one) => name + "." + one)).join(" ");`;

test(
	"the examples with their libraries, bundled",
	{ skip: !ALL && "only by make follow-docs" },
	async (t) => {
		havePackages("react", "vue", "@huggingface/transformers", "@mlc-ai/web-llm");
		for (const [name, code] of Object.entries(readmeExamples()))
			writeFileSync(join(project, name), code);
		writeFileSync(join(project, "compute.js"), "onmessage = () => postMessage({ value: 1 });");
		const wrong = [];
		// Rollup finds no packages without its plugin for that.
		for (const name of NAMES.filter((one) => one !== "rollup")) {
			const began = performance.now();
			const said = await says(EXAMPLES, name);
			t.diagnostic(`${name}: ${said} (${Math.round(performance.now() - began)} ms)`);
			if (!/chat\.reply.*use_turn_vue\.useTurn/.test(said)) wrong.push(name);
		}
		assert.deepEqual(wrong, []);
	},
);

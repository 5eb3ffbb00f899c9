// Proves that Root Console does its job in a real browser: it streams an answer of the demo model
// computed on WebGPU, keeps it, stops, goes on after it lost the GPU, shows hostile text as text,
// says what is wrong with a model, the storage, the broker or the browser and how to go on; and
// that two tabs never load at once. Every request goes to the daemon.
import assert from "node:assert/strict";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { root } from "../lib/packages.mjs";
import { until, untilText } from "../lib/until.mjs";
import { Session } from "./sessions.mjs";

const ANSWER_MS = 30000; // a model is loaded and computes on SwiftShader, on a busy machine
const QUEUE_ANSWER =
	"Waiting is fair here, your place only moves forward, and the page shows how "
	+ "long at most.";
const HOSTILE = "<img src=x onerror='window.hit=1'> \u202Eelpmaxe **queue**";

let folder;
let daemon;
let browser;
let page;
let requests = [];

/** Models of one's own that are broken, each in its way. */
async function writeModels() {
	folder = await mkdtemp(join(tmpdir(), "baton-console-models-"));
	execFileSync(process.execPath, [join(root, "web/demo_models/build.mjs"), folder], {
		stdio: "pipe",
	});
	const lm = {
		engine: "transformers",
		task: "chat",
		profile: "lite",
		vram_mb: 16,
		dtype: "fp32",
	};
	for (const name of ["missing", "corrupt"]) {
		await cp(join(folder, "tiny-lm"), join(folder, name), { recursive: true });
	}
	await rm(join(folder, "missing/onnx/model.onnx"));
	await writeFile(join(folder, "corrupt/onnx/model.onnx"), "this is no model");
	await writeFile(
		join(folder, "models.json"),
		JSON.stringify([
			{ ...lm, id: "missing", name: "<b>Missing</b>", path: "missing", profile: "high" },
			{ ...lm, id: "corrupt", name: "Corrupt", path: "corrupt", profile: "high" },
			{ ...lm, id: "wrong", name: "", path: "wrong" },
		]),
	);
	return folder;
}

before(async () => {
	daemon = await startDaemon({ args: ["--models", await writeModels()] });
	browser = await openBrowser();
	browser.context.on("request", (request) => requests.push(request.url()));
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
	if (folder) await rm(folder, { recursive: true, force: true });
});

/** Each test begins with nothing kept. */
beforeEach(async () => {
	requests = [];
	page = await browser.signedInPage(daemon, "/health");
	await page.evaluate(async () => {
		const key = localStorage.getItem("baton-key") ?? "";
		localStorage.clear();
		localStorage.setItem("baton-key", key); // it stays signed in
		sessionStorage.clear();
		await new Promise((done) => {
			indexedDB.deleteDatabase("baton").onsuccess = done;
		});
	});
});

afterEach(async () => {
	for (const each of browser.context.pages()) await each.close();
	for (const url of requests) {
		assert.ok(/^(data|blob|about):/.test(url) || url.startsWith(daemon.base), url);
	}
});

async function open(tab = page) {
	await tab.goto(`${daemon.base}/console`);
	await tab.locator("#choose option").first().waitFor({ state: "attached" });
	await tab.locator(".state-open").waitFor();
	return tab;
}

async function ask(text, tab = page) {
	await tab.locator("#question").fill(text);
	await tab.locator("#question").press("Enter");
}

const answers = (tab = page) => tab.locator(".answer:not(.writing)");
const said = async (tab = page) => (await answers(tab).last().locator(".prose").innerText()).trim();
const answered = (n, tab = page) =>
	answers(tab)
		.nth(n - 1)
		.waitFor({ timeout: ANSWER_MS });

/** What the page threw; a file that is missing on purpose is no problem. */
const problems = () =>
	page.problems.filter((text) => !/404|models\/missing|\/favicon\.ico/.test(text));

/** Slows the model's words down, so that an answer can be met while it is written. The page's own
 * code is untouched: the Worker's messages come later, and what it was asked to stop is stopped,
 * though the model may have been quicker. setPace changes it. @param {number} ms */
async function slowDown(tab, ms) {
	await tab.addInitScript((delay) => {
		const { Worker } = window;
		const stopped = ({ id }) => ({
			data: { type: "failed", id, code: "ABORTED", message: "Stopped." },
		});
		window.answersSlowed = 0;
		window.Worker = class extends Worker {
			#answers = new Set();
			#cut = new Set();

			constructor(...args) {
				super(...args);
				if (!String(args[0]).includes("transformers_worker")) return;
				let last = Promise.resolve();
				let take = null;
				Object.defineProperty(this, "onmessage", {
					set: (handler) => {
						take = handler;
					},
				});
				this.addEventListener("message", (event) => {
					const { type, id } = event.data;
					const isCut = () => this.#cut.has(id);
					const wait = () =>
						this.#answers.has(id) && !isCut()
							? Number(sessionStorage.pace ?? delay)
							: 0;
					last = last
						.then(() => new Promise((done) => setTimeout(done, wait())))
						.then(() => {
							if (!isCut()) take(event);
							else if (type !== "event") take(stopped(event.data));
						});
				});
			}

			postMessage(message, ...rest) {
				if (message.type === "call" && message.name === "chat") {
					this.#answers.add(message.id);
					window.answersSlowed++;
				}
				if (message.type === "abort") this.#cut.add(message.id);
				super.postMessage(message, ...rest);
			}
		};
	}, ms);
}

/** An answer is being written, word by word. */
async function untilWriting() {
	await page.locator(".answer.writing").waitFor({ timeout: ANSWER_MS });
	assert.ok(await page.evaluate(() => window.answersSlowed > 0), "the model is slowed down");
}

const setPace = (ms, tab = page) =>
	tab.evaluate((pace) => {
		sessionStorage.pace = pace;
	}, ms);

test("it answers with the demo model on WebGPU, and keeps what was said", async () => {
	await open();
	await untilText(page.locator("#title .badge.demo"), "Demo model");
	await untilText(page.locator("#model"), /swiftshader/i);
	const begunMs = performance.now();
	await ask("How does the queue work?");
	await page.locator(".answer").first().waitFor({ timeout: ANSWER_MS });
	const firstMs = performance.now() - begunMs;
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
	const footer = await answers().first().locator("footer").innerText();
	assert.match(footer, /Demo model\s+Tiny LM · \d+ tokens/);
	await untilText(page.locator("#say"), /^Answer: Waiting is fair/);
	await untilText(page.locator("#model .state"), "loaded");
	const { leases } = await daemon.status();
	assert.deepEqual(
		leases.map(({ slots, vram_mb: vram }) => [slots, vram]),
		[[0, 16]],
		"the model's memory is in the ledger, and the turn is over",
	);

	await page.reload();
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
	await untilText(page.locator(".question .said"), "How does the queue work?");
	await ask("And the lease?");
	await answered(2);
	assert.match(await said(), /^The broker grants one lease at a time\./);
	assert.deepEqual(problems(), []);
	console.log(`# first token, model not loaded: ${Math.round(firstMs)} ms`);
});

test("what is asked before the page has looked around is answered where it belongs", async () => {
	await open();
	await ask("hello");
	await answered(1);
	await page.addInitScript(() => {
		const { requestAdapter } = GPU.prototype;
		GPU.prototype.requestAdapter = async function (...how) {
			await new Promise((done) => {
				window.lookAtGpu = done;
			});
			return requestAdapter.apply(this, how);
		};
	});
	await page.goto(`${daemon.base}/console`);
	await page.locator(".queue-panel").waitFor();
	await ask("the queue");
	await page.evaluate(() => window.lookAtGpu());
	await answered(2);
	assert.equal(await said(), QUEUE_ANSWER);
	assert.equal(await page.locator(".stopped").count(), 0);
	assert.equal(await page.locator(".conversations .pick").count(), 1);
	assert.deepEqual(problems(), []);
});

test("it streams, Stop and Esc keep what is there, and Continue goes on with it", async () => {
	await slowDown(page, 1000);
	await open();
	await ask("How does the queue work?");
	const writing = page.locator(".answer.writing");
	await untilWriting();
	const early = await writing.innerText();
	await until(async () => (await writing.innerText()).length > early.length, {
		what: "more is written",
	});
	await page.locator("#stop").click();
	await setPace(0);
	await page.locator(".stopped").waitFor({ timeout: ANSWER_MS });
	await untilText(page.locator(".stopped"), "stopped by you");
	const half = await said();
	assert.ok(half.length > 0 && QUEUE_ANSWER.startsWith(half), half);

	await page.reload();
	await page.locator(".stopped").waitFor();
	assert.equal(await said(), half, "a cut answer is kept, too");
	await page.getByRole("button", { name: "Continue" }).click();
	await until(async () => (await said()) === QUEUE_ANSWER, { ms: ANSWER_MS, what: "the rest" });
	assert.equal(await page.locator(".stopped").count(), 0);

	await setPace(1000);
	await page.getByRole("button", { name: "Retry" }).click();
	await writing.waitFor({ timeout: ANSWER_MS });
	await page.keyboard.press("Escape");
	await setPace(0);
	await page.locator(".stopped").waitFor({ timeout: ANSWER_MS });
	assert.equal(await answers().count(), 1);
	assert.deepEqual(problems(), []);
});

test("an answer gives way to a voice between two words, and goes on by itself", async () => {
	await slowDown(page, 1000);
	await open();
	await ask("How does the queue work?");
	await untilWriting();
	const voice = await Session.open(daemon, "Voice <i>now</i>");
	voice.send({ type: "acquire", ref: 1, class: "voice", vram_mb: 0, slots: 1, timeout_s: 60 });
	await voice.heard("granted");
	await until(
		async () => /gave way to Voice <i>now<\/i>/.test(await page.locator("#turn").innerText()),
		{ what: "it says to whom it gave way" },
	);
	const half = await page.locator(".answer.writing").innerText();
	assert.ok(half.length > 0 && QUEUE_ANSWER.startsWith(half.trim()), half);
	const { leases } = await daemon.status();
	assert.deepEqual(
		leases.filter((each) => each.slots > 0).map((each) => each.id),
		["Voice <i>now</i>"],
		"it was given back, not taken",
	);
	await setPace(0);
	voice.close();
	await until(async () => (await said()) === QUEUE_ANSWER, { ms: ANSWER_MS, what: "the rest" });
	assert.equal(await page.locator(".stopped").count(), 0);
	assert.deepEqual(problems(), []);
});

test("an answer whose lease is taken is kept, says so, and is gone on with", async () => {
	await slowDown(page, 1000);
	await open();
	await ask("How does the queue work?");
	await untilWriting();
	const held = (await daemon.status()).leases.find((each) => each.slots > 0);
	await daemon.http("POST", `/v1/gpu/leases/${held.lease}/revoke`, { reason: "test" });
	await page.locator(".stopped").waitFor({ timeout: ANSWER_MS });
	await untilText(page.locator(".stopped"), "stopped: the lease was taken");
	const half = await said();
	assert.ok(half.length > 0 && QUEUE_ANSWER.startsWith(half), half);

	const voice = await Session.open(daemon, "Voice <i>now</i>");
	voice.send({ type: "acquire", ref: 1, class: "voice", vram_mb: 0, slots: 1, timeout_s: 60 });
	await voice.heard("granted");
	await page.getByRole("button", { name: "Continue" }).click();
	await page.locator("#turn .state-waiting").waitFor();
	const next = /Next(, in about [^:]*)?: /;
	await until(async () => next.test(await page.locator("#turn").innerText()), {
		what: "the place in the queue is shown",
	});
	await untilText(page.locator("#queue"), /Next(, in about [^:]*)?: Voice/);
	await setPace(0);
	voice.close();
	await until(async () => (await said()) === QUEUE_ANSWER, { ms: ANSWER_MS, what: "the rest" });
	assert.deepEqual(problems(), []);
});

test("a question that waits is asked again after a reload, in its place, and answered", async () => {
	const first = await Session.open(daemon, "Holder");
	first.send({ type: "acquire", ref: 1, class: "normal", vram_mb: 0, slots: 1, timeout_s: 60 });
	await first.heard("granted");
	await open();
	await ask("Hello");
	const waits = () =>
		until(
			async () => {
				const { waiting } = await daemon.status();
				return waiting.find(({ id }) => id === "Root-Console");
			},
			{ what: "the console waits" },
		);
	await waits();
	const behind = await Session.open(daemon, "Behind");
	behind.send({ type: "acquire", ref: 1, class: "chat", vram_mb: 0, slots: 1, timeout_s: 60 });
	const order = async () => (await daemon.status()).waiting.map(({ id }) => id);
	const inOrder = () =>
		until(async () => (await order()).join() === "Root-Console,Behind", {
			what: "the console waits in its place",
		});
	await inOrder();
	await page.reload();
	await page.locator("#turn .state-waiting").waitFor();
	await inOrder();
	first.close();
	await behind.heard("granted"); // between the load and the answer
	behind.close();
	await answered(1);
	assert.match(await said(), /^Hello! This answer comes from your GPU/);
	assert.equal(await page.locator(".question").count(), 1);
});

test("a question that waits with its model loaded keeps its place over a reload", async () => {
	await open();
	await ask("Hello");
	await answered(1);
	const first = await Session.open(daemon, "Holder");
	first.send({ type: "acquire", ref: 1, class: "normal", vram_mb: 0, slots: 1, timeout_s: 60 });
	await first.heard("granted");
	await ask("And again");
	const inOrder = (order) =>
		until(
			async () => (await daemon.status()).waiting.map(({ id }) => id).join() === order.join(),
			{ what: `${order} wait in this order` },
		);
	await inOrder(["Root-Console"]);
	const behind = await Session.open(daemon, "Behind");
	behind.send({ type: "acquire", ref: 1, class: "chat", vram_mb: 0, slots: 1, timeout_s: 60 });
	await inOrder(["Root-Console", "Behind"]);
	await page.reload();
	await page.locator("#turn .state-waiting").waitFor();
	await inOrder(["Root-Console", "Behind"]);
	first.close();
	await behind.heard("granted"); // between the load and the answer
	behind.close();
	await answered(2);
	assert.deepEqual(problems(), []);
});

test("hostile text and names stay text, everywhere", async () => {
	await open();
	await ask(HOSTILE);
	await answered(1);
	const shown = page.locator(".question .said");
	assert.equal(await shown.innerText(), HOSTILE);
	// As if a model had written it.
	await page.evaluate(async (text) => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const [{ id }] = await memory.conversations();
		await memory.putMessage({
			id: "hostile",
			conversation: id,
			role: "assistant",
			text: `${text}\n\n<script>1</script>`,
			at: Date.now() + 1,
			model: "<b>m</b>",
			stopped: "<i>s</i>",
		});
		memory.close();
	}, HOSTILE);
	await page.reload();
	await answered(2);
	const elements = page.locator("#messages").locator("img, script, i, b");
	assert.equal(await elements.count(), 0);
	assert.match(await said(), /<img src=x onerror='window\.hit=1'>.*queue/);
	await untilText(answers().last().locator("strong"), "queue");
	await untilText(answers().last().locator("footer"), /<b>m<\/b>[\s\S]*<i>s<\/i>/);
	assert.equal(await page.evaluate(() => window.hit), undefined);
	assert.equal(await page.locator("#choose option", { hasText: "<b>Missing</b>" }).count(), 1);
	await untilText(page.locator(".field-error"), /entry 3: name/);
	assert.deepEqual(problems(), []);
});

test("conversations: a new one, another name, a deletion that is asked for", async () => {
	await open();
	await ask("hello");
	await answered(1);
	await page.getByRole("button", { name: "New conversation" }).click();
	await page.locator(".welcome").waitFor();
	await page.getByRole("button", { name: "Who holds the lease?" }).click();
	await answered(1);
	const titles = page.locator(".conversations .pick bdi");
	assert.deepEqual(await titles.allInnerTexts(), ["Who holds the lease?", "hello"]);

	await page.getByRole("button", { name: "Rename Who holds the lease?" }).click();
	await page.locator("dialog input").fill("<u>Leases</u>");
	await page.keyboard.press("Enter");
	await until(async () => (await titles.allInnerTexts())[0] === "<u>Leases</u>", {
		what: "the new name",
	});
	await page.locator(".pick", { hasText: "hello" }).click();
	await until(async () => /^Hello!/.test(await said()), { what: "the other one" });
	await page.getByRole("button", { name: "Delete hello" }).click();
	await untilText(page.locator("dialog .victim"), "hello");
	await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
	assert.equal(await titles.count(), 2);
	await page.getByRole("button", { name: "Delete hello" }).click();
	await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
	await until(async () => (await titles.count()) === 1, { what: "it is gone" });
	await page.reload();
	await answered(1);
	assert.deepEqual(await titles.allInnerTexts(), ["<u>Leases</u>"]);
});

test("a missing or damaged model is named, and another model answers", async () => {
	await open();
	for (const [id, text] of [
		["missing", /\/models\/missing\/onnx\/model\.onnx/],
		["corrupt", /cannot be read; look at \/models\/corrupt\/onnx\/model\.onnx/],
	]) {
		await page.locator("#choose").selectOption(id);
		await page.locator("#turn .error-banner").waitFor({ state: "detached" });
		await ask("the queue");
		await page.locator("#turn .error-banner").waitFor({ timeout: ANSWER_MS });
		assert.match(await page.locator("#turn .error-banner").innerText(), text);
		const { leases } = await daemon.status();
		assert.deepEqual(leases, [], "a model that is not loaded takes nothing");
	}
	await page.locator("#choose").selectOption("tiny-lm");
	await ask("the queue");
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
});

test("no WebGPU: it says so, and answers on the CPU if wanted", async () => {
	await page.addInitScript(() => {
		delete Navigator.prototype.gpu;
	});
	// The engine's Worker has none either.
	await page.route("**/transformers_worker.js", async (route) => {
		const response = await route.fetch();
		const body = `delete WorkerNavigator.prototype.gpu;\n${await response.text()}`;
		await route.fulfill({ response, body });
	});
	await open();
	await untilText(page.locator("#model"), /no WebGPU/);
	await ask("the queue");
	await page.locator("#turn .error-banner").waitFor({ timeout: ANSWER_MS });
	await untilText(page.locator("#turn .error-banner"), /offers no WebGPU/);
	await page.getByRole("button", { name: "Use the CPU" }).click();
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
	await untilText(page.locator("#model"), /the CPU/);
	assert.deepEqual((await daemon.status()).leases, [], "the CPU needs no lease");
});

test("the broker is away: it says so, and answers when it is back", async () => {
	await open();
	await daemon.kill();
	await page.locator("#frame-connection:not(.state-open)").waitFor();
	await ask("the queue");
	await page.locator("#turn .error-banner").waitFor({ timeout: 3 * ANSWER_MS });
	await untilText(page.locator("#turn .error-banner"), /baton serve/);
	await daemon.restart();
	await page.locator(".state-open").waitFor({ timeout: ANSWER_MS });
	await page.locator("#turn").getByRole("button", { name: "Try again" }).click();
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
});

test("a full storage is told once, and the conversation goes on", async () => {
	await page.addInitScript(() => {
		IDBObjectStore.prototype.put = function () {
			throw new DOMException("injected", "QuotaExceededError");
		};
	});
	await open();
	await ask("the queue");
	await answered(1);
	assert.equal(await said(), QUEUE_ANSWER);
	await untilText(page.locator("#frame-alerts"), /storage is full/);
});

test("a storage that is cleared under the page is told to who only reads, too", async () => {
	await page.goto(`${daemon.base}/health`);
	await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		window.memory = await openStorage();
	});
	const cdp = await page.context().newCDPSession(page);
	await cdp.send("Storage.clearDataForOrigin", {
		origin: daemon.base,
		storageTypes: "indexeddb",
	});
	const [notes, why] = await page.evaluate(async () => {
		const { memory } = window;
		const before = await memory.notes();
		await memory.putNote({ id: "one", text: "new", source: "test", at: 1 });
		return [before.length + (await memory.notes()).length, memory.problem.message];
	});
	assert.equal(notes, 1);
	assert.match(why, /was cleared/);
});

test("two tabs load their models one after the other, and both answer", async () => {
	const other = await browser.signedInPage(daemon, "/health");
	await Promise.all([open(page), open(other)]);
	const loads = [];
	const watch = (async () => {
		const seen = new Set();
		await until(
			async () => {
				const { leases } = await daemon.status();
				const turns = leases.filter(({ slots }) => slots > 0);
				loads.push(turns.length);
				for (const { lease } of turns) seen.add(lease);
				return (await answers(page).count()) + (await answers(other).count()) === 2;
			},
			{ ms: 2 * ANSWER_MS, what: "both tabs answer", every: 10 },
		);
		return seen;
	})();
	await Promise.all([ask("the queue", page), ask("the queue", other)]);
	const seen = await watch;
	assert.ok(seen.size >= 2, "both were seen holding");
	assert.equal(Math.max(...loads), 1, "never two at once");
	assert.equal(await said(page), QUEUE_ANSWER);
	assert.equal(await said(other), QUEUE_ANSWER);
});

test("on a phone nothing is wider than the page; Shift+Enter begins a line", async () => {
	await page.setViewportSize({ width: 390, height: 844 });
	await open();
	await page.locator("#question").focus();
	await page.keyboard.type("one");
	await page.keyboard.press("Shift+Enter");
	await page.keyboard.type("the queue");
	assert.equal(await page.locator("#question").inputValue(), "one\nthe queue");
	await page.keyboard.press("Enter");
	await answered(1);
	await untilText(page.locator(".question .said"), "one\nthe queue");
	const { scroll, client } = await page.evaluate(() => ({
		scroll: document.documentElement.scrollWidth,
		client: document.documentElement.clientWidth,
	}));
	assert.equal(scroll, client);
	await page.setViewportSize({ width: 1320, height: 840 });
});

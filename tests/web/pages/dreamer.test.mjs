// Proves that Root Dreamer dreams over what is kept to the end, and that no interruption loses or
// doubles a thought: a revoked lease, a voice that overtakes it, a reload, a second tab, a broker
// that is killed, sleep and reset. Real browser, real daemon, demo model.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { until, untilText } from "../lib/until.mjs";
import { Session } from "./sessions.mjs";

const DREAM_MS = 60000; // some steps of a second on SwiftShader, on a busy machine
const NOTES = [
	"The broker shares one GPU between all tabs.",
	"<img src=x onerror=alert(1)> the queue is fair",
	"A queue that is fair \u202Eis a queue that ends.",
	"The lease ends two seconds after a tab dies.",
];

let daemon;
let browser;
let page;

before(async () => {
	daemon = await startDaemon();
	browser = await openBrowser();
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** Each test begins with these notes and nothing else. */
beforeEach(async () => {
	page = await browser.signedInPage(daemon, "/health");
	await page.evaluate(async (notes) => {
		const key = localStorage.getItem("baton-key") ?? "";
		localStorage.clear();
		localStorage.setItem("baton-key", key); // it stays signed in
		for (const { name } of await indexedDB.databases()) {
			await new Promise((done, fail) => {
				const request = indexedDB.deleteDatabase(name);
				request.onsuccess = done; // also once who holds it has gone
				request.onerror = fail;
			});
		}
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		for (const [n, text] of notes.entries()) {
			await memory.putNote({ id: `n${n}`, text, source: "test", at: n + 1 });
		}
		memory.close();
	}, NOTES);
});

afterEach(async () => {
	for (const each of browser.context.pages()) await each.close();
});

async function open(tab = page) {
	await tab.goto(`${daemon.base}/dreamer`);
	await tab.locator("#count-memories").waitFor();
}

async function wake(tab = page) {
	await tab.getByRole("button", { name: "Wake" }).click();
}

/** Of a page that is opened next: only so many thoughts come to their end, until more may
 * (letThink). The page's own code is untouched: the Worker's last message comes later, and a thought
 * that is stopped meanwhile is stopped. */
async function holdThoughts(most, tab = page) {
	await tab.addInitScript((first) => {
		const { Worker } = window;
		sessionStorage.thoughts ??= first;
		window.Worker = class extends Worker {
			#asked = new Set();
			#held = new Set();
			#take = null;

			constructor(...args) {
				super(...args);
				if (!String(args[0]).includes("transformers_worker")) return;
				Object.defineProperty(this, "onmessage", {
					set: (handler) => {
						this.#take = handler;
					},
				});
				this.addEventListener("message", (event) => {
					const { type, id } = event.data;
					if (type === "done" && this.#asked.delete(id)) this.#hold(event);
					else this.#take(event);
				});
			}

			#hold(event) {
				const { id } = event.data;
				this.#held.add(id);
				const look = () => {
					if (!this.#held.has(id)) return;
					if (Number(sessionStorage.thoughts) > 0) {
						this.#held.delete(id);
						sessionStorage.thoughts--;
						this.#take(event);
					} else setTimeout(look, 10);
				};
				look();
			}

			postMessage(message, ...rest) {
				const { type, name, id } = message;
				if (type === "call" && name === "chat") this.#asked.add(id);
				super.postMessage(message, ...rest);
				if (type === "abort" && this.#held.delete(id))
					this.#take({ data: { type: "failed", id, code: "ABORTED", message: "" } });
			}

			terminate() {
				this.#held.clear();
				super.terminate();
			}
		};
	}, most);
}

const letThink = (tab = page) =>
	tab.evaluate(() => {
		sessionStorage.thoughts = 1000;
	});

const phase = (tab = page) => tab.locator(".phase").getAttribute("data-phase");
const shown = async (tab = page) => Number(await tab.locator("#count-thoughts").textContent());

async function untilThoughts(n, tab = page) {
	await until(async () => (await shown(tab)) >= n, { ms: DREAM_MS, what: `${n} thoughts` });
}

async function untilPhase(wanted, tab = page) {
	await until(async () => (await phase(tab)) === wanted, {
		ms: DREAM_MS,
		what: `it is ${wanted}`,
	});
}

function kept(tab = page) {
	return tab.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const [thoughts, notes] = await Promise.all([memory.thoughts(), memory.notes()]);
		memory.close();
		return { thoughts, notes };
	});
}

/** Every memory was thought about exactly once, is shown once, and is still there. */
async function assertWhole(tab = page, round = 1) {
	await untilPhase("done", tab);
	const { thoughts, notes } = await kept(tab);
	const ids = NOTES.map((_, n) => `${round}:n${n}`);
	const mine = thoughts.filter((thought) => thought.round === round);
	assert.deepEqual(mine.map((thought) => thought.id).sort(), ids);
	assert.deepEqual(
		mine.map((thought) => thought.about[0]).sort(),
		NOTES.map((_, n) => `n${n}`),
	);
	for (const thought of mine) assert.ok(thought.text.length > 10, thought.text);
	assert.deepEqual(
		notes.map((note) => note.text),
		NOTES,
	);
	assert.equal(await tab.locator(".thought").count(), thoughts.length);
	assert.equal(await shown(tab), thoughts.length);
}

/** What the page threw; that there is no models file of the user's own is no problem, nor is that
 * the document in which the notes are laid out has no icon. */
function problems(tab = page) {
	return tab.problems.filter((problem) => !/\/models\/models\.json|\/favicon\.ico/.test(problem));
}

/** The lease with which the dreamer computes. */
async function computing() {
	return until(
		async () => {
			const { leases } = await daemon.status();
			return leases.find((lease) => lease.id === "Root-Dreamer" && lease.slots > 0);
		},
		{ what: "the dreamer computes" },
	);
}

test("it dreams over all memories to the end, and shows texts as text", async () => {
	await open();
	assert.equal(await phase(), "asleep");
	await page.evaluate(() => {
		window.titles = [];
		new MutationObserver(() => window.titles.push(document.title)).observe(document.head, {
			subtree: true,
			childList: true,
		});
	});
	await wake();
	const startedMs = performance.now();
	await untilThoughts(1);
	const firstMs = performance.now();
	await assertWhole();
	const titles = await page.evaluate(() => window.titles.join("\n"));
	assert.match(titles, /Dreaming/);
	const stepMs = (performance.now() - firstMs) / (NOTES.length - 1);
	console.log(
		`# first thought after ${Math.round(firstMs - startedMs)} ms, then `
			+ `${Math.round(stepMs)} ms a step`,
	);
	await untilText(page.locator("#count-round"), "4 of 4");
	assert.ok(await page.getByText("<img src=x onerror=alert(1)>").first().isVisible());
	assert.equal(await page.locator("main img").count(), 0);
	assert.ok(await page.locator("#thoughts").getByText("Demo model").isVisible());
	const { leases } = await daemon.status();
	assert.equal(leases.filter((lease) => lease.slots > 0).length, 0, "holds a turn without work");
	assert.deepEqual(problems(), []);
});

test("a new note is dreamt about at once, and again in a new round", async () => {
	await open();
	await wake();
	await untilPhase("done");
	await page.getByLabel("Add a note").fill("late");
	await page.getByRole("button", { name: "Add note" }).click();
	await untilThoughts(NOTES.length + 1);
	await untilPhase("done");
	await page.getByRole("button", { name: "Dream again" }).click();
	await untilThoughts(2 * (NOTES.length + 1));
	await untilPhase("done");
	await untilText(page.locator("#count-round"), "5 of 5");
	assert.deepEqual(problems(), []);
});

test("a lease that is revoked in the middle loses and doubles nothing", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	const lease = await computing();
	const answer = await daemon.http("POST", `/v1/gpu/leases/${lease.lease}/revoke`, {
		reason: "test",
	});
	assert.ok(!answer.error, JSON.stringify(answer));
	await until(
		async () => {
			const { leases } = await daemon.status();
			return !leases.some((each) => each.lease === lease.lease);
		},
		{ what: "the lease is gone" },
	);
	await letThink();
	await assertWhole();
	assert.deepEqual(problems(), []);
});

test("a voice overtakes at the next step, and the dream finishes later", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	const voice = await Session.open(daemon, "Node voice");
	try {
		voice.send({ type: "acquire", ref: 1, class: "voice", timeout_s: null });
		await page.getByText("Asked to give way to Node voice").first().waitFor();
		await letThink();
		await voice.heard("granted");
		const before = (await kept()).thoughts.length;
		assert.ok(before < NOTES.length, "the dream was over before the voice came");
		await page.getByText("Asked to give way to Node voice").first().waitFor();
		const { leases } = await daemon.status();
		assert.deepEqual(
			leases.filter((each) => each.slots > 0).map((each) => each.id),
			["Node voice"],
		);
		assert.equal((await kept()).thoughts.length, before, "it dreamt without the GPU");
		const { lease } = await voice.heard("granted");
		voice.send({ type: "release", lease });
		await assertWhole();
	} finally {
		voice.close();
	}
	assert.deepEqual(problems(), []);
});

test("a reload in the middle goes on by itself", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	await page.locator(".stream-text").waitFor();
	await letThink();
	await page.reload();
	await page.locator("#count-memories").waitFor();
	await assertWhole();
	await page.reload();
	await page.locator("#count-memories").waitFor();
	await assertWhole();
	assert.deepEqual(problems(), []);
});

test("of two tabs one dreams; the other goes on when that one is closed", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	const second = await browser.page();
	await open(second); // it was awake: this tab wakes, too
	await untilPhase("elsewhere", second);
	await page.close();
	await assertWhole(second);
	assert.deepEqual(problems(second), []);
});

test("sleep ends after the running step, waking goes on, reset removes thoughts", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	await page.getByRole("button", { name: "Sleep" }).click();
	await page.getByText("Falling asleep after this step").first().waitFor();
	await letThink();
	await untilPhase("asleep");
	const { thoughts } = await kept();
	assert.equal(thoughts.length, 2);
	assert.ok(!(await daemon.status()).leases.some((lease) => lease.slots > 0));
	await page.reload();
	await page.locator("#count-memories").waitFor();
	assert.equal(await phase(), "asleep");
	await wake();
	await assertWhole();
	await page.getByRole("button", { name: "Reset" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Remove thoughts" }).click();
	await untilPhase("asleep");
	await until(async () => (await shown()) === 0, { what: "the thoughts are gone" });
	assert.equal((await kept()).notes.length, NOTES.length);
	assert.deepEqual(problems(), []);
});

test("a reset in the middle of a step keeps nothing of it", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	await page.getByRole("button", { name: "Reset" }).click();
	await page.getByRole("dialog").getByRole("button", { name: "Remove thoughts" }).click();
	await untilPhase("asleep");
	await until(async () => (await shown()) === 0, { what: "the thoughts are gone" });
	assert.deepEqual((await kept()).thoughts, []);
	await letThink();
	await wake();
	await assertWhole();
});

test("the broker is killed and started again: the dream goes on", async () => {
	await holdThoughts(1);
	await open();
	await wake();
	await untilThoughts(1);
	await daemon.restart();
	await letThink();
	await assertWhole();
});

test("a missing model is said, and waking again goes on", async () => {
	await page.route("**/models/tiny-lm/**", (route) => route.fulfill({ status: 404 }));
	await open();
	await wake();
	const banner = page.locator("#frame-alerts .error-banner");
	await banner.waitFor({ timeout: DREAM_MS });
	await untilText(banner, /missing/);
	await untilPhase("asleep");
	await page.unroute("**/models/tiny-lm/**");
	await banner.getByRole("button", { name: "Try again" }).click();
	await assertWhole();
});

test("the user chooses when it wakes by itself", async () => {
	await open();
	await page.getByLabel("Wakes").selectOption("open");
	await untilThoughts(1);
	await page.reload();
	await page.locator("#count-memories").waitFor();
	await assertWhole();
	assert.equal(await page.getByLabel("Wakes").inputValue(), "open");
});

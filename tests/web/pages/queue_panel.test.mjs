// @ts-check
// Proves that the panel of Console, Mic and Dreamer says where the page is in the queue, who holds,
// for about how long and why, that it follows within a second, and that "Force unlock" names its
// victim, takes its lease and tells it why. It uses the panel and the SDK, no page's engine.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { bestOf } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const FOLLOWS_MS = 1500; // a second, and what drawing takes on a busy machine

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("../lib/browser.mjs").TestPage} */
let page;
/** @type {import("../lib/session.mjs").Session} */
let holder;
/** @type {import("../lib/session.mjs").Session} */
let second;

before(async () => {
	daemon = await startDaemon({ config: { timing: { lock_delay_s: 5, ack_s: 10 } } });
	browser = await openBrowser();
	page = await browser.signedInPage(daemon, "/logs");
	await page.evaluate(async () => {
		/** @type {(path: string) => Promise<any>} */
		const load = (path) => import(path);
		const { Broker } = await load("/sdk/index.js");
		const { queuePanel } = await load("/ui/queue_panel.js");
		const place = document.createElement("div");
		place.id = "panel";
		document.body.prepend(place);
		const broker = new Broker({ name: "Panel page" });
		Object.assign(globalThis, { broker, panel: queuePanel(place, broker) });
		await broker.ready();
	});
	holder = await connect(daemon, "<b>Mallory</b>");
	second = await connect(daemon, "second");
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** @param {RegExp} pattern */
async function says(pattern) {
	await until(async () => pattern.test(await page.locator("#panel").innerText()), {
		what: `the panel says ${pattern}`,
	});
}

/** In how many ms it says that. @param {RegExp} pattern */
async function saysAfter(pattern) {
	const since = performance.now();
	await says(pattern);
	return performance.now() - since;
}

/** @param {import("../lib/session.mjs").Session} session @param {object} [fields] */
async function hold(session, fields = {}) {
	const from = session.messages.length;
	session.send({ type: "acquire", ref: from + 1, timeout_s: null, ...fields });
	const { lease } = await session.hear("offered", from);
	await session.ask({ type: "accept", lease }, "granted");
	return lease;
}

test("says that nobody uses the GPU, and whoever does", async () => {
	await says(/Nobody uses the GPU/);
	const unlock = page.locator("button", { hasText: "Force unlock…" });
	assert.equal(await unlock.isVisible(), false, "an operator's act is out of the way");
	assert.equal(await unlock.isDisabled(), true);
	await hold(holder, { class: "chat", preemptible: false });
	await says(/not waiting[^]*<b>Mallory<\/b> holds rtx, class chat/);
	assert.equal(await page.locator("#panel bdi b").count(), 0);
});

test("who was offered the GPU and has not taken it up holds nothing", async () => {
	const other = await startDaemon({ config: { timing: { ack_s: 30 } } });
	const session = await connect(other, "slow");
	const own = await openBrowser();
	const console = await own.signedInPage(other, "/console");
	await console.locator(".queue-panel .state-idle").waitFor();
	session.send({ type: "acquire", ref: 1, timeout_s: null });
	const { lease } = await session.hear("offered");
	const said = console.locator(".queue-panel .say");
	await until(async () => (await said.innerText()) === "rtx is offered to slow, class normal.", {
		what: "the panel says that it is offered",
	});
	await session.ask({ type: "accept", lease }, "granted");
	await until(async () => /^slow holds rtx, class normal, for /.test(await said.innerText()), {
		what: "the panel says that it holds",
	});
	session.close();
	await own.close();
	await other.stop();
});

test("says which place, after whom, for about how long, and why", async () => {
	await second.ask({ type: "acquire", ref: 1, class: "chat", timeout_s: null }, "queued");
	await page.evaluate(() => {
		const { broker } = /** @type {any} */ (globalThis);
		Object.assign(globalThis, { turn: broker.request({ class: "background" }) });
	});
	await says(/2nd in the queue(, in about [^:]*)?: <b>Mallory<\/b> holds rtx/);
	await second.ask({ type: "cancel", ref: 1 }, "released");
	await says(/Next(, in about [^:]*)?: <b>Mallory<\/b> holds rtx/);
	await sameSentence();
});

/** The panel's sentence is the broker's, to the word; the time in it may go on between the two. */
async function sameSentence() {
	const words = (/** @type {string} */ text) => text.replace(/[\d.]+ (s|min)/g, "#");
	await until(
		async () => {
			const { waiting } = await daemon.status();
			const said = await page.locator("#panel .say").innerText();
			return words(said) === words(waiting[0].sentence);
		},
		{ what: "the panel says the broker's sentence" },
	);
}

test("keeps what is known beyond the sentence behind a mark", async () => {
	const panel = page.locator("#panel");
	assert.doesNotMatch(await panel.innerText(), /[Gg]uarantee|9 of 10|Waiting for/);
	await panel.getByText("Details").click();
	await says(/Waiting for [^]*(Nothing is known yet of such waits|About [^]*9 of 10)/);
	await says(/Guaranteed by \d|Nothing is guaranteed/);
	await panel.getByText("Details").click();
});

test("force unlock names the victim, wants a reason and takes the lease", async () => {
	await page.locator("#panel").getByText("Operate…").click();
	await page.getByRole("button", { name: "Force unlock…" }).click();
	await page.locator("dialog .victim").getByText("<b>Mallory</b>").waitFor();
	await page.locator("dialog input[name=reason]").fill("it hangs");
	await page.locator("dialog button[type=submit]").click();
	const { detail, lease } = await holder.hear("revoked");
	assert.equal(detail, "it hangs");
	holder.send({ type: "release", lease });
	await says(/holding[^]*You hold rtx/);
	await page.evaluate(async () => {
		await (await /** @type {any} */ (globalThis).turn).release();
	});
	await says(/Nobody uses the GPU/);
});

test("says when it was asked to give way", async () => {
	await page.evaluate(async () => {
		const { broker } = /** @type {any} */ (globalThis);
		Object.assign(globalThis, { lease: await broker.request({ graceMs: 15000 }) });
	});
	const { leases } = await daemon.status();
	await daemon.http("POST", `/v1/gpu/leases/${leases[0].lease}/yield`, { reason: "please" });
	await says(/asked to give way[^]*\d s left/);
	await page.evaluate(() => /** @type {any} */ (globalThis).lease.release());
	await says(/Nobody uses the GPU/);
});

test("says who was told to stop and has not confirmed it, and since when it had the GPU", async () => {
	const lease = await hold(holder, { class: "chat", preemptible: false });
	await says(/<b>Mallory<\/b> holds rtx, class chat, for [\d.]+ s now/);
	await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "it hangs" });
	await says(/<b>Mallory<\/b> got rtx [\d.]+ s ago, class chat, and is overdue\./);
	await says(/Nobody uses the GPU/); // the lock-delay is over
});

/** All that is shown follows; a machine that stalls spoils a round. */
test("follows within a second who holds, the page's place, and a wish for the GPU", async () => {
	const ms = await bestOf(FOLLOWS_MS, async () => {
		const lease = await hold(holder, { class: "chat", preemptible: false });
		const took = [await saysAfter(/<b>Mallory<\/b> holds rtx/)];
		await page.evaluate(() => {
			const { broker } = /** @type {any} */ (globalThis);
			Object.assign(globalThis, { turn: broker.request({ graceMs: 15000 }) });
		});
		took.push(await saysAfter(/Next(, in about [^:]*)?: <b>Mallory<\/b> holds rtx/));
		await holder.ask({ type: "release", lease }, "released");
		await page.evaluate(() => /** @type {any} */ (globalThis).turn);
		const [own] = (await daemon.status()).leases;
		await daemon.http("POST", `/v1/gpu/leases/${own.lease}/yield`, { reason: "please" });
		took.push(await saysAfter(/asked to give way[^]*\d s left/));
		await page.evaluate(async () => {
			await (await /** @type {any} */ (globalThis).turn).release();
		});
		await says(/Nobody uses the GPU/);
		return Math.max(...took);
	});
	assert.ok(ms <= FOLLOWS_MS, `after ${ms} ms`);
});

test("Debug GPU shows browser and broker as text", async () => {
	await page.getByRole("button", { name: "Debug GPU" }).click();
	const report = page.locator("dialog pre.report");
	await report.waitFor();
	const text = await report.innerText();
	assert.match(text, /WebGPU/);
	assert.match(text, /Broker: open[^]*"queue_depth": 0/);
	await page.getByRole("button", { name: "Close" }).click();
	await page.locator("dialog").waitFor({ state: "detached" });
});

test("says that the broker is away, and comes back", async () => {
	await daemon.kill();
	await says(/reconnecting|not connected/);
	await daemon.restart();
	await says(/Nobody uses the GPU/);
});

test("a session that opens clears what it makes out of date, and a full storage stays said", async () => {
	for (const [error, stays] of [
		[{ message: "The notes find no room." }, true],
		[{ message: "No broker answers.", code: "UNREACHABLE" }, false],
	]) {
		await page.evaluate(async (said) => {
			const frame = "/ui/frame.js"; // a name that the type checker does not follow
			const { broker } = /** @type {any} */ (globalThis);
			const { showError } = await import(frame);
			showError(Object.assign(new Error(), said));
			broker.dispatchEvent(new CustomEvent("state", { detail: { state: "open" } }));
		}, error);
		assert.equal((await page.locator("#frame-alerts .error-banner").count()) > 0, stays);
	}
});

test("a limit has two digits, rounded up, as in the broker's sentence", async () => {
	const words = await page.evaluate(async () => {
		const module = "/ui/claim_view.js"; // a name that the type checker does not follow
		const { formatLimit } = await import(module);
		return [0.2, 0.251, 0.99, 9.91, 9.95, 99.1, 100, 599, 3586, 5999, 6000.5].map(formatLimit);
	});
	assert.deepEqual(
		words.join(", "),
		"0.2 s, 0.26 s, 0.99 s, 10 s, 10 s, 100 s, 1.7 min, 10 min, 60 min, 100 min, 1.7 h",
	);
});

// @ts-check
// Proves that the dashboard shows what the broker says (holders, queue, why, events, clients), that
// its acts reach the broker with their reasons, by mouse and by keyboard, that hostile names stay
// text, and that it comes back after a restart.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { root } from "../lib/packages.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("../lib/browser.mjs").TestPage} */
let page;
/** @type {import("../lib/session.mjs").Session[]} */
let sessions = [];

/** Says goodbye for those that a failed test left behind. */
afterEach(everybodyLeaves);

before(async () => {
	daemon = await startDaemon({
		config: {
			timing: { grace_s: 20, lock_delay_s: 4, ack_s: 10 },
			classes: { background: { hold_max_s: 3590 } },
		},
	});
	browser = await openBrowser({ context: { viewport: { width: 1280, height: 900 } } });
	page = await browser.signedInPage(daemon, "/");
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** @param {string} id */
async function client(id) {
	const session = await connect(daemon, id);
	sessions.push(session);
	return session;
}

/**
 * Takes a lease; its number.
 * @param {import("../lib/session.mjs").Session} session @param {object} [fields]
 */
async function hold(session, fields = {}) {
	const from = session.messages.length;
	session.send({ type: "acquire", ref: from + 1, timeout_s: null, ...fields });
	const { lease } = await session.hear("offered", from);
	await session.ask({ type: "accept", lease }, "granted");
	return lease;
}

/**
 * Enters the queue.
 * @param {import("../lib/session.mjs").Session} session @param {object} [fields]
 */
async function wait(session, fields = {}) {
	const from = session.messages.length;
	return session.ask({ type: "acquire", ref: from + 1, timeout_s: null, ...fields }, "queued");
}

/** Everybody says goodbye, and nothing is held any more. */
async function everybodyLeaves() {
	for (const session of sessions) {
		session.send({ type: "bye" });
		session.close();
	}
	sessions = [];
	await until(
		async () => {
			const status = await daemon.status();
			return status.held === 0 && status.queue_depth === 0;
		},
		{ what: "nothing is held" },
	);
}

/** @param {string} selector */
const texts = (selector) => page.locator(selector).allInnerTexts();

/** @param {string} selector @param {RegExp} pattern */
async function shows(selector, pattern) {
	await until(async () => (await texts(selector)).some((text) => pattern.test(text)), {
		what: `${selector} shows ${pattern}`,
	});
}

/** @param {string} reason */
async function giveReason(reason) {
	await page.locator("dialog[open] input[name=reason]").fill(reason);
	await page.locator("dialog[open] button[type=submit]").click();
	await page.locator("dialog").waitFor({ state: "detached" });
}

/** Opens the menu of an operator's acts. */
async function operate() {
	if (!(await page.locator(".menu").evaluate((menu) => menu.open)))
		await page.locator(".menu > summary").click();
}

test("shows holder, queue and why, and names the state in its title", async () => {
	const mic = await client("Root-Mic");
	const console_ = await client("Root-Console");
	await hold(mic, { class: "voice", vram_mb: 900, label: "whisper-tiny" });
	await wait(console_, { class: "chat" });
	await shows(".holder", /Root-Mic[^]*holding[^]*voice[^]*whisper-tiny[^]*900 MiB/);
	await shows(".queue tbody tr", /1\s*Root-Console\s*chat[^]*Root-Mic holds rtx/);
	await shows(".next", /Root-Console\s*Next(, in about [^:]*)?: Root-Mic holds rtx/);
	const words = (/** @type {string} */ text) => text.replace(/[\d.]+ (s|min)/g, "#");
	await until(
		async () => {
			const { waiting } = await daemon.status();
			return words((await texts(".next p"))[0]) === words(waiting[0].sentence);
		},
		{ what: "it says the broker's sentence, to the word" },
	);
	await until(async () => (await page.title()).startsWith("Root-Mic holds, 1 waiting"));
	await until(async () => (await page.locator("#announce").textContent()) === "Root-Mic holds");
	await shows(".clients tbody tr", /Root-Console #\d+\s*waiting/);
	await shows(".clients tbody tr", /Dashboard #\d+[^]*this page/);
	const before = (await texts(".holder"))[0];
	await until(async () => (await texts(".holder"))[0] !== before, { what: "the age goes on" });
	await everybodyLeaves();
	await shows(".nobody", /Nobody holds the GPU/);
});

test("of one limit one time is shown, in the broker's own words", async () => {
	await hold(await client("holder"), { class: "background" });
	await wait(await client("waiter"), { class: "background" });
	const limits = async () =>
		[...(await texts(".limit")), ...(await texts(".next p"))].map(
			(text) => /must give way in ([^,]+), now/i.exec(text)?.[1],
		);
	await until(async () => (await limits()).filter(Boolean).length === 2, { what: "both say it" });
	assert.deepEqual(await limits(), ["60 min", "60 min"]);
});

test("asks a holder to give way, and revokes one that does not, with the reason", async () => {
	const dream = await client("Dreamer");
	const lease = await hold(dream, { class: "background" });
	await shows(".holder", /Dreamer/);
	await operate();
	await page.getByRole("button", { name: "Ask to give way…" }).click();
	assert.match((await texts("dialog .victim"))[0], new RegExp(`Dreamer.*lease ${lease}`));
	await giveReason("short maintenance");
	assert.equal((await dream.hear("yield")).reason, "operator");
	await shows(".holder", /asked to give way[^]*an operator asked[^]*left/);
	await page.getByRole("button", { name: "Revoke…" }).click();
	await giveReason("it does not listen");
	assert.equal((await dream.hear("revoked")).detail, "it does not listen");
	await shows(".holder", /revoked[^]*Overdue: its token is refused/);
	await until(async () => (await page.title()).startsWith("Dreamer is overdue"));
	await shows(".nobody", /Nobody holds/); // the lock-delay is over
	await shows(".events tbody tr", /revoked\s*Dreamer/);
});

test("a dialog that is left does nothing, and one without a reason is not taken", async () => {
	const trainer = await client("trainer");
	await hold(trainer);
	await shows(".holder", /trainer/);
	await operate();
	await page.getByRole("button", { name: "Revoke…" }).click();
	await page.locator("dialog[open] button[type=submit]").click();
	assert.equal(await page.locator("dialog[open]").count(), 1);
	await page.locator("dialog[open] input").fill("   ");
	await page.locator("dialog[open] button[type=submit]").click();
	assert.equal(await page.locator("dialog[open]").count(), 1);
	await page.keyboard.press("Escape");
	await page.locator("dialog").waitFor({ state: "detached" });
	const { leases } = await daemon.status();
	assert.equal(leases.length, 1);
	assert.equal(leases[0].yield, undefined);
});

test("pauses and resumes grants by keyboard alone", async () => {
	await page.locator(".menu > summary").focus();
	if (!(await page.locator(".menu").evaluate((menu) => menu.open)))
		await page.keyboard.press("Enter");
	const button = page.getByRole("button", { name: "Pause grants…" });
	await button.focus();
	await page.keyboard.press("Enter");
	await page.keyboard.type("night shift");
	await page.keyboard.press("Enter");
	await until(async () => (await daemon.status()).paused, { what: "grants are paused" });
	await shows(".now .state", /grants are paused/);
	const late = await client("late");
	await wait(late);
	await shows(".queue tbody tr", /late[^]*An operator paused grants/);
	await shows(".events tbody tr", /paused[^]*night shift/);
	await page.getByRole("button", { name: "Resume grants…" }).focus();
	await page.keyboard.press("Enter");
	await page.keyboard.type("morning");
	await page.keyboard.press("Enter");
	await late.hear("offered");
	assert.equal((await daemon.status()).paused, false);
});

test("removes a waiter, resets, and force-releases all", async () => {
	const first = await client("first");
	const second = await client("second");
	await hold(first);
	await wait(second);
	await shows(".queue tbody tr", /second/);
	await page.locator(".queue .more summary").click();
	await page.getByRole("button", { name: "Remove…" }).click();
	await giveReason("wrong machine");
	assert.equal((await second.hear("released")).detail, "wrong machine");
	await shows(".nothing", /Nobody waits/);
	await wait(second);
	await shows(".queue tbody tr", /second/);
	await operate();
	await page.getByRole("button", { name: "Force release all…" }).click();
	assert.match((await texts("dialog .victim"))[0], /first[^]*second/);
	const from = second.messages.length;
	await giveReason("fire drill");
	assert.equal((await first.hear("revoked")).detail, "fire drill");
	assert.equal((await second.hear("released", from)).reason, "force-released");
	await shows(".nothing", /Nobody waits/);
	await everybodyLeaves();
	const third = await client("third");
	await hold(third);
	await shows(".holder", /third/);
	await page.getByRole("button", { name: "Reset…" }).click();
	await giveReason("stuck driver");
	assert.equal((await third.hear("revoked")).detail, "stuck driver");
});

test("drains: pauses, shows what is still held, and says when nothing is", async () => {
	const worker = await client("worker");
	const lease = await hold(worker);
	await shows(".holder", /worker/);
	await operate();
	await page.getByRole("button", { name: "Drain…" }).click();
	await giveReason("driver update");
	await shows(".drain", /Draining: 1 of 1 still held/);
	assert.equal((await daemon.status()).paused, true);
	await page.getByRole("button", { name: "Ask all to give way" }).click();
	await worker.hear("yield");
	await worker.ask({ type: "release", lease }, "released");
	await shows(".drain", /Drained: nothing is held/);
	await page.locator(".drain").getByRole("button", { name: "Resume grants…" }).click();
	await giveReason("done");
	await until(async () => !(await daemon.status()).paused);
	await page.locator(".drain").waitFor({ state: "detached" });
});

test("shows hostile names as text and keeps its layout", async () => {
	const names = [
		"<script>globalThis.hit=1</script><img src=x onerror=globalThis.hit=1>",
		"\u05d0\u05d1\u05d2 ) (left-to-right",
		"W".repeat(128),
	];
	for (const name of names) await wait(await client(name));
	for (const name of names) {
		await until(async () => (await page.locator("bdi").allTextContents()).includes(name), {
			what: `the name ${name} as text`,
		});
	}
	assert.equal(await page.evaluate(() => "hit" in globalThis), false);
	for (const width of [1280, 390]) {
		await page.setViewportSize({ width, height: 900 });
		await until(() => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), {
			what: `${width} px hold it`,
		});
	}
	await page.setViewportSize({ width: 1280, height: 900 });
});

test("the timeline's table and bands tell the same as the events", async () => {
	const runner = await client("runner");
	const lease = await hold(runner, { class: "normal" });
	await runner.ask({ type: "release", lease }, "released");
	const events = await until(
		async () => {
			const found = (await told(runner)).filter((event) => event.lease === lease);
			return found.at(-1)?.what === "ended" ? found : null;
		},
		{ what: "the events of the lease" },
	);
	await page.locator(".tl-details summary").click();
	const rows = page.locator(".tl-table tbody tr").filter({ hasText: "runner" });
	await until(async () => (await rows.count()) === 3, { what: "three states of runner" });
	const states = (await rows.locator(".state").allInnerTexts()).reverse();
	assert.deepEqual(states, ["waiting", "offered", "holding"]);
	const ids = new Set(
		(await rows.evaluateAll((all) => all.map((row) => row.getAttribute("data-events"))))
			.join(" ")
			.split(" ")
			.map(Number),
	);
	assert.deepEqual(
		[...ids].sort((a, b) => a - b),
		events.map((event) => event.id),
	);
	const bands = page.locator("[data-band]").filter({ hasText: "runner" });
	assert.equal(await bands.count(), 3);
	await page.locator("[data-band][tabindex='0']").focus();
	await until(
		async () => {
			const label = await page.evaluate(
				() => document.activeElement?.querySelector("title")?.textContent,
			);
			if (label?.startsWith("runner: holding")) return true;
			await page.keyboard.press(label?.startsWith("runner") ? "ArrowRight" : "ArrowDown");
			return false;
		},
		{ what: "the arrow keys reach the band" },
	);
	await page.keyboard.press("Enter");
	await shows(".tl-chosen tbody tr", /held\s*runner/);
	await page.keyboard.press("Escape");
	await page.locator(".tl-chosen").waitFor({ state: "detached" });
});

/** All events that the broker remembers. @param {import("../lib/session.mjs").Session} session */
async function told(session) {
	const from = session.messages.length;
	await session.ask({ type: "events", limit: 2000 }, "ok");
	return session.messages.slice(from).filter((message) => message.type === "event");
}

test("filters events, and holds them still while paused", async () => {
	const alpha = await client("alpha");
	await hold(alpha, { class: "chat" });
	await shows(".events tbody tr", /held\s*alpha/);
	await page.getByLabel("What").selectOption("held");
	await page.getByLabel("Class").selectOption("chat");
	await page.getByLabel("Text").fill("alpha");
	await until(async () => (await page.locator(".events tbody tr").count()) === 1);
	await page.getByRole("button", { name: "Pause", exact: true }).click();
	await hold(await client("alpha two"), { class: "chat", slots: 0, vram_mb: 10 });
	await shows("button", /Paused, \d+ new/);
	assert.equal(await page.locator(".events tbody tr").count(), 1);
	await page.getByRole("button", { name: /Paused/ }).click();
	await shows(".events tbody tr", /alpha two/);
	await page.getByLabel("Text").fill("");
	await page.getByLabel("What").selectOption("");
	await page.getByLabel("Class").selectOption("");
});

test("every event of the protocol can be looked for", async () => {
	const { event_what: word } = JSON.parse(
		readFileSync(join(root, "protocol/types.json"), "utf8"),
	).$defs;
	const offered = await page.getByLabel("What").locator("option").allTextContents();
	assert.deepEqual(offered.slice(1).sort(), [...word.enum].sort());
});

test("draws VRAM over time where any was claimed, and loads what draws it only then", async () => {
	const other = await startDaemon();
	const own = await openBrowser({ context: { viewport: { width: 1280, height: 900 } } });
	try {
		const looking = await own.signedInPage(other);
		const loaded = () =>
			looking.evaluate(() =>
				performance
					.getEntriesByType("resource")
					.some((entry) => entry.name.endsWith("/vendor/uplot.js")),
			);
		await looking.getByText("Nobody asked for a GPU in the last hour.").waitFor();
		await looking.locator(".what-started").waitFor();
		assert.equal(await looking.locator("#vram-card").isVisible(), false);
		const session = await connect(other, "claimer");
		await hold(session, { vram_mb: 4096 });
		await looking.locator("#vram-card").scrollIntoViewIfNeeded();
		await looking.locator("#vram-charts canvas").waitFor();
		assert.equal(await loaded(), true);
		assert.doesNotMatch(await looking.locator("#vram-card").innerText(), /Measured/);
		session.close();
	} finally {
		await own.close();
		await other.stop();
	}
});

test("says that it reconnects, and comes back by itself after a restart", async () => {
	page.problems.length = 0;
	await daemon.kill();
	await shows("#frame-connection", /Reconnecting/);
	await shows(".notice", /The broker does not answer now/);
	await operate();
	assert.equal(await page.getByRole("button", { name: "Pause grants…" }).isDisabled(), true);
	await daemon.restart();
	await shows("#frame-connection", /Connected/);
	const back = await client("back again");
	await hold(back);
	await shows(".holder", /back again/);
	// What was asked of the broker while it was away the browser notes by itself.
	const refused = /WebSocket|ERR_CONNECTION_(REFUSED|RESET|CLOSED)|ERR_EMPTY_RESPONSE/;
	assert.deepEqual(
		page.problems.filter((text) => !refused.test(text)),
		[],
	);
});

test("says why nothing is granted after the journal was lost, and for how long", async () => {
	const own = await openBrowser(); // its cookies are not the others'
	const other = await startDaemon({ config: { timing: { session_ttl_s: 60 } } });
	try {
		const holder = await connect(other, "holder");
		await hold(holder);
		await other.kill();
		for (const name of readdirSync(other.state).filter((name) => name.startsWith("journal")))
			rmSync(join(other.state, name));
		await other.restart();
		const looking = await own.signedInPage(other);
		await looking.getByText(/Nothing is granted now[^]*left\./).waitFor();
		assert.equal((await other.status()).grants.reason, "in_doubt");
	} finally {
		await own.close();
		await other.stop();
	}
});

test("in observe mode it says that nobody is protected", async () => {
	const own = await openBrowser(); // its cookies are not the others'
	const other = await startDaemon({ config: { mode: "observe" } });
	try {
		const looking = await own.signedInPage(other);
		await looking.getByText(/nobody is protected/).waitFor();
	} finally {
		await own.close();
		await other.stop();
	}
});

test("without admin rights it shows all and lets nobody act", async () => {
	const guest = await browser.page();
	await guest.routeWebSocket(/session/, (route) => {
		const server = route.connectToServer();
		server.onMessage((message) => {
			route.send(String(message).replace('"rights":"admin"', '"rights":"token"'));
		});
	});
	await guest.goto(daemon.base);
	await guest.getByText("Needs admin rights.").waitFor();
	const acts = guest.locator(".acts button");
	await until(async () => (await acts.count()) === 4, { what: "the acts are shown" });
	for (const act of await acts.all()) assert.equal(await act.isDisabled(), true);
	await guest.close();
});

test("says what to do when the sign-in is lost", async () => {
	await page.evaluate(() => localStorage.removeItem("baton-key"));
	await daemon.restart();
	await shows("#frame-connection", /Signed out/);
	await shows("[role=alert] .error-banner", /Run “baton open”/);
	await until(async () => (await page.title()).startsWith("Signed out"));
});

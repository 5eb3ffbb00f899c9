// @ts-check
// Proves how the pages look where much or nothing is going on, on a phone, without a keyboard, and
// in forced colours: nothing is cut or to be scrolled to the side, nothing is told by colour alone,
// what few need is out of the way, and what knows nothing takes no room.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

const WAITERS = 300;
const SHOWN = 20;
const LONG = "W".repeat(128);
/** Pixels of a band, however short it was. */
const LEAST_BAND = 3;
const DESK = { width: 1280, height: 900 };

/** @typedef {import("../lib/browser.mjs").TestPage} Page */

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/session.mjs").Session[]} */
const sessions = [];
/** @type {import("../lib/browser.mjs").PageBrowser[]} */
const browsers = [];

before(async () => {
	daemon = await startDaemon({ config: { classes: { chat: { hold_max_s: 3600 } } } });
});

afterEach(async () => {
	for (const browser of browsers.splice(0)) await browser.close();
});

after(async () => {
	for (const session of sessions) session.close();
	await daemon?.stop();
});

/** @param {import("playwright-core").BrowserContextOptions} context @param {string} [path] */
async function look(context, path = "/") {
	const browser = await openBrowser({ context: { reducedMotion: "reduce", ...context } });
	browsers.push(browser);
	const page = await browser.signedInPage(daemon, path);
	await page.locator("#frame-connection.state-open").waitFor();
	return page;
}

/** @param {string} id @param {object} [fields] */
async function client(id, fields = {}) {
	const session = await connect(daemon, id);
	sessions.push(session);
	session.send({ type: "acquire", ref: 1, timeout_s: null, ...fields });
	return session;
}

/** @param {import("../lib/session.mjs").Session} session */
async function holds(session) {
	const { lease } = await session.hear("offered");
	await session.ask({ type: "accept", lease }, "granted");
}

/** Names of what reaches beyond its page, or must be scrolled to the side. @param {Page} page */
const tooWide = (page) =>
	page.evaluate(() =>
		[
			document.documentElement,
			...document.querySelectorAll(
				"nav, main, .card, .table-box, .table-scroll, .messages, .log-card",
			),
		]
			.filter((element) => element.scrollWidth > element.clientWidth + 1)
			.map((element) => `${element.tagName} ${element.className}`),
	);

test("a dashboard that knows nothing takes no room for it", async () => {
	const page = await look({ viewport: DESK });
	await page.getByText("Nobody waits.").waitFor();
	await page.locator(".what-started").waitFor();
	assert.equal(await page.locator("#vram-card").isVisible(), false);
	for (const title of ["Queue", "Timeline"]) {
		const box = await page
			.locator(".card", { has: page.locator(`h2:text-is("${title}")`) })
			.boundingBox();
		assert.ok(box && box.height < 70, `${title}: ${box?.height} px`);
	}
	assert.equal(await page.locator(".tl-legend").count(), 0);
	assert.equal(await page.getByText(/1 of 1 ready|not measured/).count(), 0);
});

test("connections are hidden among the events until they are wanted", async () => {
	const polite = await connect(daemon, "polite");
	polite.send({ type: "bye" });
	const page = await look({ viewport: DESK });
	await page.locator(".what-started").waitFor();
	const events = page.locator(".events tbody tr");
	assert.equal(await events.filter({ hasText: "polite" }).count(), 0);
	await page.getByLabel("Connections").check();
	await until(
		async () =>
			(await events.filter({ hasText: "polite" }).allInnerTexts()).some((text) =>
				/\bbye\b/.test(text),
			),
		{ what: "the goodbye is among the events" },
	);
	const other = await look({ viewport: DESK }); // a page that is left says goodbye, too
	await other.goto("about:blank");
	await until(
		async () =>
			(await events.filter({ hasText: "Dashboard" }).allInnerTexts()).some((text) =>
				/\bbye\b/.test(text),
			),
		{ what: "the goodbye of the page" },
	);
	await page.getByLabel("Connections").uncheck();
	assert.equal(await events.filter({ hasText: "polite" }).count(), 0);
	await page.getByLabel("What").selectOption("attached");
	await events.filter({ hasText: "polite" }).first().waitFor();
});

test("the timeline zooms to its data, and its legend names what occurs", async () => {
	await holds(await client("train.py", { class: "chat", vram_mb: 9000, preemptible: false }));
	const page = await look({ viewport: DESK });
	const band = page.locator(".band-holding rect");
	await band.waitFor();
	const shown = async () => (await page.locator(".tl-axis text").first().textContent()) ?? "";
	const auto = await shown();
	const width = async () => (await band.boundingBox())?.width ?? 0;
	await page.getByRole("button", { name: "10 min" }).click();
	await until(async () => (await width()) > LEAST_BAND + 1, { what: "it is as wide as long" });
	const wide = await width();
	await page.getByRole("button", { name: "1 min" }).click();
	const near = await width();
	assert.ok(near > 4 * wide, `${near} px in a minute, ${wide} in ten`);
	await page.getByRole("button", { name: "Auto" }).click();
	const own = await width();
	assert.ok(own > 2 * wide, `${own} px, ${wide} in ten minutes`);
	assert.notEqual(auto, "");
	const legend = (await page.locator(".tl-legend .state").allInnerTexts()).sort();
	const bands = await page
		.locator(".band")
		.evaluateAll((all) => [
			...new Set(all.map((one) => /band-(\w+)/.exec(one.getAttribute("class") ?? "")?.[1])),
		]);
	assert.equal(legend.length, bands.length);
	assert.ok(legend.length < 7, legend.join());
});

test("an operator's acts are in one menu, below the answer", async () => {
	const page = await look({ viewport: DESK });
	await page.locator(".holder").waitFor();
	const answer = await page.locator(".now-grid").boundingBox();
	const menu = await page.locator(".menu").boundingBox();
	assert.ok(answer && menu && menu.y >= answer.y + answer.height, "the menu is below");
	const acts = page.locator(".now button");
	assert.equal(await acts.filter({ visible: true }).count(), 0);
	await page.getByText("Operate…").click();
	const names = await acts.filter({ visible: true }).allInnerTexts();
	assert.deepEqual(names, [
		"Ask to give way…",
		"Revoke…",
		"Pause grants…",
		"Drain…",
		"Reset…",
		"Force release all…",
	]);
});

test("of many who wait a few are shown, and the others on demand", async () => {
	await client(LONG, { class: "normal", label: "L".repeat(64) });
	for (let i = 1; i < WAITERS; i++) await client(`worker ${i}`, { class: "background" });
	await until(async () => (await daemon.status()).queue_depth === WAITERS, {
		what: "all wait",
		ms: 30000,
	});
	const page = await look({ viewport: DESK });
	const rows = page.locator(".queue tbody tr");
	await until(async () => (await rows.count()) === SHOWN, { what: "a few are shown" });
	const tall = await page.evaluate(() => document.documentElement.scrollHeight);
	assert.ok(tall < 6000, `${tall} px`);
	await page
		.locator(".queue ~ .empty")
		.getByRole("button", { name: `Show ${WAITERS - SHOWN} more` })
		.click();
	await until(async () => (await rows.count()) === WAITERS, { what: "all are shown" });
	await page.getByRole("button", { name: "Show fewer" }).click();
	await until(async () => (await rows.count()) === SHOWN, { what: "a few are shown again" });
});

test("of many who have waited long one is next, and no other goes first", async () => {
	const page = await look({ viewport: DESK });
	await page.routeWebSocket(/session/, (socket) => {
		const broker = socket.connectToServer();
		broker.onMessage((text) =>
			socket.send(`${text}`.replaceAll('"ripe":false', '"ripe":true')),
		);
	});
	await page.reload();
	const rows = page.locator(".queue tbody tr");
	await until(async () => (await rows.count()) === SHOWN, { what: "a few are shown" });
	const told = await rows.locator(".why").allInnerTexts();
	assert.equal(told.filter((text) => /\bNext\b|first/.test(text)).length, 1, told.join("\n"));
	await rows.nth(1).locator("summary").click();
	await rows
		.nth(1)
		.getByText("It has waited long: who asks from now on stands behind it")
		.waitFor();
});

test("the chart has its room before it comes", async () => {
	const page = await look({ viewport: DESK });
	const height = () => page.locator("#vram-charts").evaluate((place) => place.clientHeight);
	await page.locator(".queue").waitFor();
	await until(async () => (await height()) > 0, { what: "there is room" });
	const before = await height();
	await page.locator("#vram-card").scrollIntoViewIfNeeded();
	await page.locator("#vram-charts .uplot").waitFor();
	assert.ok(Math.abs((await height()) - before) < 30, `${before} px, then ${await height()}`);
});

test("who computes stands first in the timeline, however many wait", async () => {
	const page = await look({ viewport: DESK });
	await until(
		async () => (await page.locator(".tl-name bdi").allInnerTexts())[0] === "train.py",
		{ what: "the holder's row is the first" },
	);
});

test("a long name takes two lines, and all of it is seen where it has the focus", async () => {
	const page = await look({ viewport: DESK });
	const name = page.locator(".queue tbody th bdi").first();
	await name.waitFor();
	assert.equal(await name.textContent(), LONG);
	const height = async () => (await name.boundingBox())?.height ?? 0;
	const line = await name.evaluate((element) => parseFloat(getComputedStyle(element).lineHeight));
	assert.ok((await height()) <= 2.2 * line, `${await height()} px of ${line} a line`);
	assert.ok(await name.evaluate((element) => element.scrollHeight > element.clientHeight + 4));
	await name.focus();
	assert.ok((await height()) > 2.5 * line, `${await height()} px with the focus`);
	const { sentence } = (await daemon.status()).waiting[1];
	assert.ok(sentence.length < 200, sentence);
});

for (const width of [390, 320]) {
	test(`at ${width} px nothing is cut or scrolled to the side`, async () => {
		const phone = { viewport: { width, height: 740 }, isMobile: true, hasTouch: true };
		const page = await look(phone);
		await page.locator(".events tbody tr").first().waitFor();
		await page.locator(".tl-details summary").click();
		await page.locator(".tl-table tbody tr").first().waitFor();
		assert.deepEqual(await tooWide(page), []);
		for (const cell of await page.locator(".events tbody .wide").all()) {
			const box = await cell.boundingBox();
			assert.ok(box && box.x >= 0 && box.x + box.width <= width, "a detail is cut");
		}
		for (const path of ["/console", "/mic", "/dreamer", "/models", "/logs"]) {
			await page.goto(daemon.base + path);
			await page.locator("#frame-connection.state-open").waitFor();
			assert.deepEqual(await tooWide(page), [], path);
			for (const tab of await page.locator(".frame-nav a").all()) {
				const box = await tab.boundingBox();
				assert.ok(box && box.x >= 0 && box.x + box.width <= width, `${path}: a tab is cut`);
			}
		}
	});
}

test("nothing is said of keys where there are none", async () => {
	for (const [path, words] of [
		["/console", /Enter sends|Esc/],
		["/mic", /Space|Esc/],
	]) {
		const phone = await look(
			{ viewport: { width: 390, height: 740 }, isMobile: true, hasTouch: true },
			String(path),
		);
		const desk = await look({ viewport: DESK }, String(path));
		await desk
			.locator("main")
			.getByText(/** @type {RegExp} */ (words))
			.first()
			.waitFor();
		await phone.locator("#queue .state").waitFor();
		assert.doesNotMatch(await phone.locator("main").innerText(), /** @type {RegExp} */ (words));
	}
});

test("forced colours: the current page, the chosen time and who takes VRAM are told", async () => {
	await holds(await client("a model", { slots: 0, vram_mb: 2000, class: "chat" }));
	const page = await look({ viewport: DESK, forcedColors: "active" });
	await until(async () => (await page.locator(".legend li").count()) === 2, {
		what: "two take VRAM",
	});
	const ground = (/** @type {string} */ selector) =>
		page
			.locator(selector)
			.first()
			.evaluate((element) => getComputedStyle(element).backgroundColor);
	assert.notEqual(
		await ground(".frame-nav a[aria-current]"),
		await ground(".frame-nav a:not([aria-current])"),
	);
	assert.notEqual(
		await ground(".segmented [aria-pressed=true]"),
		await ground(".segmented [aria-pressed=false]"),
	);
	const fills = await page
		.locator(".swatch rect")
		.evaluateAll((all) => all.map((one) => one.getAttribute("fill")));
	assert.equal(new Set(fills).size, 2);
	const bars = await page
		.locator(".vram-bar rect")
		.evaluateAll((all) => all.map((one) => one.getAttribute("fill")));
	assert.deepEqual(bars, fills);
	for (const fill of fills) {
		const id = /#([\w-]+)/.exec(fill ?? "")?.[1];
		assert.equal(await page.locator(`pattern#${id} path`).count(), 1, "a texture");
	}
});

test("forced colours take the ground away: each button has a border", async () => {
	const page = await look({ viewport: DESK, forcedColors: "active" });
	const bare = [];
	for (const path of ["/", "/console", "/mic", "/dreamer", "/models", "/logs"]) {
		await page.goto(daemon.base + path);
		await page.locator("#frame-connection.state-open").waitFor();
		bare.push(
			...(await page.locator("button:visible").evaluateAll((all) =>
				all
					.map((one) => one.closest(".segmented") ?? one) // those of a group share one
					.filter((one) => parseFloat(getComputedStyle(one).borderTopWidth) < 1)
					.map((one) => `${location.pathname}: ${one.textContent} ${one.className}`),
			)),
		);
	}
	assert.deepEqual(bare, []);
});

test("forced colours take shadows away: the field that has the focus is told", async () => {
	const page = await look({ viewport: DESK, forcedColors: "active" });
	const untold = [];
	for (const path of ["/", "/console", "/mic", "/dreamer", "/models", "/logs"]) {
		await page.goto(daemon.base + path);
		await page.locator("#frame-connection.state-open").waitFor();
		untold.push(
			...(await page
				.locator("textarea:visible, input:visible, select:visible")
				.evaluateAll((all) =>
					all
						.filter((one) => {
							/** @type {HTMLElement} */ (one).focus({ focusVisible: true });
							return ![one, one.parentElement].some(
								(it) => it && getComputedStyle(it).outlineStyle !== "none",
							);
						})
						.map((one) => `${location.pathname}: ${one.id} ${one.tagName}`),
				)),
		);
	}
	assert.deepEqual(untold, []);
});

test("on the narrowest phone no choice is cut", async () => {
	const page = await look({ viewport: { width: 320, height: 700 } });
	const cut = [];
	for (const path of ["/", "/console", "/mic", "/dreamer", "/models", "/logs"]) {
		await page.goto(daemon.base + path);
		await page.locator("#frame-connection.state-open").waitFor();
		cut.push(
			...(await page.locator("select:visible").evaluateAll((all) =>
				all
					.map((one) => {
						const { width } = one.getBoundingClientRect();
						const copy = one.cloneNode(true);
						copy.style.cssText =
							"position: absolute; width: auto; max-width: none; flex: none";
						copy.selectedIndex = one.selectedIndex;
						copy.replaceChildren(one.options[one.selectedIndex].cloneNode(true));
						one.after(copy);
						const wants = copy.getBoundingClientRect().width;
						copy.remove();
						return (
							wants > width + 1
							&& `${location.pathname}: ${one.value} ${wants} ${width}`
						);
					})
					.filter(Boolean),
			)),
		);
	}
	assert.deepEqual(cut, []);
});

/** Runs in the page: what is lower or narrower than a finger needs. A field has its label; the bars
 * of the timeline have the table below them. */
function tooSmall() {
	const NEEDED = 24;
	const all = document.querySelectorAll("a, button, input, select, textarea, summary");
	return [...all]
		.filter((one) => one.checkVisibility({ visibilityProperty: true }))
		.map((one) => {
			const [label] = /** @type {HTMLInputElement} */ (one).labels ?? [];
			const { width, height, left, right } = (label ?? one).getBoundingClientRect();
			const fits = width >= NEEDED && height >= NEEDED && left >= 0 && right <= innerWidth;
			const { clipPath } = getComputedStyle(one);
			return fits || clipPath !== "none"
				? ""
				: `${location.pathname}: ${one.outerHTML.slice(0, 60)} ${width} x ${height}`;
		})
		.filter(Boolean);
}

test("on the narrowest phone a finger hits what it means, and no title is cut", async () => {
	for (const id of ["one who waits", "another"]) await client(id, { class: "normal" });
	const page = await look({ viewport: { width: 320, height: 700 } });
	const small = [];
	for (const path of ["/", "/console", "/mic", "/dreamer", "/models", "/logs"]) {
		await page.goto(daemon.base + path);
		await page.locator("#frame-connection.state-open").waitFor();
		if (path === "/") await page.locator(".queue summary").first().waitFor();
		small.push(...(await page.evaluate(tooSmall)));
		const cut = await page
			.locator("h1:not(.visually-hidden)")
			.evaluateAll((titles) =>
				titles
					.filter((one) => one.scrollWidth > one.clientWidth)
					.map((one) => one.textContent),
			);
		assert.deepEqual(cut, [], path);
	}
	assert.deepEqual(small, []);
});

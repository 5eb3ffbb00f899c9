#!/usr/bin/env node
// Makes the pictures of docs/browser.md from the real pages: a daemon with a fake GPU, clients that
// queue, the pages with their demo models at work. Needs what the browser tests need. With --all
// every page instead, in each look and size, while nobody waits, one and 300: to be looked at.
// Usage: tools/dev/screenshots.mjs [--all] [FOLDER]; BATON_BIN names the daemon (build/baton).
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser } from "../../tests/web/lib/browser.mjs";
import { startDaemon } from "../../tests/web/lib/daemon.mjs";
import { root } from "../../tests/web/lib/packages.mjs";
import { connect } from "../../tests/web/lib/session.mjs";
import { until } from "../../tests/web/lib/until.mjs";

const all = process.argv.includes("--all");
const folder = process.argv.slice(2).find((arg) => arg !== "--all") || join(root, "docs/pictures");
const DESK = { width: 1180, height: 800 };
const PHONE = { width: 390, height: 844 };
const NARROW = { width: 320, height: 700 };

async function open(daemon, path, { dark = false, size = DESK } = {}) {
	const browser = await openBrowser({
		context: {
			colorScheme: dark ? "dark" : "light",
			viewport: size,
			deviceScaleFactor: 1,
			reducedMotion: "reduce",
		},
	});
	return { browser, page: await browser.signedInPage(daemon, path) };
}

async function shoot({ browser, page }, name) {
	await page.screenshot({ path: join(folder, `${name}.png`) });
	process.stdout.write(`${name}.png\n`);
	await browser.close();
}

/** A client that asks for the GPU; resolves when it is in the queue, and answers offers. */
async function client(daemon, id, acquire) {
	const session = await connect(daemon, id);
	let accepted = 0;
	session.socket.on("message", (data) => {
		const message = JSON.parse(data);
		if (message.type === "offered") session.send({ type: "accept", lease: message.lease });
		if (message.type === "granted") accepted = message.lease;
	});
	await session.ask({ type: "acquire", ref: 1, timeout_s: null, ...acquire }, "queued");
	return {
		session,
		lease: () => accepted,
		held: () => until(() => accepted, { what: `${id} holds`, ms: 60000 }),
		release: () => session.send({ type: "release", lease: accepted }),
	};
}

/** Ten busy seconds, so that the timeline has something to show. */
async function busy(daemon) {
	const trainer = await client(daemon, "train.py", {
		class: "background",
		vram_mb: 9000,
		preemptible: false,
	});
	await trainer.held();
	const comfy = await client(daemon, "ComfyUI", {
		class: "normal",
		vram_mb: 7168,
		preemptible: false,
	});
	const started = Date.now();
	await until(() => Date.now() - started > 4000, { what: "the training ran", ms: 60000 });
	trainer.release();
	await comfy.held();
	const chat = await client(daemon, "Root-Console", { class: "chat", vram_mb: 4096 });
	const dream = await client(daemon, "Root-Dreamer", { class: "background", vram_mb: 4096 });
	await until(() => Date.now() - started > 9000, { what: "ComfyUI ran", ms: 60000 });
	return [trainer, comfy, chat, dream];
}

async function dashboards(daemon) {
	const clients = await busy(daemon);
	for (const [name, look] of [
		["dashboard-light", {}],
		["dashboard-dark", { dark: true }],
		["dashboard-phone-dark", { dark: true, size: PHONE }],
	]) {
		const shown = await open(daemon, "/", look);
		await shown.page.getByText("Root-Dreamer").first().waitFor();
		await shown.page.getByText("ComfyUI").first().waitFor();
		await shoot(shown, name);
	}
	clients.forEach(({ session }) => session.close());
	await until(async () => (await daemon.status()).held === 0, {
		what: "the clients are gone",
		ms: 30000,
	});
}

async function consoles(daemon) {
	for (const [name, look] of [
		["console-light", {}],
		["console-phone-dark", { dark: true, size: PHONE }],
	]) {
		const shown = await open(daemon, "/console", look);
		const question = shown.page.getByLabel("Your message");
		for (const [n, text] of ["Who has the GPU?", "What about the queue?"].entries()) {
			await question.fill(text);
			await question.press("Enter");
			await until(
				async () =>
					(await shown.page.locator(".message.answer").count()) > n
					&& (await shown.page.locator("[aria-busy=true]").count()) === 0,
				{ what: "an answer", ms: 60000 },
			);
		}
		await shoot(shown, name);
	}
}

async function mics(daemon) {
	const shown = await open(daemon, "/mic", { dark: true });
	await shown.page.getByRole("button", { name: "Play test tones" }).click();
	await shown.page
		.getByText("red green blue lease")
		.or(shown.page.locator("#takes").getByText("lease"))
		.first()
		.waitFor({ timeout: 60000 });
	await shoot(shown, "mic-dark");
}

async function dreamers(daemon) {
	const shown = await open(daemon, "/dreamer");
	const note = shown.page.locator("textarea").first();
	for (const text of [
		"The voice in the kitchen answers too late.",
		"A closed tab left its model loaded overnight.",
		"Try the small speech model for the voice in the kitchen.",
	]) {
		await note.fill(text);
		await shown.page.getByRole("button", { name: "Add note" }).click();
		await until(async () => (await note.inputValue()) === "", { what: "the note is kept" });
	}
	await shown.page.getByRole("button", { name: "Wake" }).click();
	const thoughts = shown.page.locator("#thoughts article, #thoughts li");
	await until(async () => (await thoughts.count()) >= 3, { what: "three thoughts", ms: 90000 });
	await shoot(shown, "dreamer-light");
}

async function logs(daemon) {
	const shown = await open(daemon, "/logs", { dark: true });
	await shown.page.getByText("held").first().waitFor();
	await shoot(shown, "logs-dark");
}

const PAGES = {
	dashboard: "/",
	console: "/console",
	mic: "/mic",
	dreamer: "/dreamer",
	models: "/models",
	logs: "/logs",
};
const LOOKS = {
	light: {},
	dark: { colorScheme: "dark" },
	forced: { forcedColors: "active" },
	390: { viewport: PHONE },
	320: { viewport: NARROW },
	"390-dark": { viewport: PHONE, colorScheme: "dark" },
	"320-dark": { viewport: NARROW, colorScheme: "dark" },
};

/** Each page in each look, whole. */
async function everyPage(daemon, waiters) {
	for (const [look, context] of Object.entries(LOOKS)) {
		const browser = await openBrowser({
			context: { viewport: DESK, reducedMotion: "reduce", ...context },
		});
		for (const [name, path] of Object.entries(PAGES)) {
			const page = await browser.signedInPage(daemon, path);
			await page.locator("#frame-connection.state-open").waitFor({ timeout: 60000 });
			await page.waitForLoadState("networkidle");
			if (waiters && name === "dashboard") {
				await page.getByText(`${waiters} waiting`).waitFor();
				await page.locator("#vram-card").scrollIntoViewIfNeeded(); // drawn when it is seen
				await page.locator("#vram-card canvas").first().waitFor();
				await page.evaluate(() => scrollTo(0, 0));
			}
			await page.screenshot({
				path: join(folder, `${name}-${look}-${waiters}.png`),
				fullPage: true,
			});
			await page.close();
		}
		await browser.close();
	}
	process.stdout.write(`${waiters} waiting\n`);
}

/** While nobody waits, one behind one who holds, and 300. */
async function everything(daemon) {
	await everyPage(daemon, 0);
	const holder = await client(daemon, "train.py", {
		class: "chat",
		vram_mb: 9000,
		preemptible: false,
	});
	await holder.held();
	for (let waiting = 0; waiting < 300; waiting++) {
		await client(daemon, `worker ${waiting}`, { class: waiting % 3 ? "normal" : "chat" });
		if (waiting === 0) await everyPage(daemon, 1);
	}
	await everyPage(daemon, 300);
}

mkdirSync(folder, { recursive: true });
const daemon = await startDaemon({
	gpu: "rtx3090:24576",
	config: { classes: { chat: { hold_max_s: 3600 }, normal: { hold_max_s: 180 } } },
});
try {
	if (all) await everything(daemon);
	else {
		await dashboards(daemon);
		await consoles(daemon);
		await mics(daemon);
		await dreamers(daemon);
		await logs(daemon);
	}
} finally {
	await daemon.stop();
}

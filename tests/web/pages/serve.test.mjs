// Proves that Root Console answers programs while its switch is on: npm's openai client gets what the
// demo model computes on WebGPU in a real tab, streamed and whole; the tab's own lease is the only
// one; the switch outlives a reload; a tab that goes away is no half answer.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { until } from "../lib/until.mjs";
import { Session } from "./sessions.mjs";

const { default: OpenAI } = createRequire(new URL("../../gateway/package.json", import.meta.url))(
	"openai",
);
const QUEUE_ANSWER =
	"Waiting is fair here, your place only moves forward, and the page shows how "
	+ "long at most.";
const ask = {
	model: "tiny-lm",
	messages: [{ role: "user", content: [{ type: "text", text: "How does the queue work?" }] }],
};

let daemon;
let browser;
let openai;

before(async () => {
	daemon = await startDaemon({});
	browser = await openBrowser();
	openai = new OpenAI({ baseURL: `${daemon.base}/v1`, apiKey: daemon.token, maxRetries: 0 });
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

afterEach(async () => {
	for (const each of browser.context.pages()) await each.close();
	await until(async () => (await served()).length === 0, { what: "nobody serves" });
});

const served = async () => (await openai.models.list()).data.map((one) => one.owned_by);

/** A console that serves. `prepare`: what is done to its page before it is opened. */
async function console_(first = true, prepare = async (_page) => {}) {
	const page = first
		? await browser.signedInPage(daemon, "/health")
		: await browser.context.newPage();
	await prepare(page);
	await page.goto(`${daemon.base}/console`);
	await page.locator("#choose option").first().waitFor({ state: "attached" });
	if (first) await page.locator("#serve").check();
	await page.locator("#served").waitFor();
	return page;
}

test("npm's openai client is answered by the demo model in a tab", async () => {
	const page = await console_();
	assert.deepEqual(await served(), ["tab:Root-Console"]);
	const stream = await openai.chat.completions.create({ ...ask, stream: true });
	let text = "";
	let finish;
	let pieces = 0;
	for await (const { choices } of stream) {
		text += choices[0].delta.content ?? "";
		pieces++;
		finish = choices[0].finish_reason ?? finish;
	}
	assert.equal(text.trim(), QUEUE_ANSWER);
	assert.equal(finish, "stop");
	assert.ok(pieces > 3, `${pieces} pieces`);
	const { leases, waiting } = await daemon.status();
	assert.deepEqual(
		[leases.map(({ slots }) => slots), waiting.length],
		[[0], 0],
		"its memory alone",
	);

	const whole = await openai.chat.completions.create({ ...ask, max_tokens: 3 });
	assert.equal(whole.choices[0].finish_reason, "length");
	assert.equal(whole.usage.completion_tokens, 3);
	const picture = { type: "image_url", image_url: { url: "data:," } };
	await assert.rejects(
		openai.chat.completions.create({
			...ask,
			messages: [{ role: "user", content: [picture] }],
		}),
		(error) => error.status === 400 && /texts alone/.test(error.message),
	);
	const models = await daemon.cli("models");
	assert.match(models, /tiny-lm.*tab:Root-Console.*ready/);
	await page.locator("#serve").uncheck();
	await until(async () => (await served()).length === 0, { what: "it serves no more" });
});

test("the switch outlives a reload, and both tabs serve", async () => {
	const one = await console_();
	await one.reload();
	await one.locator("#served").waitFor();
	const two = await console_(false);
	await until(async () => (await daemon.cli("models")).match(/tab:/g)?.length === 2, {
		what: "both are offered, and the page that was reloaded is not any more",
	});
	const answers = await Promise.all([1, 2].map(() => openai.chat.completions.create(ask)));
	for (const { choices } of answers)
		assert.equal(choices[0].message.content.trim(), QUEUE_ANSWER);
	await one.close();
	const last = await openai.chat.completions.create(ask);
	assert.equal(last.choices[0].message.content.trim(), QUEUE_ANSWER);
	await two.close();
});

test("a voice waits for a word of an answer, which goes on where it was", async () => {
	await console_();
	await openai.chat.completions.create({ ...ask, max_tokens: 1 }); // it is loaded
	const voice = await Session.open(daemon, "Node voice");
	try {
		const stream = await openai.chat.completions.create({ ...ask, stream: true });
		let text = "";
		const reading = (async () => {
			for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
		})();
		await until(() => text.trim() !== "", { what: "its first word" });
		voice.send({ type: "acquire", ref: 1, class: "voice", timeout_s: null });
		const { lease } = await voice.heard("granted");
		// What had been made before would be here by now.
		for (let asked = 0; asked < 20; asked++) await daemon.status();
		const { requests } = await daemon.http("GET", "/v1/gpu/models");
		assert.equal(requests.length, 1, "the voice waited for all of it");
		assert.notEqual(text.trim(), QUEUE_ANSWER);
		voice.send({ type: "release", lease });
		await reading;
		assert.equal(text.trim(), QUEUE_ANSWER);
	} finally {
		voice.close();
	}
});

test("a tab that goes away before it answered is an error that its client throws", async () => {
	// Its model never comes.
	const page = await console_(true, (one) => one.route("**/models/tiny-lm/onnx/**", () => {}));
	const asked = openai.chat.completions.create({ ...ask, stream: true });
	asked.catch(() => {});
	await page.locator("#served", { hasText: "1 on the way" }).waitFor();
	await page.close();
	await assert.rejects(asked, (error) => error.code === "upstream_unreachable");
});

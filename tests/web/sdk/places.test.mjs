// @ts-check
// What a page left in sessionStorage for the next one, damaged in every way: whatever lies there,
// the next page asks and is served, and what is whole of it is kept.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

const NAME = "page";
const ID = "1-22-333-4444";
const OWNER = "5-6-7-8";
/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
/** @type {Map<string, string>} */
const kept = new Map();

before(async () => {
	it = await bench();
	/** @type {any} */ (globalThis).sessionStorage = {
		getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
		setItem: (/** @type {string} */ name, /** @type {string} */ text) => kept.set(name, text),
		removeItem: (/** @type {string} */ name) => kept.delete(name),
	};
});
after(async () => {
	await it.end();
	Reflect.deleteProperty(globalThis, "sessionStorage");
});
/** @type {Awaited<ReturnType<typeof connect>>[]} */
let others;
/** @type {ReturnType<typeof it.broker>} */
let page;
beforeEach(() => {
	others = [];
});
afterEach(async () => {
	await page?.close();
	for (const other of others) other.close();
	kept.clear();
	await until(async () => (await it.daemon.status()).sessions === 0);
});

/** A page that finds that. @param {string} text */
function find(text) {
	kept.set(`baton ${it.daemon.base} ${NAME}`, text);
	page = it.broker(NAME);
	return page;
}

/** @param {string} name */
async function other(name) {
	others.push(await connect(it.daemon, name));
	return others[others.length - 1];
}

const hostile = '{"toString":null,"valueOf":null}';
const whole = `"left":true,"owner":"${OWNER}"`;
const records = {
	"an empty text": "",
	"no JSON": '{"places":',
	null: "null",
	"a number": "17",
	"a string": '"places"',
	"a list": "[[null]]",
	"no places": `{${whole}}`,
	"a list with null": `{${whole},"places":[null]}`,
	"a list of pairs": `{${whole},"places":[["job",{"ref":1,"requestId":"${ID}"}]]}`,
	"places that are a number": `{${whole},"places":1e308}`,
	"places that are a string": `{${whole},"places":"job"}`,
	"what is no text": `{${whole},"places":{"job":null}}`,
	"what has no text": `{${whole},"places":{"job":${hostile}}}`,
	"a list of one id": `{${whole},"places":{"job":["${ID}"]}}`,
	"an id that is too long": `{${whole},"places":{"job":"${"1-".repeat(4000)}"}}`,
	"an id that the broker refuses": `{${whole},"places":{"job":"\\u202e\\u0000"}}`,
	"a prototype": `{${whole},"__proto__":{"places":{"job":"${ID}"}}}`,
	"many places": `{${whole},"places":{${Array.from({ length: 20_000 }, (_, i) => `"${i}":7`)}}}`,
	"deep places": `{${whole},"places":${"[".repeat(5000)}${"]".repeat(5000)}}`,
};
for (const [what, text] of Object.entries(records))
	test(`${what}: the page is served`, async () => {
		assert.equal(await find(text).run({ key: "job" }, () => "ran"), "ran");
		assert.equal(page.state, "open");
	});

/** @type {[string, string][]} */
const partly = [
	["others that are not", `{${whole},"places":{"a":null,"job":"${ID}","b":${hostile}}}`],
	["a key of a prototype", `{${whole},"places":{"__proto__":"9-9-9-9","job":"${ID}"}}`],
	["no owner", `{"left":true,"places":{"job":"${ID}"}}`],
	["an owner that has no text", `{"left":true,"owner":${hostile},"places":{"job":"${ID}"}}`],
	["a session that is none", `{${whole},"session":"7","places":{"job":"${ID}"}}`],
	["a session that has no text", `{${whole},"session":${hostile},"places":{"job":"${ID}"}}`],
	[
		"a session that is unknown",
		`{${whole},"session":"999-${"a".repeat(32)}","places":{"job":"${ID}"}}`,
	],
];
for (const [what, text] of partly)
	test(`a place beside ${what} is kept`, async () => {
		const holder = await other("holder");
		const { lease } = await holder.ask({ type: "acquire", ref: 1 }, "offered");
		await holder.ask({ type: "accept", lease }, "granted");
		const gone = await other(NAME);
		gone.send({ type: "acquire", ref: 1, request_id: ID, timeout_s: null });
		await it.waiting(1);
		const next = await other("next");
		next.send({ type: "acquire", ref: 1, timeout_s: null });
		await it.waiting(2);
		await gone.ask({ type: "cancel", ref: 1, keep: true }, "released");

		const turn = find(text).run({ key: "job" }, () => "ran");
		await it.waiting(2);
		const names = (await it.daemon.status()).waiting.map((/** @type {any} */ row) => row.id);
		assert.deepEqual(names, [NAME, "next"]);
		holder.send({ type: "release", lease });
		assert.equal(await turn, "ran");
	});

test("of a page that died nobody waits for what the next one has not asked for", async () => {
	const holder = await other("holder");
	const { lease } = await holder.ask({ type: "acquire", ref: 1 }, "offered");
	await holder.ask({ type: "accept", lease }, "granted");
	const dead = await other(NAME);
	dead.send({ type: "acquire", ref: 1, request_id: ID, timeout_s: null });
	await it.waiting(1);
	dead.send({ type: "acquire", ref: 2, request_id: "4-3-2-1", timeout_s: null });
	await it.waiting(2);
	const next = await other("next");
	next.send({ type: "acquire", ref: 1, timeout_s: null });
	await it.waiting(3);

	const { session } = await dead.hear("welcome");
	const broker = find(`{${whole},"session":"${session}","places":{"job":"${ID}"}}`);
	const fresh = broker.request({ vramBytes: 2 ** 30 });
	await broker.ready();
	const order = async () =>
		(await it.daemon.status()).waiting.map((/** @type {any} */ row) => [row.id, row.vram_mb]);
	const anew = [
		["next", 0],
		[NAME, 1024],
	];
	await until(async () => JSON.stringify(await order()) === JSON.stringify(anew));
	holder.send({ type: "release", lease });
	await next.hear("offered"); // and not to who has not asked
	const mine = broker.request({ key: "job" });
	await it.waiting(2);
	assert.deepEqual((await order())[0], [NAME, 0]);
	next.close();
	for (const turn of [mine, fresh]) await (await turn).release();
});

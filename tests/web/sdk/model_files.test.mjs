// A model's files in a real browser's Cache Storage, from a server that misbehaves: what is whole
// and right is kept, a break is gone on from, and nothing else ever stays.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { until } from "../lib/until.mjs";

const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251));
const SHA256 = createHash("sha256").update(BODY).digest("hex");
const HTML = "<!DOCTYPE html><title>Sign in to the Wi-Fi</title>";

let site;
let browser;
let page;
/** @type {Record<string, any>} */
let routes;
/** The requests for /model.bin: their Range, or "". @type {string[]} */
let asked;

before(async () => {
	routes = {};
	site = await startForeignSite(routes);
	browser = await openBrowser();
});
after(async () => {
	await browser?.close();
	await site?.stop();
});
beforeEach(async () => {
	asked = [];
	for (const path of Object.keys(routes)) delete routes[path];
	await page?.close();
	page = await browser.page();
	await page.goto(site.base);
	await page.evaluate(async () => {
		for (const name of await caches.keys()) await caches.delete(name);
		const { Files } = await import("/sdk/files.js");
		/** Fetches; what is in the caches afterwards, and what went wrong. */
		window.bring = async (file, o = {}) => {
			const files = new Files();
			files.add([file]);
			const seen = [];
			window.came = 0;
			const onProgress = (p) => {
				seen.push(p);
				window.came = p.loaded;
			};
			const error = await files.fetch({ ...o, onProgress }).then(
				() => null,
				({ code, message, retryable }) => ({ code, message, retryable }),
			);
			const found = await files.match(file.url ?? file);
			return { error, seen, size: found ? (await found.blob()).size : null };
		};
		window.entries = async () => {
			const all = [];
			for (const name of await caches.keys())
				for (const { url } of await (await caches.open(name)).keys()) all.push(url);
			return all;
		};
	});
});

const bring = (file, o) => page.evaluate(([f, options]) => window.bring(f, options), [file, o]);
const entries = () => page.evaluate(() => window.entries());

/** Nothing of a damaged file stays, and the next try with a server that is well succeeds. */
async function refusedAndMended(file, code, words) {
	const { error, size } = await bring(file);
	assert.equal(error?.code, code, JSON.stringify(error));
	assert.match(error.message, words);
	assert.equal(size, null);
	assert.deepEqual(await entries(), [], "nothing stays");
	routes["/model.bin"] = serveWhole();
	assert.equal((await bring(file)).size, BODY.length);
}

/** The page has read so many bytes of the file: what it has not read when an answer breaks off, the
 * browser forgets. */
const untilCame = (bytes) =>
	until(() => page.evaluate((least) => window.came >= least, bytes), {
		what: `${bytes} bytes came`,
	});

/** A server as it should be, with ranges. `cuts`: after how many bytes each answer breaks off. */
function serveWhole({ cuts = [], body = BODY, tag = '"one"', ranges = true, headers = {} } = {}) {
	return (request, answer) => {
		const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
		asked.push(request.headers.range ?? "");
		const from = range && ranges ? Number(range[1]) : 0;
		if (from >= body.length) {
			answer.writeHead(416, headers).end();
			return;
		}
		answer.writeHead(range && ranges ? 206 : 200, {
			...(tag ? { ETag: tag } : {}),
			"Content-Length": body.length - from,
			...(range && ranges
				? {
						"Content-Range": `bytes ${from}-${body.length - 1}/${body.length}`,
					}
				: {}),
			...headers,
		});
		const cut = cuts.shift();
		if (cut === undefined) answer.end(body.subarray(from));
		else
			answer.write(body.subarray(from, from + cut), () =>
				untilCame(from + cut).then(() => answer.destroy()),
			);
	};
}

test("a file is fetched once, with progress, and then comes from the cache", async () => {
	routes["/model.bin"] = serveWhole();
	const { error, seen, size } = await bring({
		url: "/model.bin",
		bytes: BODY.length,
		sha256: SHA256,
	});
	assert.equal(error, null);
	assert.equal(size, BODY.length);
	assert.equal(seen.at(-1).loaded, BODY.length);
	assert.equal(seen.at(-1).fraction, 1);
	assert.match(seen.at(-1).file, /model\.bin$/);
	await bring({ url: "/model.bin", bytes: BODY.length, sha256: SHA256 });
	assert.equal(asked.length, 1);
	assert.deepEqual(await entries(), [`${site.base}/model.bin`], "no pieces are left");
});

test("a download that breaks off goes on where it was", async () => {
	routes["/model.bin"] = serveWhole({ cuts: [100_000, 50_000] });
	const { error, size } = await bring({ url: "/model.bin", sha256: SHA256 });
	assert.equal(error, null);
	assert.equal(size, BODY.length);
	assert.deepEqual(asked, ["", "bytes=100000-", "bytes=150000-"]);
});

test("also on another day, in another page", async () => {
	routes["/model.bin"] = serveWhole({ cuts: [100_000, 10, 10] });
	const { error } = await bring({ url: "/model.bin" });
	assert.equal(error.code, "FETCH_FAILED");
	assert.match(error.message, /breaks off.*kept/s);
	assert.ok(error.retryable);
	await page.reload();
	routes["/model.bin"] = serveWhole();
	asked.length = 0;
	const sha = await page.evaluate(async (sha256) => {
		const { Files } = await import("/sdk/files.js");
		const files = new Files();
		files.add([{ url: "/model.bin", sha256 }]);
		await files.fetch({});
		return (await (await files.match("/model.bin")).blob()).size;
	}, SHA256);
	assert.equal(sha, BODY.length);
	assert.deepEqual(asked, ["bytes=100020-"]);
});

test("a server without ranges, one with another version of the file: from the start", async () => {
	routes["/model.bin"] = serveWhole({ cuts: [100_000], ranges: false });
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).size, BODY.length);
	const other = Buffer.from(BODY.map((byte) => byte ^ 1));
	await page.evaluate(() => caches.delete("baton-models"));
	let answers = 0;
	const [one, two] = [serveWhole({ cuts: [100_000] }), serveWhole({ body: other, tag: '"two"' })];
	routes["/model.bin"] = (...exchange) => (answers++ ? two : one)(...exchange);
	const sha256 = createHash("sha256").update(other).digest("hex");
	assert.equal((await bring({ url: "/model.bin" })).error, null);
	assert.equal((await bring({ url: "/model.bin", sha256 })).error, null, "not a mixture");
	assert.equal(answers, 3, "the cut, its rest that was refused, and the whole");
});

test("of another origin that tells no version, length and hash decide", async () => {
	const headers = { "Access-Control-Allow-Origin": "*" };
	const far = await startForeignSite({
		"/model.bin": (...exchange) =>
			serveWhole({ tag: "", cuts: far.cuts, headers })(...exchange),
	});
	far.cuts = [100_000];
	const url = `${far.base}/model.bin`;
	const { error } = await bring({ url, bytes: BODY.length, sha256: SHA256 });
	assert.equal(error, null);
	assert.deepEqual(asked, ["", "bytes=100000-"]);
	await page.evaluate(() => caches.delete("baton-models"));
	[far.cuts, asked] = [[100_000], []];
	assert.equal((await bring({ url, bytes: BODY.length })).error, null);
	assert.deepEqual(asked, ["", "bytes=100000-", ""], "a rest of unknown version is not taken");
	await far.stop();
});

test("a web page in place of a file is refused, by its type and by its words", async () => {
	const octets = "application/octet-stream";
	for (const [type, body] of [
		["text/html; charset=utf-8", HTML],
		[octets, HTML],
		[octets, `<!-- portal -->\n<!-- 2 --><html>${HTML}`],
		[octets, `<?xml version="1.0"?>\n${HTML}`],
		[octets, "<script>location = '/sign-in'</script>"],
	]) {
		routes["/model.bin"] = (_, answer) =>
			answer.writeHead(200, { "Content-Type": type }).end(body);
		await refusedAndMended({ url: "/model.bin" }, "DAMAGED", /web page.*sign in/s);
		await page.evaluate(() => caches.delete("baton-models"));
	}
});

test("a wrong length, a wrong hash, no JSON, no WebAssembly, nothing at all", async () => {
	const flaws = [
		[{ url: "/model.bin", bytes: BODY.length + 1 }, BODY, /bytes instead of/],
		[{ url: "/model.bin", sha256: "0".repeat(64) }, BODY, /SHA-256/],
		[{ url: "/model.bin" }, "", /empty/],
		[{ url: "/config.json" }, '{"a": ', /not JSON/],
		[{ url: "/lib.wasm" }, "wasm?", /not WebAssembly/],
	];
	for (const [file, body, words] of flaws) {
		routes[file.url] = body;
		const { error, size } = await bring(file);
		assert.equal(error?.code, "DAMAGED", file.url);
		assert.match(error.message, words);
		assert.equal(size, null);
		assert.deepEqual(await entries(), []);
	}
});

test("a server that lies about sizes: too much is cut, too little is no file", async () => {
	let closed = false;
	routes["/model.bin"] = (_, answer) => {
		answer.writeHead(200); // endless
		const more = () => !closed && answer.write(BODY, more);
		answer.on("close", () => {
			closed = true;
		});
		more();
	};
	const endless = await bring({ url: "/model.bin", bytes: 1000 });
	assert.match(endless.error.message, /larger than the 1000 bytes/);
	await until(() => closed, { what: "the download is ended" });
	routes["/model.bin"] = serveWhole({ body: BODY.subarray(0, 1000) });
	const short = await bring({ url: "/model.bin", bytes: BODY.length });
	assert.match(short.error.message, /instead of/);
	// Says more than comes, each time, and no range of it either.
	routes["/model.bin"] = (_, answer) => {
		answer.writeHead(200, { "Content-Length": 2 * BODY.length });
		answer.write(BODY, () => setTimeout(() => answer.destroy(), 500));
	};
	assert.match((await bring({ url: "/model.bin" })).error.message, /breaks off/);
	// A rest that belongs to a file of another length.
	asked = [];
	const cut = serveWhole({ cuts: [100_000] });
	routes["/model.bin"] = (request, answer) =>
		request.headers.range
			? answer
					.writeHead(206, {
						ETag: '"one"',
						"Content-Range": "bytes 100000-199999/200000",
					})
					.end(BODY.subarray(100_000, 200_000))
			: cut(request, answer);
	assert.equal((await bring({ url: "/model.bin", bytes: BODY.length })).size, BODY.length);
});

test("a part that is less than was asked for, or another one, is not taken for the file", async () => {
	const part = (answer, from, to) =>
		answer
			.writeHead(206, {
				ETag: '"one"',
				"Content-Length": to - from,
				"Content-Range": `bytes ${from}-${to - 1}/${BODY.length}`,
			})
			.end(BODY.subarray(from, to));
	const cut = serveWhole({ cuts: [100_000] });
	routes["/model.bin"] = (request, answer) => {
		if (!request.headers.range) {
			cut(request, answer);
			return;
		}
		asked.push(request.headers.range);
		const from = Number(/\d+/.exec(request.headers.range)?.[0]);
		part(answer, from, Math.min(from + 70_000, BODY.length));
	};
	assert.equal((await bring("/model.bin")).size, BODY.length);
	assert.deepEqual(asked, ["", "bytes=100000-", "bytes=170000-", "bytes=240000-"]);

	await page.evaluate(() => caches.delete("baton-models"));
	routes["/model.bin"] = (_, answer) => part(answer, 500, 1500);
	await refusedAndMended({ url: "/model.bin" }, "DAMAGED", /came in part/);
	await page.evaluate(() => caches.delete("baton-models"));
	routes["/model.bin"] = (request, answer) =>
		request.headers.range ? serveWhole()(request, answer) : part(answer, 0, 100_000);
	assert.equal((await bring("/model.bin")).size, BODY.length, "its beginning is gone on from");

	// A few bytes at a time are no download.
	await page.evaluate(() => caches.delete("baton-models"));
	let answers = 0;
	routes["/model.bin"] = (request, answer) => {
		answers++;
		const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
		part(answer, from, from + 1);
	};
	assert.match((await bring("/model.bin")).error.message, /breaks off/);
	assert.ok(answers <= 3, `${answers} answers`);
});

test("parts of two versions, left by a page that died, are never put together", async () => {
	await page.evaluate(async () => {
		const cache = await caches.open("baton-parts");
		const put = (at, text, etag) =>
			cache.put(`/model.bin?baton-parts=${at}`, new Response(text, { headers: { etag } }));
		await put(0, "new", '"two"');
		await put(3, "old", '"one"');
		await put(1000, "stray", '"one"');
	});
	routes["/model.bin"] = serveWhole({ body: Buffer.from("new123"), tag: '"two"' });
	assert.deepEqual((await bring({ url: "/model.bin", bytes: 6 })).size, 6);
	assert.deepEqual(asked, ["bytes=3-"]);
	assert.deepEqual(await entries(), [`${site.base}/model.bin`], "no part is left");
});

test("a download that stalls ends in time, says so, and goes on later", async () => {
	routes["/model.bin"] = (_, answer) => {
		answer.writeHead(200, { "Content-Length": BODY.length, ETag: '"one"' });
		answer.write(BODY.subarray(0, 100_000));
	};
	const begunAt = performance.now();
	const { error } = await bring({ url: "/model.bin" }, { stallMs: 2000 });
	assert.ok(performance.now() - begunAt < 15_000, "and not by the SDK's own 30 s");
	assert.equal(error.code, "FETCH_FAILED");
	assert.match(error.message, /Nothing came of .*model\.bin for 2 s, at 100000 bytes/);
	routes["/model.bin"] = serveWhole();
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).error, null);
	assert.deepEqual(asked, ["bytes=100000-"]);
	routes["/patient.bin"] = BODY;
	assert.equal((await bring("/patient.bin", { stallMs: Infinity })).error, null, "never");
	routes["/headers.bin"] = () => {}; // not even an answer's head
	assert.match((await bring("/headers.bin", { stallMs: 300 })).error.message, /Nothing came/);
});

test("redirects are followed; one to a sign-in page and one in circles are refused", async () => {
	const to = (Location) => (_, answer) => answer.writeHead(302, { Location }).end();
	routes["/model.bin"] = to("/store/1.bin");
	routes["/store/1.bin"] = serveWhole();
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).error, null);
	assert.deepEqual(await entries(), [`${site.base}/model.bin`], "under the name it was asked by");
	routes["/two.bin"] = to("/sign-in");
	routes["/sign-in"] = (_, answer) =>
		answer.writeHead(200, { "Content-Type": "text/html" }).end(HTML);
	assert.match((await bring("/two.bin")).error.message, /web page/);
	routes["/three.bin"] = to("/three.bin");
	assert.match((await bring("/three.bin")).error.message, /cannot be reached/);
});

test("an answer that is no success, and no answer, are told apart", async () => {
	routes["/model.bin"] = (_, answer) => answer.writeHead(404).end();
	let { error } = await bring("/model.bin");
	assert.deepEqual([error.code, error.retryable], ["FETCH_FAILED", false]);
	assert.match(error.message, /answered 404/);
	routes["/model.bin"] = (_, answer) => answer.writeHead(503).end();
	({ error } = await bring("/model.bin"));
	assert.deepEqual([error.code, error.retryable], ["FETCH_FAILED", true]);
	({ error } = await bring("http://127.0.0.1:9/model.bin"));
	assert.match(error.message, /cannot be reached/);
	await page.setContent(
		`<meta http-equiv="Content-Security-Policy" content="connect-src 'self'">`,
	);
	({ error } = await bring("http://127.0.0.1:9/model.bin"));
	assert.match(error.message, /Content-Security-Policy does not allow http:\/\/127\.0\.0\.1:9/);
});

test("full storage and denied storage say what to do", async () => {
	const cdp = await page.context().newCDPSession(page);
	await cdp.send("Storage.overrideQuotaForOrigin", { origin: site.base, quotaSize: 40_000_000 });
	routes["/model.bin"] = (_, answer) => {
		const more = () => answer.write(Buffer.alloc(2 ** 22), (failed) => failed ?? more());
		more();
	};
	const endless = await bring("/model.bin");
	assert.match(endless.error.message, /no room/);
	assert.deepEqual(await entries(), [], "what has no end leaves room for others");
	routes["/model.bin"] = serveWhole();
	await cdp.send("Storage.overrideQuotaForOrigin", { origin: site.base, quotaSize: 100_000 });
	let { error } = await bring("/model.bin");
	assert.equal(error.code, "STORAGE");
	assert.match(error.message, /no room.*free/s);
	await page.evaluate(() => {
		navigator.storage.estimate = async () => ({});
	});
	({ error } = await bring("/model.bin"));
	assert.equal(error.code, "STORAGE", "also where the browser told no quota before");
	await cdp.send("Storage.overrideQuotaForOrigin", { origin: site.base });
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).error, null);
	await page.evaluate(() => {
		caches.open = async () => {
			throw new DOMException("denied", "SecurityError");
		};
	});
	error = await page.evaluate(() => window.bring("/other.bin").catch((e) => e.message));
	assert.match(error, /no storage.*denied.*allow site data/s);
});

test("storage that is cleared under a download is said, and the next try succeeds", async () => {
	let release;
	const cut = serveWhole({ cuts: [100_000] });
	const rest = serveWhole();
	routes["/model.bin"] = (request, answer) => {
		if (!request.headers.range) cut(request, answer);
		else release = () => rest(request, answer);
	};
	const brought = bring("/model.bin");
	await until(() => release, { what: "the rest is asked for" });
	const cdp = await page.context().newCDPSession(page);
	await cdp.send("Storage.clearDataForOrigin", { origin: site.base, storageTypes: "all" });
	release();
	const { error } = await brought;
	assert.equal(error.code, "STORAGE");
	assert.match(error.message, /was cleared while/);
	routes["/model.bin"] = rest;
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).error, null);
});

test("two tabs that want one file fetch it once", async () => {
	let release;
	routes["/model.bin"] = (request, answer) => {
		release = () => serveWhole()(request, answer);
	};
	const first = bring("/model.bin");
	await until(() => release, { what: "the first tab asks" });
	const other = await browser.page();
	await other.goto(site.base);
	const second = other.evaluate(async () => {
		const { Files } = await import("/sdk/files.js");
		const files = new Files();
		files.add(["/model.bin"]);
		await files.fetch({});
		return (await (await files.match("/model.bin")).blob()).size;
	});
	await until(
		() => other.evaluate(async () => (await navigator.locks.query()).pending.length === 1),
		{ what: "the second tab waits" },
	);
	release();
	assert.equal((await first).size, BODY.length);
	assert.equal(await second, BODY.length);
	assert.equal(asked.length, 1);
	await other.close();
});

test("what a library put into its cache is judged, too: a web page there is replaced", async () => {
	routes["/model.bin"] = serveWhole();
	await page.evaluate(async (html) => {
		const cache = await caches.open("transformers-cache");
		await cache.put(
			"/model.bin",
			new Response(html, { headers: { "content-type": "text/html" } }),
		);
	}, HTML);
	const file = { url: "/model.bin", cache: "transformers-cache" };
	assert.equal((await bring(file)).size, BODY.length);
	assert.equal(asked.length, 1);
});

test("what is stopped leaves at once and keeps what came", async () => {
	routes["/model.bin"] = (_, answer) => {
		answer.writeHead(200, { "Content-Length": BODY.length, ETag: '"one"' });
		answer.write(BODY.subarray(0, 100_000));
	};
	const name = await page.evaluate(async () => {
		const { Files } = await import("/sdk/files.js");
		const files = new Files();
		files.add(["/model.bin"]);
		const stop = new AbortController();
		const onProgress = ({ loaded }) => loaded === 100_000 && stop.abort();
		return files.fetch({ signal: stop.signal, onProgress }).catch((error) => error.name);
	});
	assert.equal(name, "AbortError");
	routes["/model.bin"] = serveWhole();
	assert.equal((await bring({ url: "/model.bin", sha256: SHA256 })).error, null);
	assert.deepEqual(asked, ["bytes=100000-"]);
});

test("an address with a fragment: one file, gone on from, and nothing of it is left", async () => {
	routes["/model.bin"] = serveWhole({ cuts: [100_000, 50_000] });
	const { error, size } = await bring({ url: "/model.bin#main", sha256: SHA256 });
	assert.deepEqual([error, size], [null, BODY.length]);
	assert.deepEqual(asked, ["", "bytes=100000-", "bytes=150000-"]);
	assert.equal((await entries()).length, 1, "no part is left");
});

test("a file is judged when it comes, and not anew each time that it is wanted", async () => {
	routes["/model.bin"] = serveWhole();
	for (const known of [{}, { bytes: BODY.length }, { sha256: SHA256 }]) {
		await page.evaluate(() => caches.delete("baton-models"));
		const file = { url: "/model.bin", ...known };
		assert.equal((await bring(file)).error, null);
		const read = await page.evaluate(async (again) => {
			const { blob } = Response.prototype;
			let count = 0;
			Response.prototype.blob = function () {
				count++;
				return blob.call(this);
			};
			const { Files } = await import("/sdk/files.js");
			const files = new Files();
			files.add([again]);
			await files.complete();
			Response.prototype.blob = blob;
			return count;
		}, file);
		assert.equal(read, 0, JSON.stringify(known));
	}
});

test("a redirect to where the page's policy does not let it go is no fault of its address", async () => {
	const far = await startForeignSite(
		{ "/store.bin": serveWhole() },
		{ "Access-Control-Allow-Origin": "*" },
	);
	routes["/model.bin"] = (_, answer) =>
		answer.writeHead(302, { Location: `${far.base}/store.bin` }).end();
	await page.setContent(
		`<meta http-equiv="Content-Security-Policy" content="connect-src 'self'">`,
	);
	const { error } = await bring("/model.bin");
	await far.stop();
	assert.match(error.message, /Content-Security-Policy does not allow .*, or where it redirects/);
});

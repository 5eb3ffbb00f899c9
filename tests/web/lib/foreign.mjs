// @ts-check
// A site of another origin, for the tests of access, fallbacks and models: a small server that
// gives out an empty page and its own copy of the SDK, as a developer's site would, and whatever a
// test adds: a file, or a function that answers as badly as the test wants.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./packages.mjs";

const SDK = /^\/sdk\/([a-z_]+\.js)$/;

const TYPES = {
	html: "text/html",
	js: "text/javascript",
	mjs: "text/javascript",
	json: "application/json",
	wasm: "application/wasm",
};

/**
 * @typedef {import("node:http").IncomingMessage} Asked
 * @typedef {import("node:http").ServerResponse} Answer
 * @typedef {Record<string, Buffer | string | ((request: Asked, answer: Answer) => void)>} Routes
 */

/** @param {Routes} routes @param {string} path @param {Asked} request @param {Answer} answer */
function serveRoute(routes, path, request, answer) {
	const route = routes[path];
	if (typeof route === "function") {
		route(request, answer);
		return;
	}
	const end = /** @type {keyof typeof TYPES} */ (path.split(".").at(-1));
	answer
		.writeHead(200, {
			"Content-Type": TYPES[end] ?? "application/octet-stream",
			"Content-Length": Buffer.byteLength(route),
		})
		.end(route);
}

/**
 * @param {Asked} request @param {Answer} answer @param {Routes} routes
 * @param {Record<string, string>} headers of all that it answers
 */
async function serve(request, answer, routes, headers) {
	for (const [name, value] of Object.entries(headers)) answer.setHeader(name, value);
	const { pathname } = new URL(request.url ?? "/", "http://site");
	if (pathname in routes) {
		serveRoute(routes, pathname, request, answer);
		return;
	}
	const file = SDK.exec(request.url ?? "");
	if (file) {
		try {
			const text = await readFile(join(root, "web/sdk", file[1]));
			answer.writeHead(200, { "Content-Type": "text/javascript" }).end(text);
		} catch {
			answer.writeHead(404).end();
		}
	} else {
		answer
			.writeHead(200, { "Content-Type": "text/html" })
			.end("<!doctype html><title>another site</title>");
	}
}

/**
 * Starts it on a free port: `base` is its origin.
 * @param {Routes} [routes] may be changed while it runs
 * @param {Record<string, string>} [headers] of all that it answers
 */
export async function startForeignSite(routes = {}, headers = {}) {
	const server = createServer((request, answer) => void serve(request, answer, routes, headers));
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
	return {
		port,
		base: `http://127.0.0.1:${port}`,
		stop: () =>
			new Promise((done) => {
				server.close(done);
				server.closeAllConnections();
			}),
	};
}

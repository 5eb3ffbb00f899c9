// @ts-check
// A site of another origin, for the tests of access and fallbacks: a small server that gives out an
// empty page and its own copy of the SDK, as a developer's site would.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./packages.mjs";

const SDK = /^\/sdk\/([a-z_]+\.js)$/;

/**
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:http").ServerResponse} answer
 */
async function serve(request, answer) {
	const file = SDK.exec(request.url ?? "");
	if (file) {
		try {
			const text = await readFile(join(root, "web/sdk", file[1]));
			answer.writeHead(200, { "Content-Type": "text/javascript" }).end(text);
		} catch {
			answer.writeHead(404).end();
		}
	} else {
		answer.writeHead(200, { "Content-Type": "text/html" })
			.end("<!doctype html><title>another site</title>");
	}
}

/** Starts it on a free port: `base` is its origin. */
export async function startForeignSite() {
	const server = createServer(serve);
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
	return {
		port,
		base: `http://127.0.0.1:${port}`,
		stop: () => new Promise((done) => {
			server.close(done);
			server.closeAllConnections();
		}),
	};
}

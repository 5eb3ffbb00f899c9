// @ts-check
// A site of one's own that serves a folder as it is, for the tests of what others build.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { tempFolder } from "./children.mjs";

const TYPES = /** @type {Record<string, string>} */ ({
	html: "text/html",
	js: "text/javascript",
	mjs: "text/javascript",
	wasm: "application/wasm",
});

/** Starts it on a free port: `base` is its origin. @param {(text: string) => string} change */
export async function startFolderSite(change) {
	const folder = tempFolder("baton-site");
	const server = createServer((request, answer) => {
		const { pathname } = new URL(request.url ?? "/", "http://site");
		const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
		const type = TYPES[path.split(".").at(-1) ?? ""] ?? "";
		try {
			const bytes = readFileSync(join(folder, path));
			answer
				.writeHead(200, { "Content-Type": type })
				.end(type.startsWith("text") ? change(bytes.toString()) : bytes);
		} catch {
			answer.writeHead(404).end();
		}
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
	const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
	return {
		base: `http://127.0.0.1:${port}`,
		folder,
		stop: () => {
			server.close();
			server.closeAllConnections();
		},
	};
}

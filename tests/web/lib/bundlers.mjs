// @ts-check
// A page of one's own, bundled in each way that people do it: a folder of files for each, or a
// development server. The page's module puts the SDK into its window; index.html loads it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageFile, root } from "./packages.mjs";

const PAGE = `import * as sdk from "@baton/sdk";\nglobalThis.sdk = sdk;\n`;
const html = (/** @type {string} */ src, type = "module") =>
	`<!doctype html><title>bundled</title><script type="${type}" src="${src}"></script>`;

/** @param {string} name @param {string} file */
const vite = (name, file = "dist/node/index.js") =>
	import(pathToFileURL(join(root, "web/node_modules", name, file)).href);

/** @typedef {(from: string, out: string) => Promise<any>} Bundler files of `from` into `out` */

/** @param {"esm"|"iife"} format @returns {Bundler} */
const esbuild = (format) => async (from, out) => {
	const { build } = await import(pathToFileURL(packageFile("esbuild")).href);
	await build({
		entryPoints: [join(from, "page.js")],
		bundle: true,
		minify: true,
		format,
		outfile: join(out, "page.js"),
		logLevel: "silent",
	});
	writeFileSync(join(out, "index.html"), html("page.js", format === "esm" ? "module" : ""));
};

/** @param {"production"|"development"} mode @returns {Bundler} */
const webpack = (mode) => async (from, out) => {
	const { default: pack } = await import(pathToFileURL(packageFile("webpack")).href);
	const stats = await new Promise((resolve, reject) =>
		pack(
			{ mode, context: from, entry: "./page.js", output: { path: out, filename: "page.js" } },
			(/** @type {any} */ error, /** @type {any} */ done) =>
				error ? reject(error) : resolve(done),
		),
	);
	if (stats.hasErrors()) throw new Error(stats.toString());
	writeFileSync(join(out, "index.html"), html("page.js", ""));
};

/** @type {Bundler} */
const rollup = async (from, out) => {
	const { rollup: roll } = await import(pathToFileURL(packageFile("rollup")).href);
	const sdk = join(from, "node_modules/@baton/sdk/dist/index.js");
	const bundle = await roll({
		input: join(from, "page.js"),
		onwarn({ message }) {
			throw new Error(message);
		},
		plugins: [
			{
				name: "resolve",
				resolveId: (/** @type {string} */ id) => (id === "@baton/sdk" ? sdk : null),
			},
		],
	});
	await bundle.write({ file: join(out, "page.js"), format: "iife" });
	writeFileSync(join(out, "index.html"), html("page.js", ""));
};

/** @param {string} name @returns {Bundler} */
const viteBuild = (name) => async (from, outDir) => {
	const { build } = await vite(name);
	await build({
		root: from,
		configFile: false,
		logLevel: "error",
		base: "./",
		build: { outDir, emptyOutDir: false },
	});
};

/** @type {Record<string, Bundler>} */
export const BUNDLERS = {
	"esbuild, esm": esbuild("esm"),
	"esbuild, iife": esbuild("iife"),
	rollup,
	webpack: webpack("production"),
	"webpack, development": webpack("development"),
	"vite 6": viteBuild("vite6"),
	"vite 8": viteBuild("vite8"),
};

/** What answers the requests of a page under development, as `vite` does. */
export const SERVERS = {
	"vite 6, development": "vite6",
	"vite 8, development": "vite8",
};

/** @param {string} name one of SERVERS @param {string} from @param {object} server how it serves */
async function viteServer(name, from, server) {
	const { createServer } = await vite(name);
	return createServer({
		root: from,
		configFile: false,
		logLevel: "error",
		cacheDir: join(from, `.${name}`),
		server: { middlewareMode: true, ...server },
	});
}

/** @param {string} name one of SERVERS @param {string} from */
export const developmentServer = (name, from) => viteServer(name, from, { hmr: false, ws: false });

/** One that replaces modules in its open pages, by a socket of the page's own server.
 * @param {string} name one of SERVERS @param {string} from @param {import("node:http").Server} server */
export const hotServer = (name, from, server) => viteServer(name, from, { hmr: { server } });

/** The page's own files. @param {string} folder */
export function writePage(folder) {
	mkdirSync(folder, { recursive: true });
	writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
	writeFileSync(join(folder, "page.js"), PAGE);
	writeFileSync(join(folder, "index.html"), html("/page.js"));
}

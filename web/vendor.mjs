// Lays out the libraries that the pages use, as the daemon serves them under /vendor: copies them
// out of a folder of packages, and puts a gzipped twin beside each. Downloads nothing. A page finds
// either all of them or none: they are laid beside, and then take the old ones' place. Called by
// the build and by tools/dev/pages.sh: node web/vendor.mjs OUTDIR [PACKAGES, else web/node_modules]
import { createReadStream, createWriteStream, realpathSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createGzip } from "node:zlib";

/** What is served, by its name under /vendor: a file of a package. */
export const served = {
	"web-llm.js": "@mlc-ai/web-llm/lib/index.js",
	"transformers.js": "@huggingface/transformers/dist/transformers.min.js",
	"ort-wasm-simd-threaded.asyncify.mjs":
		"onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs",
	"ort-wasm-simd-threaded.asyncify.wasm":
		"onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
	"ort.js": "onnxruntime-web/dist/ort.webgpu.min.mjs",
	"silero_vad.onnx": "@ricky0123/vad-web/dist/silero_vad_v6.onnx",
	"uplot.css": "uplot/dist/uPlot.min.css",
	"uplot.js": "uplot/dist/uPlot.iife.min.js",
	"marked.js": "marked/lib/marked.esm.js",
	"purify.js": "dompurify/dist/purify.es.mjs",
	"idb.js": "idb/build/index.js",
};

/** What packs the SDK (sdk_package.mjs), and is not served. */
export const builders = [
	"typescript/lib/tsc.js",
	"typescript/lib/_tsc.js",
	"typescript/lib/lib*.d.ts",
	"@webgpu/types/dist/index.d.ts",
];

/** @param {string} path */
export const packageOf = (path) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path;

/** Each package's license, beside what is served of it. */
async function layLicenses(packages, folder) {
	await mkdir(join(folder, "licenses"), { recursive: true });
	for (const name of new Set(Object.values(served).map(packageOf))) {
		const about = await readFile(join(packages, name, "package.json"), "utf8");
		const { license } = JSON.parse(about);
		const text = await readFile(join(packages, name, "LICENSE"), "utf8").catch(
			() => `${license}\n`,
		); // onnxruntime-web names its license only
		await writeFile(join(folder, "licenses", `${name.replace("/", "-")}.txt`), text);
	}
}

/** Text: without the link to a source map that is not served. uPlot's small build is a script that
 * defines one variable; an export makes a module of it. */
async function writeText(name, from, to) {
	let text = await readFile(from, "utf8");
	text = text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
	if (name === "uplot.js") text += "export default uPlot;\n";
	await writeFile(to, text);
}

async function lay(name, from, folder) {
	const to = join(folder, name);
	if (/\.(m?js)$/.test(name)) await writeText(name, from, to);
	else await copyFile(from, to);
	await pipeline(createReadStream(to), createGzip({ level: 9 }), createWriteStream(`${to}.gz`));
	return (await stat(to)).size;
}

async function main(folder, packages) {
	const fresh = `${folder}.new`;
	const old = `${folder}.old`;
	await rm(fresh, { recursive: true, force: true });
	await mkdir(fresh, { recursive: true });
	let bytes = 0;
	for (const [name, path] of Object.entries(served))
		bytes += await lay(name, join(packages, path), fresh).catch((error) => {
			throw new Error(`${name}: ${error.message}; run: make pages`);
		});
	await layLicenses(packages, fresh);
	await writeFile(join(fresh, "state.json"), '{"ready":true}\n');
	await rm(old, { recursive: true, force: true });
	await rename(folder, old).catch(() => {}); // there may be none yet
	await rename(fresh, folder);
	await rm(old, { recursive: true, force: true });
	const count = Object.keys(served).length;
	process.stdout.write(`vendor: ${count} files, ${(bytes / 1e6).toFixed(1)} MB\n`);
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] && realpathSync(process.argv[1]) === self) {
	const [folder, packages = fileURLToPath(new URL("./node_modules/", import.meta.url))] =
		process.argv.slice(2);
	if (!folder) {
		process.stderr.write("usage: node web/vendor.mjs OUTDIR [PACKAGES]\n");
		process.exit(64);
	}
	main(folder.replace(/\/+$/, ""), packages).catch((error) => {
		process.stderr.write(`vendor: ${error.message}\n`);
		process.exit(1);
	});
}

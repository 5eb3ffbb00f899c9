// Lays out the libraries that the pages use, as the daemon serves them under /vendor: copies them
// out of node_modules into a folder, and puts a gzipped twin beside whatever is large. Downloads
// nothing. Called by the build: node web/vendor.mjs OUTDIR
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, readdir, stat, writeFile, copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createGzip } from "node:zlib";

const modules = fileURLToPath(new URL("./node_modules/", import.meta.url));
const TWIN_BYTES_MIN = 256 * 1024; // the small ones are compressed when they are embedded

/** What is served as it is, by its name under /vendor. */
const files = {
	"web-llm.js": "@mlc-ai/web-llm/lib/index.js",
	"transformers.js": "@huggingface/transformers/dist/transformers.min.js",
	"ort-wasm-simd-threaded.asyncify.mjs":
		"onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs",
	"ort-wasm-simd-threaded.asyncify.wasm":
		"onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
	"uplot.css": "uplot/dist/uPlot.min.css",
	"uplot.js": "uplot/dist/uPlot.iife.min.js",
	"marked.js": "marked/lib/marked.esm.js",
	"purify.js": "dompurify/dist/purify.es.mjs",
	"idb.js": "idb/build/index.js",
};

/** lit-html is a folder of modules that import each other by relative names. */
async function litFiles() {
	const names = ["lit-html.js", "directive.js", "directive-helpers.js", "async-directive.js"];
	for (const name of await readdir(join(modules, "lit-html/directives"))) {
		if (name.endsWith(".js")) names.push(`directives/${name}`);
	}
	return Object.fromEntries(names.map((name) => [`lit-html/${name}`, `lit-html/${name}`]));
}

/** Each package's license, beside what is served of it. */
async function layLicenses(folder) {
	const paths = [...Object.values(files), "lit-html/lit-html.js"];
	const packages = new Set(paths.map((path) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path));
	await mkdir(join(folder, "licenses"), { recursive: true });
	for (const name of packages) {
		const { license } = JSON.parse(await readFile(join(modules, name, "package.json"), "utf8"));
		const text = await readFile(join(modules, name, "LICENSE"), "utf8")
			.catch(() => `${license}\n`); // onnxruntime-web names its license only
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

async function lay(name, source, folder) {
	const from = join(modules, source);
	const to = join(folder, name);
	await mkdir(dirname(to), { recursive: true });
	if (/\.(m?js)$/.test(name)) await writeText(name, from, to);
	else await copyFile(from, to);
	const { size } = await stat(to);
	if (size >= TWIN_BYTES_MIN) {
		await pipeline(createReadStream(to), createGzip({ level: 9 }),
			createWriteStream(`${to}.gz`));
	}
	return size;
}

const folder = process.argv[2];
if (!folder) {
	process.stderr.write("usage: node web/vendor.mjs OUTDIR\n");
	process.exit(64);
}
const all = Object.entries({ ...files, ...(await litFiles()) });
let bytes = 0;
for (const [name, source] of all) {
	try {
		bytes += await lay(name, source, folder);
	} catch (error) {
		process.stderr.write(`vendor: ${name}: ${error.message}; run: npm ci in web/\n`);
		process.exit(1);
	}
}
await layLicenses(folder);
process.stdout.write(`vendor: ${all.length} files, ${(bytes / 1e6).toFixed(1)} MB\n`);

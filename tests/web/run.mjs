// @ts-check
// Runs the browser tests: every tests/web/**/*.test.mjs, or the files and folders that are named.
//   node tests/web/run.mjs [FILE | FOLDER]...
// Three files at a time, each in a process of its own: many wait more than they compute. Those
// named *.long.test.mjs begin, then the largest, so that no long one runs alone at the end. Prints
// TAP with node's summary at the end; exit status 1 when a test failed, 2 when something that the
// tests need is missing. Environment: BATON_BIN, BATON_WEB_ARGS (such as --dev, to serve the
// sources), CHROMIUM, FIREFOX.
import { setMaxListeners } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { run } from "node:test";
import { tap } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { missing } from "./lib/packages.mjs";

const CONCURRENCY = 3;
const FILE_TIMEOUT_MS = 600_000;

/** @param {string} path @returns {string[]} */
function testFiles(path) {
	if (!statSync(path).isDirectory()) return [path];
	return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
		const inside = join(path, entry.name);
		return entry.isDirectory() || entry.name.endsWith(".test.mjs") ? testFiles(inside) : [];
	});
}

/** @param {string} file */
const rank = (file) => (file.endsWith(".long.test.mjs") ? 0 : 1);

function main() {
	const lacks = missing();
	if (lacks.length > 0) {
		process.stderr.write(`The browser tests cannot run.\n${lacks.join("\n")}\n`);
		process.exitCode = 2;
		return;
	}
	const named = process.argv.slice(2);
	const files = (named.length > 0 ? named : [dirname(fileURLToPath(import.meta.url))])
		.flatMap((path) => testFiles(resolve(path)))
		.sort((a, b) => rank(a) - rank(b) || statSync(b).size - statSync(a).size);
	const stop = new AbortController();
	setMaxListeners(0, stop.signal); // one for each file
	for (const signal of /** @type {NodeJS.Signals[]} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
		process.on(signal, () => {
			process.exitCode = 1;
			stop.abort();
		});
	run({ files, concurrency: CONCURRENCY, timeout: FILE_TIMEOUT_MS, signal: stop.signal })
		.on("test:fail", ({ todo }) => {
			if (todo === undefined || todo === false) process.exitCode = 1;
		})
		.compose(tap)
		.pipe(process.stdout);
}

main();

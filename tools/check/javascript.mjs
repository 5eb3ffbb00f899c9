#!/usr/bin/env node
// One dialect for all JavaScript: ESLint by web/eslint.config.js, and prettier's layout by
// .prettierrc.json and .editorconfig. Says each finding; with --fix, lets both write what they can.
// Usage: tools/check/javascript.mjs [--fix] [ROOT]; exit status 1 when something is wrong, 77 where the
// packages of web/package-lock.json are not installed.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const FOLDERS = ["web", "tests", "tools", "bench"];
/** Beside what ESLint reads; protocol.d.ts is written by tools/gen/protocol. */
const DECLARATIONS = ["web/sdk/types.d.ts"];

const home = fileURLToPath(new URL("../..", import.meta.url));
const fix = process.argv.includes("--fix");
const root = resolve(process.argv.slice(2).find((argument) => argument !== "--fix") ?? home);

/** The two programs, from web/node_modules. */
function packages() {
	const require = createRequire(join(home, "web/package.json"));
	try {
		return { ESLint: require("eslint").ESLint, prettier: require("prettier") };
	} catch (error) {
		const [text] = error.message.split("\n");
		process.stdout.write(`javascript: ${text}; run: tools/dev/deps.sh test\n`);
		return process.exit(77);
	}
}

/** @returns {Promise<string[]>} what prettier would change, or has changed */
async function unformatted(prettier, files) {
	const found = [];
	for (const file of files) {
		const text = await readFile(file, "utf8").catch(() => null);
		if (text === null) continue;
		const options = await prettier.resolveConfig(file, { editorconfig: true });
		const formatted = await prettier.format(text, { ...options, filepath: file });
		if (formatted === text) continue;
		if (fix) await writeFile(file, formatted);
		else found.push(`${relative(root, file)}: not as prettier lays it out`);
	}
	return found;
}

const { ESLint, prettier } = packages();
const { default: rules } = await import(pathToFileURL(join(home, "web/eslint.config.js")).href);
const eslint = new ESLint({
	cwd: root,
	overrideConfigFile: true,
	overrideConfig: rules,
	errorOnUnmatchedPattern: false,
	fix,
});
const results = await eslint.lintFiles(FOLDERS);
if (fix) await ESLint.outputFixes(results);

const findings = results.flatMap(({ filePath, messages }) =>
	messages.map(
		({ line, message, ruleId }) =>
			`${relative(root, filePath)}:${line}: ${message} (${ruleId})`,
	),
);
const files = results.map(({ filePath }) => filePath);
findings.push(
	...(await unformatted(prettier, [...files, ...DECLARATIONS.map((path) => join(root, path))])),
);

for (const finding of findings) process.stdout.write(`${finding}\n`);
if (findings.length > 0)
	process.stdout.write("layout is mended by: tools/check/javascript.mjs --fix\n");
process.stdout.write(`javascript: ${files.length} files, ${findings.length} problems\n`);
process.exitCode = findings.length > 0 ? 1 : 0;

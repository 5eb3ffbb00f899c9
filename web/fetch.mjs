// Fetches the packages whose files the pages are served, and what packs the SDK, nothing else of
// web/package-lock.json: by npm, in the version that the lock file names, checked by its hash.
// Unpacks only what is used. What was fetched before is not fetched again, so an interrupted run
// goes on where it was.
// Run by tools/dev/pages.sh: node web/fetch.mjs FOLDER; says on each line how far it is.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { builders, packageOf, served } from "./vendor.mjs";

const run = promisify(execFile);
const lockFile = fileURLToPath(new URL("./package-lock.json", import.meta.url));
const web = fileURLToPath(new URL(".", import.meta.url));
/** Without the folder that all of a package lies in, whatever its name. */
const MATCHING = ["--strip-components=1", "--wildcards", "--no-wildcards-match-slash"];

/** @param {string} path @param {string} wanted as in a lock file: "sha512-…" */
async function check(path, wanted) {
	const [kind] = wanted.split("-");
	const hash = createHash(kind);
	await pipeline(createReadStream(path), hash);
	if (`${kind}-${hash.digest("base64")}` !== wanted)
		throw new Error("is not what web/package-lock.json names; nothing of it is used");
}

/** @param {string} archive @param {string} into @param {string[]} files inside the package */
async function unpack(archive, into, files) {
	const names = files.map((file) => `*/${file}`);
	await run("tar", ["-xzf", archive, "-C", into, ...MATCHING, ...names]);
}

/**
 * @param {string} folder @param {string} name
 * @param {{version: string, integrity: string}} locked
 * @param {string[]} files inside the package
 */
async function fetchPackage(folder, name, { version, integrity }, files) {
	const stamp = join(folder, `${name.replace("/", "-")}.done`);
	if ((await readFile(stamp, "utf8").catch(() => "")) === integrity) return "there already";
	const { stdout } = await run(
		"npm",
		[
			"pack",
			"--silent",
			"--ignore-scripts",
			`--pack-destination=${folder}`,
			`${name}@${version}`,
		],
		{ cwd: web },
	);
	const archive = join(folder, stdout.trim().split("\n").at(-1) ?? "");
	await check(archive, integrity);
	const fresh = join(folder, "unpacking");
	const target = join(folder, name);
	await rm(fresh, { recursive: true, force: true });
	await mkdir(fresh, { recursive: true });
	await unpack(archive, fresh, ["package.json", ...files]);
	await unpack(archive, fresh, ["LICENSE*"]).catch(() => {}); // it is there or it is not
	await rm(target, { recursive: true, force: true });
	await mkdir(resolve(target, ".."), { recursive: true });
	await rename(fresh, target);
	await writeFile(stamp, integrity);
	await rm(archive);
	return "fetched";
}

async function main(folder) {
	const { packages } = JSON.parse(await readFile(lockFile, "utf8"));
	/** @type {Map<string, string[]>} */
	const wanted = new Map();
	for (const path of [...Object.values(served), ...builders]) {
		const name = packageOf(path);
		wanted.set(name, [...(wanted.get(name) ?? []), path.slice(name.length + 1)]);
	}
	let at = 0;
	for (const [name, files] of wanted) {
		const locked = packages[`node_modules/${name}`];
		const line = `${++at} of ${wanted.size}: ${name} ${locked.version}`;
		process.stdout.write(`${line}\n`);
		await fetchPackage(folder, name, locked, files).catch((error) => {
			throw new Error(`${name}: ${error.stderr?.trim() || error.message}`);
		});
	}
}

const [folder] = process.argv.slice(2);
if (!folder) {
	process.stderr.write("usage: node web/fetch.mjs FOLDER\n");
	process.exit(64);
}
main(resolve(folder)).catch((error) => {
	process.stderr.write(`fetch: ${error.message}\n`);
	process.exit(1);
});

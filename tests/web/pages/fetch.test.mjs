// @ts-check
// web/fetch.mjs and web/vendor.mjs: only what the lock file names is taken, only what is served is
// kept, nothing is fetched twice, and the pages find all of the libraries or none. npm is played by
// a script that packs what the test has made.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	readdirSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../lib/packages.mjs";
import { builders, packageOf, served } from "../../../web/vendor.mjs";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "baton-fetch-"));
const [web, packs, bin] = ["web", "packs", "bin"].map((name) => join(folder, name));
const all = [...Object.values(served), ...builders];
const names = [...new Set(all.map(packageOf))];
/** @param {string} name */
const archive = (name) => join(packs, `${name.replace("/", "-")}-1.0.0.tgz`);
after(() => rmSync(folder, { recursive: true, force: true }));

/** A package with what is served of it and more, packed; its hash as npm writes it.
 * @param {string} name */
async function pack(name) {
	const made = join(folder, "made", name, "package");
	const files = all
		.filter((path) => packageOf(path) === name)
		.map((path) => path.slice(name.length + 1));
	for (const file of [...files, "lib/huge.bin", "LICENSE"]) {
		mkdirSync(dirname(join(made, file)), { recursive: true });
		writeFileSync(join(made, file), `${name} ${file}\n//# sourceMappingURL=x.map\n`);
	}
	writeFileSync(join(made, "package.json"), JSON.stringify({ name, license: "MIT" }));
	await run("tar", ["-czf", archive(name), "-C", join(made, ".."), "package"]);
	return `sha512-${createHash("sha512")
		.update(readFileSync(archive(name)))
		.digest("base64")}`;
}

before(async () => {
	for (const made of [web, packs, bin]) mkdirSync(made);
	for (const name of ["fetch.mjs", "vendor.mjs"])
		cpSync(join(root, "web", name), join(web, name));
	/** @type {Record<string, {version: string, integrity: string}>} */
	const packages = {};
	for (const name of names)
		packages[`node_modules/${name}`] = { version: "1.0.0", integrity: await pack(name) };
	writeFileSync(join(web, "package-lock.json"), JSON.stringify({ packages }));
	writeFileSync(
		join(bin, "npm"),
		`#!/bin/bash
echo "$*" >>${folder}/asked
name=\${*: -1}; name=\${name%@*}; file=\${name//\\//-}-1.0.0.tgz
for word; do case $word in --pack-destination=*) to=\${word#*=} ;; esac; done
cp "${packs}/$file" "$to/" && echo "$file"
`,
		{ mode: 0o755 },
	);
});

const asked = () =>
	existsSync(join(folder, "asked"))
		? readFileSync(join(folder, "asked"), "utf8").trim().split("\n").length
		: 0;
const fetched = join(folder, "fetched");
const fetchAll = () =>
	run(process.execPath, [join(web, "fetch.mjs"), fetched], {
		env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
	});

test("what is not what the lock file names is not used, and the next run goes on", async () => {
	mkdirSync(fetched);
	const last = names[names.length - 1];
	const good = readFileSync(archive(last));
	writeFileSync(archive(last), "another");
	await assert.rejects(fetchAll(), /is not what web\/package-lock\.json names/);
	assert.equal(asked(), names.length);
	assert.equal(existsSync(join(fetched, last)), false);
	writeFileSync(archive(last), good);
	const { stdout } = await fetchAll();
	assert.equal(asked(), names.length + 1, "only what was not there");
	assert.deepEqual(
		stdout.trim().split("\n"),
		names.map((name, at) => `${at + 1} of ${names.length}: ${name} 1.0.0`),
	);
	assert.equal(existsSync(join(fetched, last, "lib/huge.bin")), false);
	assert.equal(
		readdirSync(fetched).some((name) => name.endsWith(".tgz")),
		false,
	);
});

test("libraries are laid whole, in the place of older ones, or not at all", async () => {
	const vendor = join(folder, "out/vendor");
	mkdirSync(vendor, { recursive: true });
	writeFileSync(join(vendor, "old.js"), "old");
	const lay = () => run(process.execPath, [join(web, "vendor.mjs"), vendor, fetched]);
	const gone = join(fetched, served["idb.js"]);
	const text = readFileSync(gone);
	rmSync(gone);
	await assert.rejects(lay(), /idb\.js: .*run: make pages/);
	assert.deepEqual(readdirSync(vendor), ["old.js"]);
	writeFileSync(gone, text);
	await lay();
	const laid = readdirSync(vendor).filter((name) => !name.endsWith(".gz"));
	assert.deepEqual(laid.sort(), [...Object.keys(served), "licenses", "state.json"].sort());
	assert.equal(readFileSync(join(vendor, "state.json"), "utf8"), '{"ready":true}\n');
	assert.equal(
		readdirSync(join(vendor, "licenses")).length,
		new Set(Object.values(served).map(packageOf)).size,
	);
	assert.doesNotMatch(readFileSync(join(vendor, "idb.js"), "utf8"), /sourceMapping/);
	assert.deepEqual(readdirSync(dirname(vendor)), ["vendor"]);
});

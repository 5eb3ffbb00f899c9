// Packs the SDK as npm would, types and all, into OUT/baton-sdk.tgz, which the daemon serves as
// /sdk/baton-sdk.tgz. Run by tools/dev/pages.sh, and by the build, which wants to know when and of
// what it was made: node web/sdk_package.mjs OUT PACKAGES [STAMP DEPFILE]; PACKAGES has typescript
// and @webgpu/types.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = fileURLToPath(new URL("./sdk", import.meta.url));
const [stamp, depfile] = process.argv.slice(4);
const [out, packages] = process.argv.slice(2, 4).map((path) => resolve(path));
if (!packages) {
	process.stderr.write("usage: node web/sdk_package.mjs OUT PACKAGES\n");
	process.exit(64);
}

// Beside the sources nothing is made; what lies there of an earlier `npm pack` is left out.
const work = await mkdtemp(join(tmpdir(), "baton-sdk-"));
try {
	await cp(source, work, {
		recursive: true,
		filter: (path) => !path.endsWith("node_modules") && !path.endsWith("/dist"),
	});
	await symlink(packages, join(work, "node_modules"));
	await run(
		process.execPath,
		[
			join(packages, "typescript/lib/tsc.js"),
			"-p",
			".",
			"--noEmit",
			"false",
			"--declaration",
			"--emitDeclarationOnly",
			"--outDir",
			"dist",
		],
		{ cwd: work },
	);
	await run(process.execPath, ["pack.mjs"], { cwd: work });
	const { stdout } = await run("npm", ["pack", "--silent", "--ignore-scripts"], { cwd: work });
	await mkdir(out, { recursive: true });
	const fresh = join(out, "baton-sdk.tgz.new");
	await cp(join(work, stdout.trim().split("\n").at(-1) ?? ""), fresh);
	await rename(fresh, join(out, "baton-sdk.tgz"));
} finally {
	await rm(work, { recursive: true, force: true });
}
if (depfile) {
	const files = (await readdir(source)).filter((name) => /\.(js|mjs|ts|json|md)$/.test(name));
	const paths = [source, ...files.map((name) => join(source, name))];
	await writeFile(depfile, `${stamp}: ${paths.join(" ")}\n`);
	await writeFile(stamp, "baton-sdk.tgz\n");
}

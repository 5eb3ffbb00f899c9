// @ts-check
// The SDK as others install it: packed by `npm pack`, unpacked below a folder's node_modules.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "./children.mjs";
import { root } from "./packages.mjs";

/** Fills FOLDER/node_modules/@baton/sdk. @param {string} folder */
export function installSdk(folder) {
	const from = join(tempFolder("baton-pack"), "sdk");
	cpSync(join(root, "web/sdk"), from, { recursive: true });
	symlinkSync(join(root, "web/node_modules"), join(from, "node_modules"));
	const told = execFileSync("npm", ["pack", "--silent", "--ignore-scripts=false"], {
		cwd: from,
		encoding: "utf8",
	});
	const at = join(folder, "node_modules/@baton/sdk");
	mkdirSync(at, { recursive: true });
	execFileSync("tar", [
		"-xzf",
		join(from, told.trim().split("\n").at(-1) ?? ""),
		"--strip-components=1",
		"-C",
		at,
	]);
	return at;
}

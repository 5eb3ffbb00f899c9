// @ts-check
// A browser's wall clock, which a test may set while it runs.
import { execFileSync } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tempFolder } from "./children.mjs";

/** What a browser is started with, and what sets its clock: so many seconds ahead of the machine's. */
export function settableClock() {
	const folder = tempFolder("baton-clock");
	const [library, file] = ["set_clock.so", "ahead"].map((name) => join(folder, name));
	const source = fileURLToPath(new URL("set_clock.c", import.meta.url));
	execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source]);
	const fd = openSync(file, "w");
	const set = (/** @type {number} */ seconds) => {
		const long = Buffer.alloc(8);
		long.writeBigInt64LE(BigInt(seconds));
		writeSync(fd, long, 0, 8, 0);
	};
	set(0);
	return { env: { LD_PRELOAD: library, SET_CLOCK: file }, set };
}

// @ts-check
// Child processes that never outlive the test: each leads a process group of its own, which is
// killed when the test's process ends, be it by a throw, a signal or the end of the file; where
// setpriv is installed also when that process itself is killed. Temporary folders go the same way.
// Used by daemon.mjs and cdp.mjs.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SETPRIV = "/usr/bin/setpriv";
/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();
/** @type {Set<string>} */
const folders = new Set();

/**
 * To a process, or to the group of a negative number; one that has ended hears nothing.
 * @param {number} pid @param {NodeJS.Signals} signal
 */
export function signalTo(pid, signal) {
	try {
		process.kill(pid, signal);
	} catch (error) {
		if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
	}
}

/** @param {import("node:child_process").ChildProcess} child @param {NodeJS.Signals} [signal] */
export function killGroup(child, signal = "SIGKILL") {
	signalTo(-(/** @type {number} */ (child.pid)), signal);
}

/** @param {string} folder */
export function removeFolder(folder) {
	folders.delete(folder);
	rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

function endAll() {
	for (const child of children) killGroup(child);
	for (const folder of folders) removeFolder(folder);
}

process.on("exit", endAll);
for (const signal of /** @type {NodeJS.Signals[]} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
	process.on(signal, () => process.exit(1));

/** A new folder that is removed at the end. @param {string} name */
export function tempFolder(name) {
	const folder = mkdtempSync(join(tmpdir(), `${name}-`));
	folders.add(folder);
	return folder;
}

/**
 * Starts a program as the leader of a process group that ends with this process.
 * @param {string} program @param {string[]} args
 * @param {import("node:child_process").SpawnOptions} options
 */
export function start(program, args, options) {
	const wrapped = existsSync(SETPRIV);
	const child = spawn(
		wrapped ? SETPRIV : program,
		wrapped ? ["--pdeathsig", "KILL", program, ...args] : args,
		{ ...options, detached: true },
	);
	children.add(child);
	child.on("exit", () => children.delete(child));
	return child;
}

/** Resolves when it has ended. @param {import("node:child_process").ChildProcess} child */
export function ended(child) {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
	return new Promise((done) => child.once("exit", () => done(undefined)));
}

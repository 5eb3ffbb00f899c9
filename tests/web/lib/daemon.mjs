// @ts-check
// The real daemon in a folder of its own: started on port 0 with one fake GPU, killed at the end.
// restart() keeps port and state, as a person's restart would. Used by every browser test.
// Environment: BATON_BIN (the executable), BATON_WEB_ARGS (more arguments, such as --dev).
import { execFile } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ended, killGroup, removeFolder, start, tempFolder } from "./children.mjs";
import { batonPath, root } from "./packages.mjs";
import { until, within } from "./until.mjs";

const run = promisify(execFile);
const webArgs = (process.env.BATON_WEB_ARGS || "").split(" ").filter(Boolean);

/**
 * A value in YAML's block style, so that an error names the line.
 * @param {Record<string, any>} value @param {string} [pad]
 * @returns {string}
 */
function yaml(value, pad = "") {
	return Object.entries(value)
		.map(([key, item]) =>
			item !== null && typeof item === "object" && !Array.isArray(item)
				? `${pad}${key}:\n${yaml(item, `${pad}  `)}`
				: `${pad}${key}: ${JSON.stringify(item)}\n`,
		)
		.join("");
}

export class Daemon {
	/** @param {DaemonOptions} options */
	constructor({ args = [], config = {}, env = {}, gpu = "rtx:24576" }) {
		this.folder = tempFolder("baton-web");
		this.args = [...(gpu ? ["--fake-gpu", gpu] : []), ...webArgs, ...args];
		this.env = env;
		this.socket = join(this.folder, "run", "baton.sock");
		this.state = join(this.folder, "state");
		this.port = 0;
		this.logPath = join(this.folder, "log");
		/** @type {import("node:child_process").ChildProcess | null} */
		this.process = null;
		mkdirSync(join(this.folder, "run"), { mode: 0o700 });
		this.writeConfig(config);
	}

	/** Replaces the configuration; the daemon reads it at its next start. @param {object} config */
	writeConfig(config) {
		writeFileSync(join(this.folder, "config.yaml"), yaml(config));
	}

	/** Starts it and waits until it answers. */
	async start() {
		const old = this.log().length;
		const log = openSync(this.logPath, "a");
		this.process = start(
			batonPath,
			[
				"serve",
				"--listen",
				`127.0.0.1:${this.port}`,
				"--socket",
				this.socket,
				"--state",
				this.state,
				"--config",
				join(this.folder, "config.yaml"),
				...this.args,
			],
			{ cwd: root, stdio: ["ignore", log, log], env: { ...process.env, ...this.env } },
		);
		closeSync(log);
		await until(
			async () => {
				if (!this.alive) return true;
				const found = /127\.0\.0\.1:(\d+)/.exec(this.log().slice(old));
				if (!found) return false;
				this.port = Number(found[1]);
				return (await fetch(`${this.base}/health`)).status === 200;
			},
			{ what: "the daemon answers", ms: 20000 },
		);
		if (!this.alive) throw new Error(`the daemon ended: ${this.log().slice(old)}`);
		return this;
	}

	get alive() {
		const child = this.process;
		return child !== null && child.exitCode === null && child.signalCode === null;
	}

	get base() {
		return `http://127.0.0.1:${this.port}`;
	}
	get token() {
		return readFileSync(join(this.state, "token"), "utf8").trim();
	}
	get adminToken() {
		return readFileSync(join(this.state, "admin-token"), "utf8").trim();
	}

	/** All that it has said. */
	log() {
		return existsSync(this.logPath) ? readFileSync(this.logPath, "utf8") : "";
	}

	/** One client command; what it prints. @param {string[]} args */
	async cli(...args) {
		const { stdout } = await run(batonPath, args, {
			env: { ...process.env, BATON_SOCKET: this.socket },
			timeout: 20000,
		});
		return stdout.trim();
	}

	/** A link that signs a browser in, once. */
	async link() {
		return this.cli("open", "--print");
	}

	/**
	 * One HTTP exchange with the admin token; the answer's JSON.
	 * @param {string} method @param {string} path @param {object} [body]
	 * @returns {Promise<any>}
	 */
	async http(method, path, body) {
		const answer = await fetch(this.base + path, {
			method,
			headers: {
				Authorization: `Bearer ${this.adminToken}`,
				...(body ? { "Content-Type": "application/json" } : {}),
			},
			body: body && JSON.stringify(body),
		});
		return answer.json();
	}

	/** @returns {Promise<any>} */
	async status() {
		return this.http("GET", "/v1/gpu/status");
	}

	/** SIGKILL, as if it had crashed. */
	async kill() {
		if (this.process && this.alive) {
			killGroup(this.process);
			await ended(this.process);
		}
	}

	/** Starts it anew on the same port, with the same state; kills it first if it runs. */
	async restart() {
		await this.kill();
		return this.start();
	}

	/** Ends it properly and removes its folder. */
	async stop() {
		if (this.process && this.alive) {
			killGroup(this.process, "SIGTERM");
			await within(ended(this.process), { what: "the daemon stops" }).catch(() =>
				this.kill(),
			);
		}
		removeFolder(this.folder);
	}
}

/**
 * @typedef {object} DaemonOptions
 * @property {string[]} [args] more arguments of `baton serve`
 * @property {Record<string, any>} [config] the configuration file's content
 * @property {Record<string, string>} [env]
 * @property {string | null} [gpu] NAME:VRAM_MB[:SLOTS]; null when `args` or `config` name them
 */

/** @param {DaemonOptions} [options] */
export async function startDaemon(options = {}) {
	const daemon = new Daemon(options);
	try {
		return await daemon.start();
	} catch (error) {
		await daemon.stop();
		throw error;
	}
}

// @ts-check
// A session of the broker from Node, as plain as the protocol: for tests in which somebody else
// than a page wants the GPU. Used by the tests of the pages.
import { WebSocket } from "../lib/packages.mjs";
import { until } from "../lib/until.mjs";

export class Session {
	/** @param {import("../lib/daemon.mjs").Daemon} daemon @param {string} id */
	static async open(daemon, id) {
		const session = new Session(daemon);
		await new Promise((done, fail) => {
			session.socket.on("open", done);
			session.socket.on("error", fail);
		});
		session.send({ type: "hello", id, token: daemon.token });
		await session.heard("welcome");
		return session;
	}

	/** @param {import("../lib/daemon.mjs").Daemon} daemon */
	constructor(daemon) {
		/** @type {any[]} all that it was told */
		this.messages = [];
		this.socket = new WebSocket(`ws://127.0.0.1:${daemon.port}/v1/gpu/session`);
		this.socket.on("message", (/** @type {Buffer} */ data) => {
			const message = JSON.parse(String(data));
			this.messages.push(message);
			if (message.type === "heartbeat") this.send({ type: "alive" });
			if (message.type === "offered") this.send({ type: "accept", lease: message.lease });
		});
	}

	/** @param {object} message */
	send(message) {
		this.socket.send(JSON.stringify(message));
	}

	/**
	 * The first message of a type.
	 * @param {string} type
	 * @param {number} [ms]
	 * @returns {Promise<any>}
	 */
	heard(type, ms = 20000) {
		return until(() => this.messages.find((message) => message.type === type), {
			ms,
			what: `the session hears ${type}`,
		});
	}

	close() {
		this.socket.terminate();
	}
}

/**
 * Looks at the broker's status after every change that it tells of: who computes then.
 * @param {import("../lib/daemon.mjs").Daemon} daemon
 */
export async function watchHolders(daemon) {
	const abort = new AbortController();
	const answer = await fetch(`${daemon.base}/v1/gpu/events`, {
		signal: abort.signal,
		headers: { Authorization: `Bearer ${daemon.adminToken}` },
	});
	/** @type {string[][]} the names of those that held a compute turn, by sample */
	const samples = [];
	let looking = Promise.resolve();
	const look = async () => {
		const { leases } = await daemon.status();
		samples.push(
			leases
				.filter((/** @type {any} */ lease) => lease.slots > 0)
				.map((/** @type {any} */ lease) => lease.id),
		);
	};
	const read = (async () => {
		const decoder = new TextDecoder();
		for await (const piece of /** @type {any} */ (answer.body)) {
			if (/^data:/m.test(decoder.decode(piece))) looking = looking.then(look);
		}
	})().catch((error) => {
		if (!abort.signal.aborted) throw error;
	});
	return {
		samples,
		async close() {
			abort.abort();
			await read;
			await looking;
		},
	};
}

// @ts-check
// A client of the session protocol in the test's own process, without the SDK: to look at the
// broker from outside the browser, and to be the client that does not behave. It answers
// heartbeats.
import { WebSocket } from "./packages.mjs";
import { until } from "./until.mjs";

export class Session {
	/** @param {any} socket */
	constructor(socket) {
		this.socket = socket;
		/** @type {any[]} all that came, oldest first */
		this.messages = [];
		/** @type {number | null} */
		this.closeCode = null;
		socket.on("message", (/** @type {any} */ data) => {
			const message = JSON.parse(data);
			this.messages.push(message);
			if (message.type === "heartbeat") this.send({ type: "alive" });
		});
		socket.on("close", (/** @type {number} */ code) => {
			this.closeCode = code;
		});
		socket.on("error", () => undefined);
	}

	/** @param {object} message */
	send(message) {
		this.socket.send(JSON.stringify(message));
	}

	/**
	 * Waits for a message of that type that came after the first `from` messages.
	 * @param {string} type @param {number} [from] @returns {Promise<any>}
	 */
	hear(type, from = 0) {
		return until(() => this.messages.slice(from).find((m) => m.type === type), {
			what: `a ${type} message`,
			every: 2,
		});
	}

	/** Sends and waits for an answer of that type. @param {object} message @param {string} type */
	ask(message, type) {
		const from = this.messages.length;
		this.send(message);
		return this.hear(type, from);
	}

	close() {
		this.socket.terminate();
	}
}

/**
 * A session with the admin token.
 * @param {import("./daemon.mjs").Daemon} daemon @param {string} [id]
 */
export async function connect(daemon, id = "test") {
	const socket = new WebSocket(`ws://127.0.0.1:${daemon.port}/v1/gpu/session`);
	const session = new Session(socket);
	await until(() => socket.readyState === 1, { what: "the WebSocket opens", every: 2 });
	await session.ask({ type: "hello", version: 1, id, token: daemon.adminToken }, "welcome");
	return session;
}

// @ts-check
// An Ollama by hand, for pages that show the gateway: it lists models, loads and unloads them, and
// answers chats; each of the three stops at a gate that a test closes.
import { createServer } from "node:http";

/** Something that waits while it is closed. */
class Gate {
	constructor() {
		/** @type {Promise<void>} */
		this.opened = Promise.resolve();
		this.open = () => {};
	}

	close() {
		this.opened = new Promise((resolve) => {
			this.open = resolve;
		});
	}
}

export class ModelServer {
	/** @param {string[]} names */
	constructor(names) {
		this.names = names;
		/** @type {Set<string>} */
		this.loaded = new Set();
		this.loads = new Gate();
		this.unloads = new Gate();
		this.answers = new Gate();
		this.loadStatus = 200;
		this.server = createServer((request, response) => this.serve(request, response));
	}

	/** @returns {Promise<this>} */
	listen() {
		return new Promise((resolve) => {
			this.server.listen(0, "127.0.0.1", () => resolve(this));
		});
	}

	/** Its entry of the configuration: any two of its models are too much for one GPU of 24 GiB. */
	get upstream() {
		const { port } = /** @type {import("node:net").AddressInfo} */ (this.server.address());
		return {
			name: "ollama",
			kind: "ollama",
			url: `http://127.0.0.1:${port}`,
			models: this.names.map((name) => ({ name, vram_mb: 14000 })),
		};
	}

	/** @param {import("node:http").IncomingMessage} request
	 * @param {import("node:http").ServerResponse} response */
	async serve(request, response) {
		let text = "";
		for await (const piece of request) text += piece;
		const body = text ? JSON.parse(text) : {};
		const known = (/** @type {Iterable<string>} */ names) => ({
			models: [...names].map((name) => ({ name, size: 2 ** 30, size_vram: 2 ** 30 })),
		});
		const say = (/** @type {object} */ said, status = 200) => {
			response.writeHead(status, { "Content-Type": "application/json" });
			response.end(JSON.stringify(said));
		};
		if (request.url === "/api/tags") say(known(this.names));
		else if (request.url === "/api/ps") say(known(this.loaded));
		else if (request.url === "/api/generate") await this.keep(body, say);
		else await this.answer(say);
	}

	/** @param {{model: string, keep_alive: number}} body
	 * @param {(said: object, status?: number) => void} say */
	async keep({ model, keep_alive }, say) {
		await (keep_alive ? this.loads : this.unloads).opened;
		if (!keep_alive) this.loaded.delete(model);
		else if (this.loadStatus === 200) this.loaded.add(model);
		say({}, keep_alive ? this.loadStatus : 200);
	}

	/** @param {(said: object) => void} say */
	async answer(say) {
		await this.answers.opened;
		say({
			choices: [{ message: { role: "assistant", content: "yes" }, finish_reason: "stop" }],
		});
	}

	close() {
		for (const gate of [this.loads, this.unloads, this.answers]) gate.open();
		this.server.closeAllConnections();
		this.server.close();
	}
}

/**
 * One chat through the gateway; its status, or 0 when it was left.
 * @param {import("./daemon.mjs").Daemon} daemon @param {string} model @param {string} client
 * @param {{signal?: AbortSignal}} [options]
 */
export async function chat(daemon, model, client, { signal } = {}) {
	try {
		const answer = await fetch(`${daemon.base}/v1/chat/completions`, {
			method: "POST",
			signal,
			headers: {
				Authorization: `Bearer ${daemon.token}`,
				"Content-Type": "application/json",
				"User-Agent": client,
			},
			body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
		});
		await answer.text();
		return answer.status;
	} catch {
		return 0;
	}
}

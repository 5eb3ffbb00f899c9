// @ts-check
// The predecessor's logger: lines on two BroadcastChannels, which the log viewer follows. A module of
// its own, because pages that log need nothing else of the kernel.

/** Log lines for the log viewer, to all tabs of this origin. */
export class SovereignLogger {
	#channels = ["sovereign-logs", "coda_logs"].map((name) => new BroadcastChannel(name));

	/** @param {string} source who speaks */
	constructor(source) {
		this.source = source;
	}

	/**
	 * @param {"info"|"warn"|"error"|"success"} level
	 * @param {unknown} message
	 */
	#log(level, message) {
		const at = Date.now();
		for (const channel of this.#channels)
			channel.postMessage({
				source: this.source,
				level,
				type: level,
				message: String(message),
				msg: String(message),
				timestamp: at,
				time: new Date(at).toISOString(),
			});
	}

	/** @param {unknown} message */
	info(message) {
		this.#log("info", message);
	}

	/** @param {unknown} message */
	warn(message) {
		this.#log("warn", message);
	}

	/** @param {unknown} message */
	error(message) {
		this.#log("error", message);
	}

	/** @param {unknown} message */
	success(message) {
		this.#log("success", message);
	}

	close() {
		for (const channel of this.#channels.splice(0)) channel.close();
	}
}

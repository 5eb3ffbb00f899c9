// @ts-check
// The pages' logging: short lines for people on the channels that the log viewer follows. Never
// what a person said or a model wrote. Used by Console, Mic and Dreamer.
import { SovereignLogger } from "/modules/logger.js";

/**
 * A logger that says where its lines come from. Close it when the page is left.
 * @param {string} source such as "Root Mic"
 */
export function pageLog(source) {
	const logger = new SovereignLogger(source);
	addEventListener("pagehide", (event) => {
		if (!event.persisted) logger.close();
	});
	return logger;
}

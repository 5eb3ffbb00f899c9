// @ts-check
// What a log line is, wherever it came from: the broker's line of text, or what a page posted on
// its channel. Pure; liberal in what it reads, and bounded. Used by logs.js.

export const LINES_MAX = 5000;
const TEXT_MAX = 4000;
const SOURCE_MAX = 64;
const TWIN_MS = 2000;

/**
 * @typedef {"debug"|"info"|"success"|"warn"|"error"} Level
 * @typedef {{key: number, at: number, level: Level, source: string, text: string}} Line
 */

/** @type {Record<string, Level>} */
const LEVELS = {
	debug: "debug",
	trace: "debug",
	log: "info",
	info: "info",
	notice: "info",
	success: "success",
	ok: "success",
	warn: "warn",
	warning: "warn",
	error: "error",
	err: "error",
	fatal: "error",
	critical: "error",
};

const SEVERITY = { debug: 0, info: 1, success: 1, warn: 2, error: 3 };

/** Whether a level is at least so severe (0 everything .. 3 errors). @param {Level} level */
export const severityOf = (level) => SEVERITY[level];

/** @param {unknown} word @returns {Level} */
function levelOf(word) {
	return LEVELS[String(word ?? "").toLowerCase()] ?? "info";
}

/** @param {unknown} value */
function timeOf(value) {
	if (typeof value === "number" && value > 0) return value < 1e11 ? value * 1000 : value;
	const parsed = typeof value === "string" ? Date.parse(value) : NaN;
	return Number.isNaN(parsed) ? Date.now() : parsed;
}

/** Text of anything, short enough to show. @param {unknown} value @param {number} most */
function textOf(value, most) {
	let text = typeof value === "string" ? value : "";
	if (typeof value !== "string") {
		try {
			text = JSON.stringify(value) ?? String(value);
		} catch {
			text = String(value);
		}
	}
	return text.length > most ? `${text.slice(0, most)}…` : text;
}

let keys = 0;

/** The broker's line: "TIME LEVEL text". @param {string} line @returns {Line} */
export function brokerLine(line) {
	const found = /^(\d{4}-\d\d-\d\dT\S+)\s+([A-Za-z]+)\s+([^]*)$/.exec(line);
	return {
		key: ++keys,
		source: "broker",
		at: timeOf(found?.[1]),
		level: levelOf(found?.[2]),
		text: textOf(found?.[3] ?? line, TEXT_MAX),
	};
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isFields = (value) => typeof value === "object" && value !== null;

/**
 * What a page posted: {source, level or type, message or text, time}, or just a text.
 * @param {unknown} data
 * @returns {Line|null} null when there is nothing to show
 */
export function pageLine(data) {
	const said = isFields(data) ? data : { message: data };
	const inner = isFields(said.payload) ? said.payload : said;
	const message = inner.message ?? inner.msg ?? inner.text ?? inner.line;
	if (message === undefined || message === null || message === "") return null;
	return {
		key: ++keys,
		at: timeOf(inner.time ?? inner.timestamp ?? inner.at),
		level: levelOf(inner.level ?? inner.type),
		source: textOf(inner.source ?? inner.agent ?? inner.from ?? "a page", SOURCE_MAX),
		text: textOf(message, TEXT_MAX),
	};
}

/**
 * Pages post each line on both channels, for viewers that know only one of them. Tells, line by
 * line, whether it is new or the twin of one that came on the other channel.
 */
export class Twins {
	constructor() {
		/** @type {Map<string, {at: number, counts: Map<string, number>}>} */
		this.seen = new Map();
	}

	/**
	 * @param {string} channel @param {unknown} data what was posted @param {Line} line
	 * @param {number} now
	 */
	isNew(channel, data, line, now) {
		for (const [key, { at }] of this.seen) {
			if (now - at < TWIN_MS) break; // they are in the order of their time
			this.seen.delete(key);
		}
		const { timestamp = null, time = null } = isFields(data) ? data : {};
		const stamp = timestamp ?? time ?? "";
		const key = `${stamp}\n${line.source}\n${line.level}\n${line.text}`;
		const entry = this.seen.get(key) ?? { at: now, counts: new Map() };
		const count = (entry.counts.get(channel) ?? 0) + 1;
		const others = [...entry.counts].filter(([name]) => name !== channel).map(([, n]) => n);
		entry.counts.set(channel, count);
		this.seen.set(key, entry);
		return count > Math.max(0, ...others);
	}
}

/** One line as it is copied. @param {Line} line */
export function copyText(line) {
	const text = line.text.replace(/\n/g, "\n    ");
	return `${new Date(line.at).toISOString()} ${line.level.toUpperCase()} ${line.source}: ${text}`;
}

/**
 * @param {Line} line
 * @param {{text: string, severity: number, source: string}} filter
 */
export function fits(line, filter) {
	return (
		severityOf(line.level) >= filter.severity
		&& (!filter.source || line.source === filter.source)
		&& (!filter.text
			|| `${line.source} ${line.level} ${line.text}`.toLowerCase().includes(filter.text))
	);
}

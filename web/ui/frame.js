// @ts-check
// The frame of every page: header with navigation and connection state, title and favicon that show
// the state, the error banner, dialogs, what is asked over HTTP by whom this browser is signed in
// as, and how numbers are written: one module, for each costs a page a request. It knows no session
// and no page's content. For all; needs <header id="frame"> and <main id="main">.
import { pageKey } from "./page_key.js";

/**
 * @typedef {"idle"|"waiting"|"offered"|"holding"|"resident"|"yielding"|"overdue"|"lost"|"paused"
 *   |"offline"|"reconnecting"|"signed-out"} StateWord
 * @typedef {"connecting"|"open"|"reconnecting"|"offline"|"closed"|"signed-out"} Connection
 * @typedef {{title: string, body?: string, victim?: string|string[], wantReason?: boolean,
 *   action: string, danger?: boolean}} Question
 */

const PAGES = [
	{ page: "dashboard", href: "/", label: "Dashboard" },
	{ page: "console", href: "/console", label: "Console" },
	{ page: "mic", href: "/mic", label: "Mic" },
	{ page: "dreamer", href: "/dreamer", label: "Dreamer" },
	{ page: "models", href: "/models", label: "Models" },
	{ page: "logs", href: "/logs", label: "Logs" },
];

const CONNECTION_WORDS = {
	connecting: "Connecting",
	open: "Connected",
	reconnecting: "Reconnecting",
	offline: "Not connected",
	closed: "Closed",
	"signed-out": "Signed out",
};

/** Colours of the favicon's dot: an icon has no stylesheet, and lies on light and dark tabs. */
const DOTS = {
	idle: "#8a94a6",
	waiting: "#7d8db0",
	offered: "#8f6be8",
	holding: "#18a77f",
	resident: "#3095c4",
	yielding: "#e09a1c",
	paused: "#e09a1c",
	reconnecting: "#e09a1c",
	overdue: "#d93a34",
	lost: "#d93a34",
	offline: "#d93a34",
	"signed-out": "#d93a34",
};

const REASON_BYTES_MAX = 120;
const VICTIMS_SEEN = 4;
const SVG = "http://www.w3.org/2000/svg";
let pageTitle = "Baton";

/**
 * Makes an element with attributes and children; text stays text.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node|string)} children
 */
export function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	made.append(...children);
	return made;
}

/** The mark: a baton in two halves, one for who gives and one for who takes. */
function mark() {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	for (const [name, d] of [
		["mark-a", "M3.4 16.4 12 7.8l4.2 4.2-8.6 8.6a2.97 2.97 0 0 1-4.2-4.2z"],
		["mark-b", "M13.4 6.4l3-3a2.97 2.97 0 0 1 4.2 4.2l-3 3z"],
	]) {
		const path = document.createElementNS(SVG, "path");
		path.setAttribute("class", name);
		path.setAttribute("d", d);
		svg.append(path);
	}
	return svg;
}

/** @param {{page: string, title: string}} options */
export function mountFrame({ page, title }) {
	pageTitle = title;
	const header = document.getElementById("frame");
	if (!header) throw new Error('The page has no <header id="frame">.');
	const nav = element("nav", { class: "frame-nav", "aria-label": "Pages" });
	for (const entry of PAGES) {
		const link = element("a", { href: entry.href }, entry.label);
		if (entry.page === page) link.setAttribute("aria-current", "page");
		nav.append(link);
	}
	const home = element(
		"a",
		{ class: "frame-mark", href: "/", "aria-label": "Baton, dashboard" },
		mark(),
		"Baton",
	);
	const connection = element("span", { id: "frame-connection", role: "status" });
	header.replaceChildren(
		element("a", { class: "skip-link", href: "#main" }, "Skip to the content"),
		element(
			"div",
			{ class: "frame-bar" },
			home,
			nav,
			element("div", { class: "frame-end" }, connection),
		),
	);
	document.getElementById("main")?.setAttribute("tabindex", "-1");
	if (!document.getElementById("frame-alerts")) {
		header.after(element("div", { id: "frame-alerts", role: "alert" }));
	}
	setState({ word: "idle", detail: "" });
}

/**
 * What the tab's title and icon say, such as {word: "holding", detail: "Mic holds, 2 waiting"}.
 * @param {{word: StateWord, detail?: string}} state
 */
export function setState({ word, detail = "" }) {
	const text = detail ? `${detail} · ${pageTitle} · Baton` : `${pageTitle} · Baton`;
	if (document.title !== text) document.title = text;
	const dot = DOTS[word] ?? DOTS.idle;
	const alarm = ["overdue", "lost", "offline", "signed-out"].includes(word);
	const shape = alarm
		? `<path d='M23 13.5 31.5 29h-17z' fill='${dot}' stroke='#fff' stroke-width='1.5'/>`
		: `<circle cx='24' cy='24' r='7' fill='${dot}' stroke='#fff' stroke-width='1.5'/>`;
	const icon =
		`<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>`
		+ `<path d='M4.5 21.9 16 10.4l5.6 5.6L10.1 27.5a4 4 0 0 1-5.6-5.6z' fill='#4a6cf0'/>`
		+ `<path d='m17.9 8.5 4-4a4 4 0 0 1 5.6 5.6l-4 4z' fill='#18a77f'/>`
		+ `${word === "idle" ? "" : shape}</svg>`;
	let link = /** @type {HTMLLinkElement|null} */ (document.querySelector("link[rel=icon]"));
	if (!link) {
		link = /** @type {HTMLLinkElement} */ (element("link", { rel: "icon" }));
		document.head.append(link);
	}
	const url = `data:image/svg+xml,${encodeURIComponent(icon)}`;
	if (link.getAttribute("href") !== url) link.setAttribute("href", url);
}

/**
 * The connection as the header shows it.
 * @param {Connection} state
 * @param {string} [detail] shown as a hint
 */
export function showConnection(state, detail = "") {
	const place = document.getElementById("frame-connection");
	if (!place) return;
	place.className = `state state-${state}`;
	place.textContent = CONNECTION_WORDS[state] ?? state;
	place.title = detail;
}

/**
 * Resolves with what the broker answers; rejects in its words, with its code, where it refuses.
 * @param {"GET"|"POST"} method @param {string} path @param {object} [body]
 * @returns {Promise<unknown>}
 */
export async function call(method, path, body) {
	const answer = await fetch(path, {
		method,
		body: body && JSON.stringify(body),
		headers: { "Content-Type": "application/json", Authorization: `Bearer ${pageKey()}` },
	});
	const said = await answer.json().catch(() => ({}));
	if (answer.ok) return said;
	throw Object.assign(new Error(said.error?.message ?? `The broker answered ${answer.status}.`), {
		code: said.error?.code,
	});
}

/** @param {unknown} error */
function codeOf(error) {
	const code = /** @type {{code?: unknown}} */ (error ?? {}).code;
	return typeof code === "string" ? code : "";
}

/**
 * What the reader can do about it, where the message itself does not say so.
 * @param {unknown} error
 */
function wayOn(error) {
	switch (codeOf(error).toUpperCase()) {
		case "UNAUTHORIZED":
			return "Run “baton open” in a terminal and use the link it prints.";
		case "FORBIDDEN":
			return "Run “baton open” in a terminal: its link gives admin rights.";
		case "UNREACHABLE":
			return "Start it with “baton serve”; this page comes back by itself.";
		case "DENIED":
			return "Allow this site to reach programs on this device, then try again.";
		default:
			return "";
	}
}

/** Of the SDK, where there is no session. */
const CONNECTION_CODES = ["UNREACHABLE", "UNAUTHORIZED", "DENIED", "LOST"];
/** Whether what is shown is one of them. */
let ofConnection = false;

/**
 * Says what went wrong, in a banner, with a way on.
 * @param {unknown} error
 * @param {{retry?: () => void}} [options]
 */
export function showError(error, { retry } = {}) {
	const place = document.getElementById("frame-alerts");
	if (!place) return;
	const said = error instanceof Error ? error.message : String(error);
	const hint = wayOn(error);
	const text = hint && !said.includes("baton ") ? `${said} ${hint}` : said;
	const close = element("button", { type: "button", class: "small quiet" }, "Dismiss");
	close.addEventListener("click", clearError);
	const banner = element(
		"div",
		{ class: "error-banner" },
		element("span", { class: "icon", "aria-hidden": "true" }),
		element("p", {}, text),
	);
	if (retry) {
		const again = element("button", { type: "button", class: "small" }, "Try again");
		again.addEventListener("click", () => {
			clearError();
			retry();
		});
		banner.append(again);
	}
	banner.append(close);
	place.replaceChildren(banner);
	ofConnection = CONNECTION_CODES.includes(codeOf(error));
}

export function clearError() {
	document.getElementById("frame-alerts")?.replaceChildren();
}

/** What an open session makes out of date, and nothing else: a full storage stays full. */
export function clearConnectionError() {
	if (ofConnection) clearError();
}

/**
 * Names and reasons carry no control, bidi or zero-width marks on the wire.
 * @param {string} text
 */
export function plainText(text) {
	return text
		.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ")
		.replace(/\s+/g, " ")
		.trim();
}

/** Cuts a text to so many bytes of UTF-8. @param {string} text @param {number} bytes */
export function cutBytes(text, bytes) {
	const encoder = new TextEncoder();
	let cut = "";
	let used = 0;
	for (const character of text) {
		used += encoder.encode(character).length;
		if (used > bytes) break;
		cut += character;
	}
	return cut;
}

/** @param {string|string[]} victim */
function victimBox(victim) {
	const names = Array.isArray(victim) ? victim : [victim];
	const scrolls = names.length > VICTIMS_SEEN; // then it is reached by keyboard, too
	const box = element("div", { class: "victim", ...(scrolls ? { tabindex: "0" } : {}) });
	names.forEach((name) => box.append(element("div", {}, element("bdi", {}, name))));
	return box;
}

function reasonField() {
	const input = /** @type {HTMLInputElement} */ (
		element("input", {
			name: "reason",
			autocomplete: "off",
			autofocus: "",
			required: "",
			maxlength: "120",
			placeholder: "Shown to whoever is hit, and kept in the log",
		})
	);
	return { input, label: element("label", {}, "Reason", input) };
}

/** Shows a dialog, and resolves when it was closed; then it is gone.
 * @param {HTMLDialogElement} dialog @returns {Promise<void>} */
export function showDialog(dialog) {
	document.body.append(dialog);
	dialog.showModal();
	return new Promise((resolve) =>
		dialog.addEventListener("close", () => {
			dialog.remove();
			resolve();
		}),
	);
}

/**
 * Asks by a form. Resolves with what `read` makes of it once it is sent, or null if it was left.
 * @template T
 * @param {{title: string, action: string, danger?: boolean, about?: HTMLElement,
 *   field?: HTMLElement}} question `about`: is read out with the title
 * @param {() => T | undefined} read undefined: something lacks, and the form stays
 * @returns {Promise<T | null>}
 */
export async function askDialog({ title, action, danger, about, field }, read) {
	const form = element("form", {}, element("h2", { id: "ask-title" }, title));
	const dialog = /** @type {HTMLDialogElement} */ (
		element("dialog", { "aria-labelledby": "ask-title" }, form)
	);
	if (about) {
		about.id = "ask-about";
		dialog.setAttribute("aria-describedby", about.id);
		form.append(about);
	}
	if (field) form.append(field);
	const cancel = element("button", { type: "button" }, "Cancel");
	const style = danger ? "primary danger" : "primary";
	const send = element("button", { type: "submit", class: style }, action);
	form.append(element("div", { class: "row row-end" }, cancel, send));

	/** @type {T | null} */
	let answer = null;
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		const said = read();
		if (said === undefined) return;
		answer = said;
		dialog.close();
	});
	cancel.addEventListener("click", () => dialog.close());
	await showDialog(dialog);
	return answer;
}

/**
 * Asks before an act. Resolves with the reason (empty if none was wanted), or null if it was left.
 * @param {Question} question
 * @returns {Promise<{reason: string}|null>}
 */
export function confirmDialog({ title, body, victim, wantReason, action, danger = true }) {
	const about = element("div", { class: "stack-s" });
	if (body) about.append(element("p", { class: "muted" }, body));
	if (victim !== undefined) about.append(victimBox(victim));
	const reason = wantReason ? reasonField() : null;
	return askDialog({ title, action, danger, about, field: reason?.label }, () => {
		const said = plainText(reason?.input.value ?? "");
		if (!reason || said) return { reason: cutBytes(said, REASON_BYTES_MAX) };
		reason.input.value = "";
		reason.input.reportValidity();
		return undefined;
	});
}

/** Bytes as people read memory: 512 MiB, 3.5 GiB. @param {number|null|undefined} bytes */
export function formatBytes(bytes) {
	if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return "unknown";
	if (bytes < 1024) return `${Math.round(bytes)} B`;
	if (bytes < 2 ** 20) return `${Math.round(bytes / 1024)} KiB`;
	if (bytes < 2 ** 30) return `${Math.round(bytes / 2 ** 20)} MiB`;
	const gib = bytes / 2 ** 30;
	return `${gib < 100 ? gib.toFixed(1) : Math.round(gib)} GiB`;
}

/**
 * Seconds as people say them: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
 * @param {number|null|undefined} s
 */
export function formatSeconds(s) {
	if (s === null || s === undefined || !Number.isFinite(s)) return "unknown";
	const whole = Math.max(0, s);
	if (whole < 9.95) return `${whole.toFixed(1)} s`;
	if (whole < 59.5) return `${Math.round(whole)} s`;
	const minutes = Math.floor(Math.round(whole) / 60);
	if (minutes < 60) return `${minutes} min ${Math.round(whole) % 60} s`;
	if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
	return `${Math.floor(minutes / 1440)} days`;
}

/** @param {number} part */
const twoDigits = (part) => String(part).padStart(2, "0");

/** A moment as a time of day; without Intl, whose first use takes milliseconds of a page's start.
 * @param {Date|number|string} time */
export function formatTime(time) {
	const date = new Date(time);
	if (Number.isNaN(date.getTime())) return "unknown";
	return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
}

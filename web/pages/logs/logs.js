// @ts-check
// The log viewer: the broker's log over one session, and the pages' logs from their channels, as
// one stream that can be filtered, paused, copied and cleared. Keeps the newest 5000 lines; a line
// is only ever text. Entry of web/pages/logs/index.html.
import {
	clearError,
	element,
	formatTime,
	mountFrame,
	setState,
	showConnection,
	showError,
} from "../../ui/frame.js";
import { MonitorSession } from "../../ui/monitor_session.js";
import { LINES_MAX, Twins, brokerLine, copyText, fits, pageLine } from "./lines.js";

/** @typedef {import("./lines.js").Line} Line */

const CHANNELS = ["sovereign-logs", "coda_logs"];
const PAST_LINES = 1000;
const FOLLOW_PX = 24;
const SOURCES_MAX = 50;

/** @template {HTMLElement} T @param {string} id @returns {T} */
const get = (id) => /** @type {T} */ (document.getElementById(id));

mountFrame({ page: "logs", title: "Logs" });
const place = get("lines");
const textField = /** @type {HTMLInputElement} */ (get("text"));
const levelField = /** @type {HTMLSelectElement} */ (get("level"));
const sourceField = /** @type {HTMLSelectElement} */ (get("source"));
const pauseButton = get("pause");
const followButton = get("follow");

/** @type {Line[]} oldest first */
let lines = [];
/** @type {Line[]} came since the last drawing */
let fresh = [];
/** @type {Line[]|null} held back while paused */
let held = null;
/** @type {Set<string>} */
const sources = new Set();
const twins = new Twins();
let following = true;
let drawing = 0;
let errors = 0;

function filter() {
	return {
		text: textField.value.trim().toLowerCase(),
		severity: Number(levelField.value),
		source: sourceField.value,
	};
}

/** @param {Line} line */
function lineView(line) {
	const level = element(
		"span",
		{ class: "line-level" },
		element("span", { class: "icon", "aria-hidden": "true" }),
		line.level,
	);
	const text = element("span", { class: "line-text", dir: "auto" }, line.text);
	const source = element("bdi", { class: "line-source", title: line.source }, line.source);
	return element(
		"div",
		{ class: `line level-${line.level}` },
		element("span", { class: "line-time" }, formatTime(line.at)),
		level,
		source,
		text,
	);
}

/** @param {string} source */
function learnSource(source) {
	if (sources.has(source) || sources.size >= SOURCES_MAX) return;
	sources.add(source);
	sourceField.append(element("option", { value: source }, source));
}

/** @param {Line} line */
function take(line) {
	learnSource(line.source);
	if (held) {
		held.push(line);
		if (held.length > LINES_MAX) held.shift();
	} else {
		fresh.push(line);
	}
	if (line.level === "error") errors++;
	soon();
}

function soon() {
	drawing ||= requestAnimationFrame(draw);
}

/** Adds what is new; the oldest beyond the limit go, in the list and on the page. */
function draw() {
	drawing = 0;
	const wanted = filter();
	const added = fresh.slice(-LINES_MAX);
	fresh = [];
	lines.push(...added);
	const gone = lines.splice(0, Math.max(0, lines.length - LINES_MAX));
	for (const line of gone) if (fits(line, wanted)) place.firstElementChild?.remove();
	place.append(...added.filter((line) => fits(line, wanted)).map(lineView));
	if (following) place.scrollTop = place.scrollHeight;
	sayCount();
}

function redraw() {
	const wanted = filter();
	lines.push(...fresh);
	fresh = [];
	lines = lines.slice(-LINES_MAX);
	place.replaceChildren(...lines.filter((line) => fits(line, wanted)).map(lineView));
	if (following) place.scrollTop = place.scrollHeight;
	sayCount();
}

function sayCount() {
	const shown = place.childElementCount;
	const all = lines.length;
	const waiting = held?.length ? `, ${held.length} new` : "";
	const count = shown === all ? `${all} lines` : `${shown} of ${all} lines`;
	get("count").textContent = count + waiting;
	pauseButton.textContent = held ? "Go on" : "Pause";
	pauseButton.setAttribute("aria-pressed", held ? "true" : "false");
	followButton.hidden = following;
	if (session.state === "open") {
		setState({ word: errors ? "overdue" : "idle", detail: errors ? `${errors} errors` : "" });
	}
}

function pause() {
	if (held) {
		fresh.push(...held);
		held = null;
	} else {
		draw();
		held = [];
	}
	soon();
}

function clear() {
	lines = [];
	fresh = [];
	if (held) held = [];
	errors = 0;
	place.replaceChildren();
	sayCount();
}

async function copy() {
	const wanted = filter();
	const text = lines
		.filter((line) => fits(line, wanted))
		.map(copyText)
		.join("\n");
	try {
		await navigator.clipboard.writeText(`${text}\n`);
		get("copy").textContent = "Copied";
		setTimeout(() => {
			get("copy").textContent = "Copy";
		}, 2000);
	} catch {
		getSelection()?.selectAllChildren(place);
		showError("The browser does not allow copying here. The lines are selected: press Ctrl+C.");
	}
}

/** @param {string} channel @param {unknown} data */
function fromPage(channel, data) {
	const line = pageLine(data);
	if (line && twins.isNew(channel, data, line, performance.now())) take(line);
}

/** @type {string[]} what the broker told, so that a reconnect does not show it twice */
const lastTold = [];

/** @param {string} text */
function fromBroker(text) {
	lastTold.push(text);
	if (lastTold.length > PAST_LINES) lastTold.shift();
	take(brokerLine(text));
}

/** @type {string[]|null} */
let past = null;

/** @param {string} text the broker's line, which begins with its time */
const timeIn = (text) => text.slice(0, text.indexOf(" "));

/** The past on connecting, without what was shown before the connection was lost. What happened
 * after the broker was asked for it came before it, and is in it, too. */
function takePast() {
	const known = new Set(lastTold);
	const told = [...new Set(past)].filter((text) => !known.has(text));
	past = null;
	told.sort((a, b) => Number(timeIn(a) > timeIn(b)) - Number(timeIn(a) < timeIn(b)));
	for (const text of told) fromBroker(text);
}

async function start() {
	clearError();
	past = [];
	try {
		await session.ask({ type: "subscribe", logs: true }, "ok");
		await session.ask({ type: "logs", limit: PAST_LINES }, "ok");
		takePast();
		if (session.welcome?.dev) (await import("../../ui/dev.js")).followReloads(session);
	} catch (error) {
		if (session.state === "open") showError(error, { retry: start });
	} finally {
		takePast();
	}
}

const session = new MonitorSession({ id: "Log viewer" });
showConnection("connecting");
session.addEventListener("message", (event) => {
	const message = /** @type {CustomEvent} */ (event).detail;
	if (message.type !== "log") return;
	if (past) past.push(String(message.line));
	else fromBroker(String(message.line));
});
session.addEventListener("state", (event) => {
	const { state, reason } = /** @type {CustomEvent} */ (event).detail;
	showConnection(state, reason ?? "");
	if (state === "open") {
		start();
	} else if (state === "signed-out") {
		setState({ word: "signed-out", detail: "Signed out" });
		showError("This page is signed out. Run “baton open” and use the link it prints.");
	} else {
		setState({ word: "reconnecting", detail: "Reconnecting" });
	}
});

for (const name of CHANNELS) {
	new BroadcastChannel(name).onmessage = (event) => fromPage(name, event.data);
}
for (const field of [textField, levelField, sourceField]) field.addEventListener("input", redraw);
pauseButton.addEventListener("click", pause);
get("clear").addEventListener("click", clear);
get("copy").addEventListener("click", copy);
followButton.addEventListener("click", () => {
	following = true;
	place.scrollTop = place.scrollHeight;
	sayCount();
});
new ResizeObserver(() => {
	if (following) place.scrollTop = place.scrollHeight;
}).observe(place);
place.addEventListener(
	"scroll",
	() => {
		following = place.scrollHeight - place.scrollTop - place.clientHeight < FOLLOW_PX;
		followButton.hidden = following;
	},
	{ passive: true },
);
sayCount();

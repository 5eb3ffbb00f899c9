// @ts-check
// The page of models: which model is in memory, who asks for what, and what each switch cost and
// for whom it was. Asks once a second, and not at all while it is hidden; one session tells whether
// the broker is there, and why somebody waits. Entry of web/pages/models/index.html.
import {
	call,
	clearError,
	formatSeconds,
	mountFrame,
	setState,
	showConnection,
	showError,
} from "../../ui/frame.js";
import { MonitorSession } from "../../ui/monitor_session.js";
import { html, nothing, render } from "../../ui/template.js";
import { causeOf, newlyReady } from "./switches.js";
import { modelsView, requestsView, switchesView } from "./tables.js";

const ASK_EVERY_MS = 1000;
const ANNOUNCE_MS = 5000;

/** @typedef {import("/sdk/protocol.js").Http.Models} Models */

mountFrame({ page: "models", title: "Models" });
const board = /** @type {HTMLElement} */ (document.getElementById("cards"));
const announcer = /** @type {HTMLElement} */ (document.getElementById("announce"));

/** @type {Models|null} */
let known = null;
/** Who waits in the queue, by the claim. @type {Map<number, import("./tables.js").Waiter>} */
let waiting = new Map();
let answeredAt = 0;
let asking = false;
let frame = 0;
let failed = false;
let announcedAt = -Infinity;

/** @type {import("./tables.js").Lists} */
const lists = {
	models: false,
	requests: false,
	switches: false,
	change(list) {
		lists[list] = !lists[list];
		drawBoard();
	},
};

/** What the tab says: what loads, else what is there. @param {Models} now */
function sayState(now) {
	const loads = now.models.find((model) => model.state === "loading");
	const runs = now.models.find((model) => model.running > 0);
	const ready = now.models.filter((model) => model.state === "ready");
	if (loads) setState({ word: "offered", detail: `${loads.model} loads` });
	else if (runs) setState({ word: "holding", detail: `${runs.model} runs` });
	else if (ready.length) setState({ word: "resident", detail: `${ready[0].model} is in memory` });
	else setState({ word: "idle", detail: "" });
}

/** @param {Models} before @param {Models} now */
function announce(before, now) {
	const [newest] = newlyReady(before.switches, now.switches);
	if (!newest || performance.now() - announcedAt < ANNOUNCE_MS) return;
	announcedAt = performance.now();
	announcer.textContent = `${newest.model} is in memory, for ${causeOf(newest)}`;
}

/** @param {Models} now */
function take(now) {
	if (known) announce(known, now);
	known = now;
	answeredAt = performance.now();
	sayState(now);
}

/** Why they wait is the queue's to say. @param {Models} now */
async function askPlaces(now) {
	if (!now.requests.some((request) => request.claim)) return new Map();
	const status = await session.ask({ type: "status" }, "status");
	return new Map(status.waiting.map((waiter) => [waiter.lease, waiter]));
}

async function ask() {
	if (asking || document.hidden || session.state !== "open") return;
	asking = true;
	try {
		const now = /** @type {Models} */ (await call("GET", "/v1/gpu/models"));
		waiting = await askPlaces(now);
		take(now);
		if (failed) clearError();
		failed = false;
	} catch (error) {
		if (session.state === "open" && !failed) {
			failed = true;
			showError(error, { retry: ask });
		}
	} finally {
		asking = false;
		draw();
	}
}

function noticeView() {
	if (session.state !== "reconnecting") return nothing;
	const age = (performance.now() - answeredAt) / 1000;
	return html`<div class="notice" role="status"><strong>Reconnecting.</strong> The broker does
		not answer now${known ? `; what you see is ${formatSeconds(age)} old` : ""}. This page comes
		back by itself.</div>`;
}

function draw() {
	if (!document.hidden) frame ||= requestAnimationFrame(drawBoard);
}

function drawBoard() {
	frame = 0;
	document.getElementById("asking")?.toggleAttribute("hidden", known !== null);
	render(html`${noticeView()}${known ? cardsView(known) : nothing}`, board);
}

/** @param {Models} now */
const cardsView = (now) => html`${modelsView(now.models, lists)}
	${switchesView(now.switches, lists)}
	${requestsView(now.requests, waiting, lists)}`;

const session = new MonitorSession({ id: "Models" });
showConnection("connecting");
session.addEventListener("state", (event) => {
	const { state, reason } = /** @type {CustomEvent} */ (event).detail;
	showConnection(state, reason ?? "");
	board.classList.toggle("stale", state !== "open");
	if (state === "open") {
		clearError();
		ask();
		followReloads();
	} else if (state === "signed-out") {
		setState({ word: "signed-out", detail: "Signed out" });
		showError("This page is signed out. Run “baton open” and use the link it prints.");
	} else {
		setState({ word: "reconnecting", detail: "Reconnecting" });
	}
	draw();
});
document.addEventListener("visibilitychange", ask);
setInterval(() => {
	ask();
	if (session.state !== "open") draw();
}, ASK_EVERY_MS);

async function followReloads() {
	if (session.welcome?.dev) (await import("../../ui/dev.js")).followReloads(session);
}

// @ts-check
// The dashboard: one session that looks, the state of what it heard, and one drawing of all of it.
// It asks for the status at most four times a second, and once a second while anything is held or
// waited for; in between the ages tick by themselves. Entry of web/pages/dashboard/index.html.
import { html, nothing, render } from "../../ui/template.js";
import {
	call,
	clearError,
	formatSeconds,
	mountFrame,
	setState,
	showConnection,
	showError,
} from "../../ui/frame.js";
import { OperatorActions } from "./operator_actions.js";
import { DashboardState } from "./state.js";
import { headline, holdersCard } from "./holders_card.js";
import { firstStatus, session } from "./session.js";
import { clientsView, eventsView, queueView } from "./tables.js";
import { keepFocus, timelineView } from "./timeline.js";

const ASK_EVERY_MS = 250;
const TICK_MS = 1000;
const IDLE_MS = 5000;
const ANNOUNCE_MS = 5000;
const PAST_EVENTS = 2000;
const WAITERS_MAX = 1000;
const SITES_EVERY_MS = 5000;

mountFrame({ page: "dashboard", title: "Dashboard" });
const board = /** @type {HTMLElement} */ (document.getElementById("board"));
const announcer = /** @type {HTMLElement} */ (document.getElementById("announce"));
const dashboard = new DashboardState();
const actions = new OperatorActions(session, dashboard, soon);

/** @type {import("./tables.js").EventFilter} */
const filter = {
	text: "",
	class: "",
	what: "",
	paused: null,
	shown: 100,
	connections: false,
	change(fields) {
		Object.assign(filter, fields);
		drawBoard();
	},
};

/** @type {import("./timeline.js").View} */
const view = {
	minutes: 0,
	width: 600,
	focus: "",
	chosen: null,
	all: false,
	table: false,
	change(fields) {
		Object.assign(view, fields);
		drawBoard();
	},
};

/** @type {import("./tables.js").Lists} */
const lists = {
	queue: false,
	clients: false,
	change(fields) {
		Object.assign(lists, fields);
		drawBoard();
		soon();
	},
};

/** @type {import("./vram.js").VramCharts|null} */
let charts = null;
/** Events that come while the past is asked for.
 * @type {import("/sdk/protocol.js").FromBroker.Event[]|null} */
let past = null;
let askedAt = -Infinity;
let asking = false;
let wanted = 0;
let frame = 0;
let whole = false;
let announced = { at: -Infinity, text: "" };

/** Own session, as the broker numbers it. */
function ownSession() {
	return Number.parseInt(String(session.welcome?.session ?? ""), 10);
}

/** Asks anew, now or when the last time is long enough ago. */
function soon() {
	if (wanted) return;
	const wait = Math.max(0, askedAt + ASK_EVERY_MS - performance.now());
	wanted = setTimeout(ask, wait);
}

async function ask() {
	clearTimeout(wanted);
	wanted = 0;
	if (asking || session.state !== "open") return;
	asking = true;
	askedAt = performance.now();
	try {
		dashboard.takeStatus(
			await session.ask(
				{ type: "status", limit: lists.queue ? WAITERS_MAX : undefined },
				"status",
			),
		);
		if (!document.hidden) {
			dashboard.takeClients((await session.ask({ type: "clients" }, "clients")).clients);
		}
		if (dashboard.status) charts?.push(dashboard.status, dashboard.now());
	} catch (error) {
		if (session.state === "open") showError(error, { retry: soon });
	} finally {
		asking = false;
		draw();
	}
}

async function start() {
	clearError();
	past = [];
	await firstDrawn;
	try {
		await session.ask({ type: "subscribe", events: true }, "ok");
		await session.ask(
			{ type: "events", limit: PAST_EVENTS, since: dashboard.lastId || undefined },
			"ok",
		);
		takePast();
		ask();
		const samples = await session.ask({ type: "samples" }, "samples");
		dashboard.takeSamples(samples);
		charts?.start(samples, dashboard.now());
		if (session.welcome?.dev) (await import("../../ui/dev.js")).followReloads(session);
	} catch (error) {
		if (session.state === "open") showError(error, { retry: start });
	} finally {
		takePast();
	}
	settled = true;
	draw();
	lookForSites();
}

async function anySites() {
	const known = /** @type {import("./sites.js").Known} */ (await call("GET", "/v1/sites"));
	return known.asking.length + known.sites.length > 0;
}

/** For who may act; what shows them comes when there are some. No event says that a site asks: it
 * is looked for when the page is, and now and then. */
async function lookForSites() {
	if (document.hidden || sitesFollowed || !session.admin) return;
	if (!(await anySites().catch(() => false)) || sitesFollowed) return;
	sitesFollowed = true;
	const sites = await import("./sites.js");
	sites.followSites(/** @type {HTMLElement} */ (document.getElementById("sites")));
}

function takePast() {
	if (past) dashboard.takePast(past);
	past = null;
}

/** @param {import("../../ui/frame.js").Connection} state @param {string} reason */
function connected(state, reason) {
	showConnection(state, reason);
	board.classList.toggle("stale", state !== "open");
	if (state === "open") {
		start();
	} else if (state === "signed-out") {
		setState({ word: "signed-out", detail: "Signed out" });
		showError("This page is signed out. Run “baton open” and use the link it prints.");
	} else {
		setState({ word: "reconnecting", detail: "Reconnecting" });
	}
	draw();
}

/** Says a change of holder, at most every five seconds. @param {string} text */
function announce(text) {
	const now = performance.now();
	if (text === announced.text || now - announced.at < ANNOUNCE_MS) return;
	announced = { at: now, text };
	announcer.textContent = text;
}

function noticeView() {
	if (session.state === "open" && !session.admin) {
		return html`<div class="notice" role="note"><strong>Needs admin rights.</strong>
			You can look, but not act. Run “baton open” in a terminal and use the link it
			prints.</div>`;
	}
	if (session.state === "reconnecting") {
		return html`<div class="notice" role="status"><strong>Reconnecting.</strong> The broker does
			not answer now${
				dashboard.status
					? `; what you see is ${formatSeconds(dashboard.age())} old`
					: nothing
			}. This page comes back by itself.</div>`;
	}
	const grants = dashboard.status?.grants;
	if (grants && !grants.allowed && grants.reason !== "paused") {
		// pausing has a place of its own
		const left = (grants.remaining_s ?? 0) - dashboard.age();
		return html`<div class="notice" role="status"><strong>Nothing is granted now.</strong>
			${grants.text}${left > 0 ? ` ${formatSeconds(left)} left.` : ""}</div>`;
	}
	if (dashboard.status?.mode === "observe") {
		return html`<div class="notice" role="note"><strong>Observe mode.</strong> Nothing is
			enforced and nobody is protected: everything is granted at once, also beside others.
			To enforce, write “mode: enforce” into the configuration and run “baton reload”.</div>`;
	}
	return nothing;
}

/** Says at once what title and header show; the board is drawn at the next frame, once. */
function draw() {
	const { word, text } = headline(dashboard.status);
	if (session.state === "open" && dashboard.status) {
		setState({ word, detail: text });
		announce(text.replace(/, \d+ waiting$/, ""));
	}
	if (!document.hidden) frame ||= requestAnimationFrame(drawBoard);
}

function drawBoard() {
	frame = 0;
	const known = dashboard.status !== null;
	render(html`${noticeView()}${known ? cardsView() : nothing}`, board);
	document.getElementById("asking")?.toggleAttribute("hidden", known);
	if (!known) return;
	if (!whole) {
		whole = true;
		frame = requestAnimationFrame(() => (frame = requestAnimationFrame(drawBoard)));
		return;
	}
	keepFocus(view);
	followWidth();
	if (settled && dashboard.vram) awaitCharts();
}

/** Who holds and who waits; a frame later, when that is seen, the rest. */
function cardsView() {
	const admin = session.admin && session.state === "open";
	return html`${holdersCard(dashboard, actions, admin)}
		${queueView(dashboard, actions, admin, lists)}
		${whole ? lowerCards() : nothing}`;
}

const lowerCards = () => html`${timelineView(dashboard, view)}
	<section class="card" id="vram-card" aria-labelledby="vram-title" ?hidden=${!dashboard.vram}>
		<h2 id="vram-title">VRAM over time</h2><div id="vram-charts"></div></section>
	${clientsView(dashboard, ownSession(), lists)}
	${eventsView(dashboard, filter)}`;

let sitesFollowed = false;
let settled = false; // the past is known, so the cards have their size
let awaited = false;
/** @type {HTMLElement|null} what is as wide as the timeline's bands, while there are any */
let measured = null;
const widths = new ResizeObserver(() => {
	const width = measured?.clientWidth;
	if (width && width !== view.width) view.change({ width });
});

function followWidth() {
	const measure = document.getElementById("tl-measure");
	if (measure === measured) return;
	widths.disconnect();
	measured = measure;
	if (measure) widths.observe(measure);
}

/** Once the cards have their size: load the chart when it comes into view. */
function awaitCharts() {
	if (awaited) return;
	awaited = true;
	const card = /** @type {HTMLElement} */ (document.getElementById("vram-card"));
	const seen = new IntersectionObserver((entries) => {
		if (!entries.some((entry) => entry.isIntersecting) || session.state !== "open") return;
		seen.disconnect();
		loadCharts();
	});
	seen.observe(card);
}

async function loadCharts() {
	const place = /** @type {HTMLElement} */ (document.getElementById("vram-charts"));
	try {
		const { awaitLibraries, libraryState } = await import("../../ui/libraries.js");
		const libraries = await libraryState();
		if (!libraries?.ready) await awaitLibraries(place, "The chart");
		const style = document.createElement("link");
		Object.assign(style, { rel: "stylesheet", href: "/vendor/uplot.css" });
		document.head.append(style);
		const { VramCharts } = await import("./vram.js");
		charts = new VramCharts(place);
		charts.start(await session.ask({ type: "samples" }, "samples"), dashboard.now());
	} catch (error) {
		showError(error, { retry: loadCharts });
	}
}

/** @param {import("/sdk/protocol.js").FromBroker.Message} message */
function heard(message) {
	if (message.type !== "event") return;
	if (past) past.push(message);
	else if (dashboard.takeEvent(message)) soon();
}

function tick() {
	const status = dashboard.status;
	const busy = status !== null && (status.held > 0 || status.queue_depth > 0);
	const stale = performance.now() - askedAt;
	if (busy || stale >= IDLE_MS || status === null) soon();
	dashboard.forget();
	draw();
}

session.addEventListener("message", (event) => heard(/** @type {CustomEvent} */ (event).detail));
session.addEventListener("state", (event) => {
	const { state, reason } = /** @type {CustomEvent} */ (event).detail;
	connected(state, reason ?? "");
});
document.addEventListener("visibilitychange", () => {
	if (document.hidden) return;
	soon();
	lookForSites();
});
showConnection("connecting");
draw();
setInterval(tick, TICK_MS);
setInterval(lookForSites, SITES_EVERY_MS);
/** Who holds and who waits, as soon as it is known; whatever else is asked comes after it. */
const firstDrawn = firstStatus.then((first) => {
	if (!first) return;
	dashboard.takeStatus(first.status, first.at);
	draw();
	cancelAnimationFrame(frame); // for the next frame it is there already
	drawBoard();
});
if (session.state !== "connecting") connected(session.state, "");

// @ts-check
// The dashboard: one session that looks, the state of what it heard, and one drawing of all of it.
// It asks for the status at most four times a second, and once a second while anything is held or
// waited for; in between the ages tick by themselves. What is looked at first is drawn from what
// first_status.js asked; then the session begins, and what is below it comes (lower_cards.js).
// Entry of web/pages/dashboard/index.html.
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
import { MonitorSession } from "../../ui/monitor_session.js";
import { OperatorActions } from "./operator_actions.js";
import { DashboardState } from "./state.js";
import { headline, holdersCard } from "./holders_card.js";
import { firstStatus } from "./first_status.js";
import { queueView } from "./queue_table.js";

const ASK_EVERY_MS = 250;
const TICK_MS = 1000;
const IDLE_MS = 5000;
const ANNOUNCE_MS = 5000;
const PAST_EVENTS = 2000;
const WAITERS_MAX = 1000;
const SITES_EVERY_MS = 5000;
const PAINT_MS = 2000; // a page that is hidden meanwhile is not painted
const BLANK_MS = 100;

mountFrame({ page: "dashboard", title: "Dashboard" });
const board = /** @type {HTMLElement} */ (document.getElementById("board"));
const announcer = /** @type {HTMLElement} */ (document.getElementById("announce"));
const dashboard = new DashboardState();
/** The session begins when what was known first is seen: before, it would only delay that. */
const firstSeen = firstStatus.then(drawFirst);
const session = new MonitorSession({ id: "Dashboard", after: firstSeen });
const actions = new OperatorActions(session, dashboard, soon);

/** @type {import("./queue_table.js").Lists} */
const lists = {
	queue: false,
	clients: false,
	change(fields) {
		Object.assign(lists, fields);
		drawBoard();
		soon();
	},
};

/** @type {import("./lower_cards.js").LowerCards|null} until they have come */
let lower = null;
/** Events that come while the past is asked for.
 * @type {import("/sdk/protocol.js").FromBroker.Event[]|null} */
let past = null;
let askedAt = -Infinity;
let asking = false;
let missed = false; // something changed while the broker was asked
let wanted = 0;
let frame = 0;
let sitesFollowed = false;
let settled = false; // the past is known, so the cards have their size
let announced = { at: -Infinity, text: "" };

/** The broker has answered: the session, or the first question, which had the same key. */
const isOpen = () =>
	session.state === "open" || (session.state === "connecting" && dashboard.status !== null);

/** A page's key, by which the first status was answered, is good for all acts; those that are wanted
 * before the session is open go along with its hello. */
const mayAct = () => isOpen() && (session.state !== "open" || session.admin);

/** Asks anew, now or when the last time is long enough ago. */
function soon() {
	if (wanted) return;
	const wait = Math.max(0, askedAt + ASK_EVERY_MS - performance.now());
	wanted = setTimeout(ask, wait);
}

async function ask() {
	clearTimeout(wanted);
	wanted = 0;
	if (session.state !== "open") return;
	if (asking) {
		missed = true;
		return;
	}
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
		lower?.takeStatus();
	} catch (error) {
		if (session.state === "open") showError(error, { retry: soon });
	} finally {
		asking = false;
		if (missed) soon();
		missed = false;
		draw();
	}
}

async function start() {
	clearError();
	past = [];
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
		lower?.takeSamples(samples);
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
	if (isOpen() && dashboard.status) {
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
	if (known) lower?.drawn(settled);
}

function cardsView() {
	const admin = mayAct();
	return html`${holdersCard(dashboard, actions, admin)}
		${queueView(dashboard, actions, admin, lists)}${lower ? lower.draw() : nothing}`;
}

/** Who holds and who waits, as far as the window shows them. Resolves when it is seen.
 * @param {import("./state.js").Status|null} status */
async function drawFirst(status) {
	document.body.hidden = false;
	if (!status) return;
	dashboard.takeStatus(status);
	showConnection("open");
	draw();
	cancelAnimationFrame(frame); // for the next frame it is there already
	drawBoard();
	await painted();
}

/** Nothing is shown for a moment if nothing was: to lay out a page that says only that it asks would
 * delay the answer. */
function blankFirst() {
	if (performance.getEntriesByName("first-contentful-paint").length > 0) return;
	document.body.hidden = true;
	setTimeout(() => (document.body.hidden = false), BLANK_MS);
}

/** @returns {Promise<unknown>} */
const painted = () =>
	new Promise((resolve) => {
		requestAnimationFrame(() => setTimeout(resolve));
		setTimeout(resolve, document.hidden ? 0 : PAINT_MS);
	});

async function loadLower() {
	try {
		const { LowerCards } = await import("./lower_cards.js");
		lower = new LowerCards(session, dashboard, lists, drawBoard);
		draw();
	} catch (error) {
		showError(error, { retry: () => location.reload() }); // what failed once is not fetched again
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
blankFirst();
firstSeen.then(loadLower);
setInterval(tick, TICK_MS);
setInterval(lookForSites, SITES_EVERY_MS);

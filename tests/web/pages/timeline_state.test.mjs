// @ts-check
// Proves that the dashboard's model makes the right bands of events: in any order, with several
// claims of one client at once, with ends that nobody wished for, and with claims older than the
// events.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DashboardState, coarsen, mergeSpans } from "../../../web/pages/dashboard/state.js";

const START = Date.parse("2026-01-01T00:00:00Z");
const WINDOW = [START, START + 60_000];

/** @param {number} second */
const at = (second) => new Date(START + second * 1000).toISOString();

let ids = 0;
/** @param {number} second @param {string} what @param {object} [fields] */
const event = (second, what, fields = {}) => ({
	type: "event",
	id: ++ids,
	time: at(second),
	what,
	lease: 1,
	session: 1,
	client: "tab",
	class: "chat",
	...fields,
});

/** @param {number} second @param {object} [fields] @returns {any} */
const status = (second, fields = {}) => ({
	time: at(second),
	leases: [],
	waiting: [],
	queue_depth: 0,
	gpus: [],
	...fields,
});

/** The first row as [state, from s, to s]. @param {DashboardState} dashboard */
function bands(dashboard) {
	const [row] = dashboard.timeline(WINDOW[0], WINDOW[1]);
	return row.bands.map((band) => [
		band.state,
		(band.from - START) / 1000,
		(band.to - START) / 1000,
	]);
}

const LIFE = [
	[1, "queued", { to: "queued" }],
	[4, "offered", { to: "offered" }],
	[5, "held", { to: "held" }],
	[9, "yield", { to: "yielding" }],
	[10, "revoked", { to: "yielding" }],
	[12, "ended", { to: "ended", end: "revoked" }],
];
const BANDS = [
	["waiting", 1, 4],
	["offered", 4, 5],
	["holding", 5, 9],
	["yielding", 9, 10],
	["overdue", 10, 12],
	["overdue", 12, 12],
];

test("a claim's life becomes bands that follow each other", () => {
	const dashboard = new DashboardState();
	for (const [second, what, fields] of LIFE)
		dashboard.takeEvent(event(/** @type {any} */ (second), String(what), Object(fields)));
	assert.deepEqual(bands(dashboard), BANDS);
});

test("the past may come in any order, and after a status that told of the same claim", () => {
	const dashboard = new DashboardState();
	dashboard.takeStatus(
		status(6, {
			leases: [
				{
					lease: 1,
					id: "tab",
					session: 1,
					class: "chat",
					state: "held",
					slots: 1,
					since: at(5),
				},
			],
		}),
	);
	const past = LIFE.map(([second, what, fields]) =>
		event(/** @type {any} */ (second), String(what), Object(fields)),
	);
	dashboard.takePast([...past].reverse());
	assert.deepEqual(bands(dashboard), BANDS);
	assert.equal(dashboard.takeEvent(past[0]), false);
});

test("of several claims the more urgent state is shown, a kept model least of all", () => {
	const dashboard = new DashboardState();
	dashboard.takeEvent(event(0, "held", { to: "held", lease: 7 }));
	dashboard.takeEvent(event(10, "held", { to: "held", lease: 8 }));
	dashboard.takeEvent(event(20, "ended", { to: "ended", end: "released", lease: 8 }));
	dashboard.takeStatus(
		status(30, {
			leases: [
				{
					lease: 7,
					id: "tab",
					session: 1,
					class: "chat",
					state: "held",
					slots: 0,
					since: at(0),
				},
			],
		}),
	);
	assert.deepEqual(bands(dashboard), [
		["resident", 0, 10],
		["holding", 10, 20],
		["resident", 20, 60],
	]);
});

test("a claim that the status no longer knows is over", () => {
	const dashboard = new DashboardState();
	dashboard.takeEvent(event(2, "held", { to: "held" }));
	dashboard.takeStatus(status(20));
	assert.deepEqual(bands(dashboard), [["holding", 2, 20]]);
});

test("a lost connection shows as lost until it is back", () => {
	const dashboard = new DashboardState();
	dashboard.takeEvent(event(0, "held", { to: "held" }));
	dashboard.takeEvent(event(5, "detached", { to: "held" }));
	dashboard.takeEvent(event(7, "attached", { to: "held" }));
	assert.deepEqual(bands(dashboard), [
		["holding", 0, 5],
		["lost", 5, 7],
		["holding", 7, 60],
	]);
});

test("many short bands are taken together without losing an event", () => {
	const spans = Array.from({ length: 20_000 }, (_, i) => ({
		state: /** @type {const} */ (i % 2 ? "holding" : "waiting"),
		from: i * 3,
		to: i * 3 + 3,
		ids: [i],
	}));
	const all = mergeSpans(spans, 0, 60_000);
	assert.equal(all.length, 20_000);
	const few = coarsen(all, 600);
	assert.ok(few.length <= 101, `${few.length} bands`);
	assert.deepEqual(
		few.flatMap((band) => band.ids),
		spans.map((_, i) => i),
	);
	assert.ok(few.every((band) => band.state === "holding"));
});

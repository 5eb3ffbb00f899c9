// @ts-check
// Root Dreamer, wired together: the memories, the scheduler, what it remembers of itself, and the
// broker that gives the turns. Started by index.html.
import { render } from "../../ui/template.js";
import { Broker } from "/sdk/index.js";
import { loadCatalog } from "../../inference/catalog.js";
import { ModelHost } from "../../inference/model_host.js";
import { deviceFor, keepDevice, keptDevice, keptProfile } from "../../ui/device_choice.js";
import { pageLog } from "../../ui/log.js";
import { openStorage } from "../../storage/storage.js";
import { queuePanel } from "../../ui/queue_panel.js";
import { confirmDialog, mountFrame, setState, showError } from "../../ui/frame.js";
import { count } from "./dream_round.js";
import { DreamState } from "./dream_state.js";
import { DreamStorage } from "./dream_store.js";
import { dreamingView, memoriesView, modelView, phaseOf, thoughtsView } from "./dream_view.js";
import { DreamScheduler } from "./dream_scheduler.js";

const CHOSEN = "baton.dreamer.chat";

/** Notes of other tabs are noticed by looking; nothing waits for it. */
const LOOK_MS = 5000;

mountFrame({ page: "dreamer", title: "Root Dreamer" });
const logger = pageLog("Root-Dreamer");
const broker = new Broker({ name: "Root-Dreamer" });

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {import("../../inference/catalog.js").ModelSpec[]} */
let models = [];
let model = "";
let device = keptDevice("dreamer");
/** @type {ModelHost | null} */
let host = null;
/** @type {DreamStorage} */
let store;
/** @type {DreamState} */
let own;
/** @type {DreamScheduler} */
let scheduler;
/** @type {import("./dream_round.js").Recollection[]} */
let memories = [];
/** @type {import("./dream_round.js").Thought[]} Newest first. */
let thoughts = [];
/** How many came by the scheduler; what was read meanwhile may lack them. */
let heard = 0;
let drawing = false;

/** @type {import("./dream_view.js").Actions} */
const actions = {
	wake,
	sleep,
	again,
	reset,
	setAuto: (auto) => void own.set({ auto }).then(follow),
	addNote,
	choose,
	setDevice,
};

async function wake() {
	await own.set({ awake: true });
	logger.info("awake");
	scheduler.wake();
}

async function sleep() {
	await own.set({ awake: false });
	await scheduler.sleep();
	logger.info("asleep");
}

/** Another round over all memories. */
async function again() {
	await own.set({ round: own.state.round + 1 });
	if (scheduler.awake) scheduler.rouse();
	else await wake();
	draw();
}

async function reset() {
	const answer = await confirmDialog({
		title: "Reset the dreamer?",
		body:
			`This removes its ${thoughts.length} thoughts and their links. Your notes and `
			+ "conversations stay.",
		action: "Remove thoughts",
	});
	if (!answer) return;
	await own.set({ awake: false });
	await scheduler.stop();
	try {
		await store.forget();
		await own.set({ round: 1 });
		say("The thoughts are removed.");
		logger.info("reset: thoughts removed");
	} catch (error) {
		showError(error, { retry: reset });
	}
	await look();
}

/** @param {string} text */
async function addNote(text) {
	try {
		await store.addNote(text);
	} catch (error) {
		showError(error);
		return false;
	}
	say("Note added.");
	await look();
	return true;
}

/** @param {string} id */
async function choose(id) {
	model = id;
	localStorage.setItem(CHOSEN, id);
	await renewHost();
}

/** @param {"webgpu"|"wasm"} chosen */
async function setDevice(chosen) {
	device = chosen;
	keepDevice("dreamer", chosen);
	await renewHost();
}

async function renewHost() {
	const old = host;
	host = null;
	draw();
	await old?.unload();
}

/** Wakes and sleeps by itself, if the user wants that. */
function follow() {
	const { auto } = own.state;
	if (auto === "open" && !scheduler.awake) wake();
	if (auto !== "hidden") return;
	if (document.hidden && !scheduler.awake) wake();
	if (!document.hidden && scheduler.awake) sleep();
}

/** Reads what is kept anew, and rouses the dreamer when there is something new. */
async function look() {
	const before = heard;
	let read;
	try {
		read = await Promise.all([store.memories(), store.thoughts()]);
	} catch (error) {
		showError(error, { retry: look });
		return;
	}
	if (heard !== before) {
		await look();
		return;
	}
	[memories, thoughts] = read;
	thoughts.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
	const { done } = count(memories, thoughts, own.state.round);
	if (done < memories.length && scheduler.phase === "done") scheduler.rouse();
	draw();
}

/** @param {import("./dream_round.js").Thought} thought */
function onThought(thought) {
	heard++;
	if (!thoughts.some(({ id }) => id === thought.id)) thoughts.unshift(thought);
	say(`A new thought, ${thought.links.length} links.`);
	logger.info(`thought ${thought.id}, ${thought.links.length} links`);
	host?.memory().then(({ vramBytes }) => broker.about({ vramBytes }));
}

/** @param {{error: unknown, fatal: boolean}} problem */
function onProblem({ error, fatal }) {
	const text = error instanceof Error ? error.message : String(error);
	if (!fatal) {
		logger.warn(`interrupted: ${text}`);
		return;
	}
	logger.error(`stopped: ${text}`);
	own.set({ awake: false });
	showError(error, { retry: wake });
}

/** Says it to whoever listens instead of looking. @param {string} text */
function say(text) {
	place("say").textContent = text;
}

/** Text comes word by word: many changes make one drawing. */
function draw() {
	if (drawing) return;
	drawing = true;
	queueMicrotask(() => {
		drawing = false;
		drawNow();
	});
}

function drawNow() {
	const spec = models.find((entry) => entry.id === model);
	const view = {
		scheduler,
		memories,
		thoughts,
		models,
		model,
		device,
		counts: count(memories, thoughts, own.state.round),
		round: own.state.round,
		auto: own.state.auto,
		ready: spec !== undefined,
		demo: spec?.demo === true,
	};
	render(dreamingView(view, actions), place("dreaming"));
	render(thoughtsView(view), place("thoughts"));
	render(memoriesView(view, actions), place("memories"));
	render(modelView(view, actions), place("model"));
	const { text, word } = phaseOf(scheduler);
	const { state } = broker;
	setState({
		word:
			state === "offline" || state === "reconnecting"
				? state
				: /** @type {import("../../ui/frame.js").StateWord} */ (word),
		detail: scheduler.phase === "asleep" ? "" : text.split(/[:;]/)[0],
	});
}

async function readModels() {
	try {
		const catalog = await loadCatalog();
		for (const problem of catalog.problems) logger.warn(problem);
		models = catalog.filter((spec) => spec.task === "chat");
	} catch (error) {
		showError(error, { retry: () => readModels().then(draw) });
		return;
	}
	const kept = localStorage.getItem(CHOSEN);
	model = (models.find((spec) => spec.id === kept) ?? models[0])?.id ?? "";
}

/** Whoever has the model, or this page. */
async function theModel() {
	const { SharedModel } = await import("../../inference/shared_model.js");
	const spec = models.find((entry) => entry.id === model);
	if (!spec) throw new Error("There is no chat model. See the models file in the docs.");
	return new SharedModel({
		broker,
		spec,
		class: "background",
		own: () => theHost(spec),
		made: () => host,
	});
}

/** @param {import("../../inference/catalog.js").ModelSpec} spec @returns {ModelHost} */
function theHost(spec) {
	host ??= new ModelHost({
		broker,
		spec,
		profile: keptProfile(),
		class: "background",
		device: deviceFor(device, spec),
	});
	return host;
}

async function start() {
	queuePanel(place("queue"), broker);
	own = await DreamState.open();
	const storage = await openStorage();
	storage.addEventListener("problem", () => showError(storage.problem));
	if (storage.problem) showError(storage.problem);
	store = new DreamStorage(storage);
	scheduler = new DreamScheduler({
		model: theModel,
		store,
		round: () => own.state.round,
		begins: look,
	});
	scheduler.addEventListener("change", draw);
	scheduler.addEventListener("thought", (event) =>
		onThought(/** @type {CustomEvent} */ (event).detail),
	);
	scheduler.addEventListener("problem", (event) =>
		onProblem(/** @type {CustomEvent} */ (event).detail),
	);
	broker.addEventListener("state", draw);
	broker.addEventListener("yield", (event) =>
		scheduler.asked(/** @type {CustomEvent} */ (event).detail.for ?? "another"),
	);
	await readModels();
	await look();
	setInterval(look, LOOK_MS);
	document.addEventListener("visibilitychange", follow);
	if (own.state.awake) scheduler.wake();
	follow();
}

start().catch((error) => showError(error, { retry: () => location.reload() }));

// @ts-check
// Root Mic, wired together: recording, transcription, tidying, notes, the models, and the broker
// that gives the turns. Started by index.html.
import { render } from "../../ui/template.js";
import { Broker } from "/sdk/index.js";
import { loadCatalog } from "../../inference/catalog.js";
import { ModelHost } from "../../inference/model_host.js";
import { pageLog } from "../../ui/log.js";
import { newId, openStorage } from "../../storage/storage.js";
import { queuePanel } from "../../ui/queue_panel.js";
import { mountFrame, setState, showError } from "../../ui/frame.js";
import { Capture } from "./capture.js";
import { deviceFor, keepDevice, keptDevice, keptProfile } from "../../ui/device_choice.js";
import { modelsView, recordingView, takesView } from "./mic_view.js";
import { isBusy, Takes } from "./takes.js";
import { TalkControl } from "./talk_control.js";
import { CHUNKS_PER_WORKER, Transcriber } from "./transcriber.js";

/** @typedef {import("../../inference/catalog.js").ModelSpec} ModelSpec */
/** @typedef {import("./takes.js").Take} Take */

const CHOSEN = { transcribe: "baton.mic.transcribe", chat: "baton.mic.chat" };

mountFrame({ page: "mic", title: "Root Mic" });
const logger = pageLog("Root-Mic");
const broker = new Broker({ name: "Root-Mic" });

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const talk = /** @type {HTMLButtonElement} */ (place("talk"));

/** @type {ModelSpec[]} */
let catalog = [];
const chosen = { transcribe: "", chat: "" };
let device = keptDevice("mic");
/** @type {Transcriber | null} */
let transcriber = null;
/** @type {ModelHost | null} */
let tidier = null;
/** @type {number | null} */
let vramBytes = null;
/** @type {import("../../storage/storage.js").PageStorage | null} */
let storage = null;

const capture = new Capture(draw, (samples, source) => {
	takes.add(samples, source);
	logger.info(`heard ${Math.round(samples.length / 1600) / 10} s from ${source}`);
});
const takes = new Takes({
	transcriber: () => (transcriber ??= new Transcriber(host("transcribe"))),
	refiner,
	onChange: draw,
	onError: failed,
	onDone: done,
});

/** @param {"transcribe"|"chat"} task */
function spec(task) {
	const found = catalog.find((entry) => entry.id === chosen[task]);
	if (!found) throw new Error("There is no model for this. See the models file in the docs.");
	return found;
}

/** Whoever has the chat model, or this page. */
async function refiner() {
	const { SharedModel } = await import("../../inference/shared_model.js");
	return new SharedModel({
		broker,
		spec: spec("chat"),
		class: "voice",
		own: () => (tidier ??= host("chat")),
		made: () => tidier,
	});
}

/** @param {"transcribe"|"chat"} task */
function host(task) {
	const chosenSpec = spec(task);
	const made = new ModelHost({
		broker,
		spec: chosenSpec,
		profile: keptProfile(),
		class: "voice",
		device: deviceFor(device, chosenSpec),
	});
	made.addEventListener("state", draw);
	return made;
}

/** @type {import("./mic_view.js").Actions} */
const actions = {
	cancel: () => capture.cancel(),
	listen: () => capture.listen(),
	stopListening: () => capture.stopListening(),
	playTones: () => capture.playTones(),
	openFile: (file) => capture.open(file),
	refine: (take) => takes.refine(take),
	stop: (take) => takes.stop(take),
	drop: (take) => takes.drop(take),
	retry: (take) => (take.job === "refine" ? takes.refine(take) : takes.transcribe(take)),
	copy,
	save,
	choose,
	setDevice,
	unload,
};

/** @param {Take} take */
async function copy(take) {
	try {
		await navigator.clipboard.writeText(take.refined ?? take.text);
		say("Copied.");
	} catch {
		showError(
			"The browser does not let this page write to the clipboard. Select the text "
				+ "and copy it by hand.",
		);
	}
}

/** @param {Take} take */
async function save(take) {
	const text = take.refined ?? take.text;
	try {
		await storage?.putNote({ id: newId(), text, source: "mic", at: Date.now() });
		take.saved = text;
		say("Saved as a note.");
	} catch (error) {
		logger.error(`note not saved: ${message(error)}`);
		showError(error, { retry: () => save(take) });
	}
	draw();
}

/** @param {"transcribe"|"chat"} task @param {string} id */
async function choose(task, id) {
	chosen[task] = id;
	localStorage.setItem(CHOSEN[task], id);
	const old = task === "chat" ? tidier : transcriber?.host;
	if (task === "chat") tidier = null;
	else transcriber = null;
	draw();
	await old?.unload();
	draw();
}

/** @param {"webgpu"|"wasm"} wanted */
async function setDevice(wanted) {
	device = wanted;
	keepDevice("mic", wanted);
	const old = [transcriber?.host, tidier];
	transcriber = null;
	tidier = null;
	draw();
	await Promise.all(old.map((each) => each?.unload()));
	draw();
}

async function unload() {
	await Promise.all([transcriber?.host.unload(), tidier?.unload()]);
	draw();
}

/** @param {Take} take */
async function done(take) {
	say(take.job === "refine" ? "Refined." : `Transcribed: ${take.text}`);
	const did = take.job === "refine" ? "refined" : "transcribed";
	logger.success(`${did} ${take.text.length} characters`);
	await reportMemory();
	draw();
}

/** Adds up what the loaded models take, for this page and for whoever looks at the broker. */
async function reportMemory() {
	let sum = 0;
	for (const each of [transcriber?.host, tidier]) {
		if (loaded(each)) sum += (await each.memory()).vramBytes ?? 0;
	}
	vramBytes = sum;
	broker.about({ vramBytes: sum });
}

/** @param {unknown} error @param {Take} take */
function failed(error, take) {
	logger.error(`${take.job}: ${message(error)}`);
	say(`Failed: ${message(error)}`);
}

/** @param {ModelHost | null | undefined} each @returns {each is ModelHost} */
function loaded(each) {
	return each !== null && each !== undefined && ["ready", "busy"].includes(each.state);
}

/** @param {unknown} error */
function message(error) {
	return error instanceof Error ? error.message : String(error);
}

/** Says it to whoever listens instead of looking. @param {string} text */
function say(text) {
	place("say").textContent = text;
}

/** @returns {import("../../ui/frame.js").StateWord} */
function word() {
	const { state } = broker;
	if (state === "offline" || state === "reconnecting") return state;
	const states = takes.list.map((take) => take.state);
	if (states.includes("working") || states.includes("loading")) return "holding";
	return states.some((each) => ["waiting", "fetching"].includes(each)) ? "waiting" : "idle";
}

/** @returns {string} */
function detail() {
	if (capture.phase === "recording") return "Recording";
	if (capture.handsFree) return "Listening";
	return { holding: "Transcribing", waiting: "Waiting" }[/** @type {string} */ (word())] ?? "";
}

function draw() {
	const demo = catalog.find((entry) => entry.id === chosen.transcribe)?.demo === true;
	talk.textContent = capture.phase === "recording" ? "Let go or tap to end" : "Hold to talk";
	talk.classList.toggle("active", capture.active);
	talk.disabled = catalog.length === 0 || capture.phase === "decoding" || capture.handsFree;
	render(
		recordingView(
			{
				phase: capture.phase,
				heard: capture.heard,
				problem: capture.problem,
				demo,
			},
			actions,
		),
		place("recording"),
	);
	render(takesView(takes.list, actions, storage !== null), place("takes"));
	const hosts = [transcriber?.host, tidier];
	render(
		modelsView(
			{
				catalog,
				chosen,
				device,
				vramBytes,
				chunks: transcriber?.chunks ?? 0,
				chunksMax: CHUNKS_PER_WORKER,
				loaded: hosts.some(loaded),
				busy: takes.list.some((take) => isBusy(take)),
			},
			actions,
		),
		place("models"),
	);
	setState({ word: word(), detail: detail() });
}

async function start() {
	queuePanel(place("queue"), broker);
	new TalkControl(talk, {
		active: () => capture.active,
		start: () => capture.start(),
		stop: () => capture.stop(),
		cancel: () => capture.cancel(),
	});
	broker.addEventListener("state", draw);
	// The page may be kept for a way back: the microphone is given back and models end at once.
	addEventListener("pagehide", () => {
		capture.cancel();
		capture.stopListening();
	});
	draw();
	await Promise.all([readCatalog(), readMemory()]);
	draw();
}

async function readCatalog() {
	try {
		const read = await loadCatalog();
		for (const problem of read.problems) logger.warn(problem);
		catalog = read;
	} catch (error) {
		showError(error, { retry: () => readCatalog().then(draw) });
		return;
	}
	for (const task of /** @type {("transcribe"|"chat")[]} */ (["transcribe", "chat"])) {
		const fitting = catalog.filter((entry) => entry.task === task);
		const kept = localStorage.getItem(CHOSEN[task]);
		chosen[task] = (fitting.find((entry) => entry.id === kept) ?? fitting[0])?.id ?? "";
	}
}

/** Never fails: without storage, notes last as long as the page, and that is said. */
async function readMemory() {
	storage = await openStorage();
	storage.addEventListener("problem", () => showError(storage?.problem));
	if (storage.problem) showError(storage.problem);
}

start();

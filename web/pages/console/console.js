// @ts-check
// Root Console, wired together: the conversation, its list, the model that answers, and the broker
// that gives the turns. Started by index.html.
import { html, render } from "../../ui/template.js";
import { Broker, detect } from "/sdk/index.js";
import { addModel, loadCatalog } from "../../inference/catalog.js";
import { ModelHost } from "../../inference/model_host.js";
import { profileNames, suitableProfile } from "../../inference/profiles.js";
import { pageLog } from "../../ui/log.js";
import { openStorage } from "../../storage/storage.js";
import { queuePanel } from "../../ui/queue_panel.js";
import { mountFrame, setState, showError } from "../../ui/frame.js";
import { Chat } from "./chat.js";
import { messagesView, turnView } from "./chat_view.js";
import { askTitle, listView, mayRemove } from "./list_view.js";
import { modelView } from "./model_view.js";

/** @typedef {import("./chat.js").Conversation} Conversation */

const KEPT = {
	model: "baton.console.model",
	profile: "baton.console.profile",
	serve: "baton.console.serve",
};
const SAID_CHARS_MAX = 400;
/** Nearer to the end than this, the view follows what is written. */
const FOLLOW_PX = 80;
const QUESTION_PX_MAX = 180;

mountFrame({ page: "console", title: "Root Console" });
const log = pageLog("Root-Console");
const broker = new Broker({ name: "Root-Console" });

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const question = /** @type {HTMLTextAreaElement} */ (place("question"));
const list = /** @type {HTMLDetailsElement} */ (place("list"));

/** @type {Chat} */
let chat;
/** @type {ModelHost | null} */
let host = null;
/** While the switch is on: what answers programs.
 * @type {import("./serving.js").HostServing | null} */
let serving = null;
let drawing = false;
/** Called when it is known which model answers, and what was said before. */
let begun = () => {};
/** @type {Promise<void>} what is asked earlier waits for that */
const ready = new Promise((resolve) => (begun = resolve));

/** @type {import("./model_view.js").ModelState} */
const model = {
	models: [],
	problems: [],
	chosen: undefined,
	profile: "lite",
	suitable: null,
	gpu: "unknown",
	device: "webgpu",
	state: "empty",
	vramBytes: 0,
	busy: false,
	serves: "off",
	requests: 0,
};

/** The model that is chosen now, made when it is first asked. */
function currentHost() {
	if (host) return host;
	const { chosen, profile, device } = model;
	if (!chosen) throw new Error("There is no model that chats. Check the models file.");
	const made = new ModelHost({ broker, spec: chosen, profile, class: "chat", device });
	made.addEventListener("state", () => {
		if (host !== made) return;
		model.state = made.state;
		serving?.update(made);
		if (made.state === "ready" || made.state === "empty") void measure(made);
		draw();
	});
	host = made;
	return made;
}

/** What the model takes, for this page and for whoever looks at the broker.
 * @param {ModelHost} made */
async function measure(made) {
	const { vramBytes } = await made.memory().catch(() => ({ vramBytes: 0 }));
	if (host !== made) return;
	model.vramBytes = vramBytes;
	broker.about({ vramBytes });
	draw();
}

/** Another model, profile or device: the old one goes. */
async function renew() {
	const old = host;
	host = null;
	model.state = "empty";
	model.vramBytes = 0;
	draw();
	if (serving) serving.update(currentHost());
	await old?.unload();
}

/** @param {boolean} on */
async function setServing(on) {
	localStorage.setItem(KEPT.serve, on ? "on" : "");
	model.serves = on ? "connecting" : "off";
	draw();
	const old = serving;
	serving = null;
	await old?.close();
	if (!on) return;
	try {
		const { HostServing } = await import("./serving.js");
		if (serving || model.serves === "off") return; // it was switched again meanwhile
		const made = new HostServing(broker, currentHost());
		serving = made;
		made.addEventListener("change", () => {
			if (serving !== made) return;
			model.serves = made.state === "closed" ? "off" : made.state;
			model.requests = made.running;
			if (made.error) showError(made.error);
			draw();
		});
	} catch (error) {
		model.serves = "off";
		showError(error);
	}
	draw();
}

const modelActions = {
	/** @param {string} id */
	async choose(id) {
		model.chosen = model.models.find((spec) => spec.id === id);
		localStorage.setItem(KEPT.model, id);
		chat.failure = null;
		log.info(`model: ${model.chosen?.name}`);
		await renew();
	},
	/** @param {import("../../inference/profiles.js").ProfileName} profile */
	async setProfile(profile) {
		model.profile = profile;
		localStorage.setItem(KEPT.profile, profile);
		await renew();
	},
	unload: () => void renew(),
	async add() {
		const { showModelGuide } = await import("./model_guide.js");
		showModelGuide({ add: fetchModel });
	},
	async fetchAgain() {
		try {
			await currentHost().fetchAgain();
			say("The model was fetched again.");
		} catch (error) {
			showError(error);
		}
	},
	async useGpu() {
		model.device = "webgpu";
		await renew();
	},
	serve: setServing,
};

/** @type {import("./model_guide.js").GuideActions["add"]} */
async function fetchModel(spec, o) {
	addModel(spec);
	await readModels();
	await modelActions.choose(spec.id);
	await currentHost().fetch(o);
	say(`${spec.name} is here.`);
}

const listActions = {
	async begin() {
		await chat.begin();
		question.focus();
	},
	/** @param {string} id */
	async open(id) {
		await chat.open(id);
		scrollToEnd(true);
	},
	/** @param {Conversation} conversation */
	async rename(conversation) {
		const title = await askTitle(conversation);
		if (title !== null) await chat.rename(conversation, title);
	},
	/** @param {Conversation} conversation */
	async remove(conversation) {
		if (await mayRemove(conversation)) await chat.remove(conversation);
	},
};

const chatActions = {
	goOn: () => answering(() => chat.goOn()),
	retry: () => answering(() => chat.retry()),
	/** @param {string} text */
	async copy(text) {
		try {
			await navigator.clipboard.writeText(text);
			say("Copied.");
		} catch {
			showError(
				"The browser does not let this page write to the clipboard. Select the text "
					+ "and copy it by hand.",
			);
		}
	},
	/** @param {string} text */
	suggest: (text) => answering(() => chat.ask(text)),
	async useCpu() {
		model.device = "wasm";
		await renew();
		await answering(() => chat.retry());
	},
};

/** Whatever begins an answer: what it throws is shown. @param {() => Promise<void>} begin */
async function answering(begin) {
	await ready;
	if (chat.turn) return;
	scrollToEnd(true);
	try {
		await begin();
	} catch (error) {
		log.error(`not answered: ${error instanceof Error ? error.message : error}`);
		showError(error);
	}
}

async function send() {
	await ready;
	const text = question.value.trim();
	if (text === "" || chat.turn) return;
	question.value = "";
	grow();
	await answering(() => chat.ask(text));
}

/** The field is as high as its text, up to a limit. */
function grow() {
	question.style.height = "auto";
	question.style.height = `${Math.min(question.scrollHeight + 2, QUESTION_PX_MAX)}px`;
}

/** @param {boolean} always also if somebody reads further up */
function scrollToEnd(always) {
	const box = place("messages");
	const distance = box.scrollHeight - box.scrollTop - box.clientHeight;
	if (always || distance < FOLLOW_PX) {
		requestAnimationFrame(() => box.scrollTo({ top: box.scrollHeight }));
	}
}

/** Says it to whoever listens instead of looking. @param {string} text */
function say(text) {
	place("say").textContent = text;
}

/** @returns {[import("../../ui/frame.js").StateWord, string]} */
function titleState() {
	const { state } = broker;
	if (state === "offline" || state === "reconnecting") return [state, ""];
	if (!chat.turn) return ["idle", ""];
	if (chat.turn.phase === "writing") return ["holding", "Writing"];
	return [
		"waiting",
		{ fetching: "Fetching", loading: "Loading" }[/** @type {string} */ (chat.turn.phase)]
			?? "Waiting",
	];
}

/** Draws at most once a frame, however many tokens come. */
function draw() {
	if (drawing) return;
	drawing = true;
	// A hidden tab gets no frames, and its title still tells how far it is.
	if (document.hidden) setTimeout(drawNow, 0);
	else requestAnimationFrame(drawNow);
}

function drawNow() {
	drawing = false;
	const { turn, conversation, conversations } = chat;
	model.busy = turn !== null;
	scrollToEnd(false);
	render(listView(conversations, conversation?.id, listActions), list);
	render(
		html`<h1><bdi>${conversation?.title ?? "New conversation"}</bdi></h1>
		${model.chosen?.demo ? html`<span class="badge demo">Demo model</span>` : ""}`,
		place("title"),
	);
	render(messagesView(chat, chatActions, model.chosen?.demo === true), place("messages"));
	render(turnView(chat, chatActions, model.chosen?.engine === "transformers"), place("turn"));
	render(modelView(model, modelActions), place("model"));
	place("stop").hidden = turn === null;
	place("send").hidden = turn !== null;
	const [word, detail] = titleState();
	setState({ word, detail });
}

async function readModels() {
	const catalog = await loadCatalog();
	model.models = catalog.filter((spec) => spec.task === "chat");
	model.problems = catalog.problems;
	const kept = localStorage.getItem(KEPT.model);
	model.chosen =
		model.models.find((spec) => spec.id === kept)
		?? model.models.find((spec) => !spec.demo && spec.profile === "lite")
		?? model.models[0];
	for (const problem of catalog.problems) log.warn(problem);
}

async function lookAtGpu() {
	const kept = profileNames.find((name) => name === localStorage.getItem(KEPT.profile));
	try {
		const { adapter, info, software, clamped } = await detect();
		const name = info.description || [info.vendor, info.architecture].filter(Boolean).join(" ");
		model.gpu = `${name || "a GPU"}${software ? " (software)" : ""}`;
		broker.about({ adapter: model.gpu, clamped });
		const mobile = /Android|iPhone|iPad/.test(navigator.userAgent);
		const { maxBufferSize } = adapter.limits;
		model.suitable = suitableProfile({ software, mobile, maxBufferSize });
	} catch (error) {
		model.gpu = "no WebGPU";
		log.warn(`no GPU: ${error instanceof Error ? error.message : error}`);
	}
	model.profile = kept ?? model.suitable ?? "lite";
}

function listen() {
	place("composer").addEventListener("submit", (event) => {
		event.preventDefault();
		void send();
	});
	question.addEventListener("input", grow);
	question.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
		event.preventDefault();
		void send();
	});
	place("stop").addEventListener("click", () => void chat.stop());
	document.addEventListener("keydown", (event) => {
		if (event.key === "Escape" && !document.querySelector("dialog[open]")) void chat.stop();
	});
	broker.addEventListener("state", draw);
	// It may be hidden while it waits for a frame.
	document.addEventListener("visibilitychange", () => drawing && drawNow());
	chat.addEventListener("change", draw);
	chat.addEventListener("done", (event) => {
		const { text, stopped, tokens } = /** @type {CustomEvent} */ (event).detail;
		say(`${stopped ? `Answer, ${stopped}: ` : "Answer: "}${text.slice(0, SAID_CHARS_MAX)}`);
		if (stopped) log.warn(`answer ${stopped}`);
		else log.success(`answered with ${tokens} tokens`);
	});
	chat.addEventListener("failure", (event) =>
		log.error(`no answer: ${/** @type {CustomEvent} */ (event).detail?.message}`),
	);
	const wide = matchMedia("(min-width: 1000px)");
	const unfold = () => {
		list.open = wide.matches;
	};
	wide.addEventListener("change", unfold);
	unfold();
}

async function start() {
	const storage = await openStorage();
	chat = new Chat(storage, currentHost);
	const tellProblem = () => storage.problem && showError(storage.problem);
	storage.addEventListener("problem", tellProblem);
	tellProblem();
	queuePanel(place("queue"), broker);
	listen();
	try {
		await Promise.all([readModels(), lookAtGpu()]);
	} catch (error) {
		showError(error, { retry: () => location.reload() });
	}
	// Unless somebody switched it while the GPU was looked at.
	const serves = model.serves === "off" && localStorage.getItem(KEPT.serve) && model.chosen;
	if (serves) void setServing(true);
	await chat.restore().finally(begun);
	drawNow();
	scrollToEnd(true);
	question.focus();
}

void start();

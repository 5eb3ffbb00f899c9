// @ts-check
// What Root Dreamer shows: pure templates from its state. All text, whoever made it, is only ever
// text. Decides nothing. Used by dreamer.js.
import { html, nothing, repeat } from "../../ui/template.js";
import { deviceChooser } from "../../ui/device_choice.js";
import { formatTime } from "../../ui/frame.js";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

const SHOWN_MAX = 100;
const LINE_CHARS_MAX = 200;

/** @typedef {import("./dream_round.js").Thought} Thought */
/** @typedef {import("./dream_round.js").Recollection} Recollection */
/** @typedef {"hand"|"hidden"|"open"} Auto When it wakes by itself. */
/**
 * @typedef {object} Actions
 * @property {() => void} wake
 * @property {() => void} sleep
 * @property {() => void} again
 * @property {() => void} reset
 * @property {(auto: Auto) => void} setAuto
 * @property {(text: string) => Promise<boolean>} addNote
 * @property {(id: string) => void} choose
 * @property {(device: "webgpu"|"wasm") => void} setDevice
 */
/**
 * @typedef {object} View
 * @property {import("./dream_scheduler.js").DreamScheduler} scheduler
 * @property {import("./dream_round.js").Counts} counts
 * @property {number} round
 * @property {Auto} auto
 * @property {boolean} ready
 * @property {boolean} demo
 * @property {Recollection[]} memories
 * @property {Thought[]} thoughts
 * @property {import("../../inference/catalog.js").ModelSpec[]} models
 * @property {string} model
 * @property {"webgpu"|"wasm"} device
 */

/** The words for each phase, and the state of the frame that goes with it. */
const PHASES = {
	asleep: ["Asleep", "idle"],
	elsewhere: ["Another tab is dreaming", "waiting"],
	waiting: ["Waiting for the GPU", "waiting"],
	fetching: ["Fetching the model", "waiting"],
	loading: ["Loading the model", "holding"],
	dreaming: ["Dreaming", "holding"],
	"giving-way": ["Gave way, goes on afterwards", "yielding"],
	resting: ["Interrupted, goes on in a moment", "yielding"],
	done: ["Waiting for new memories", "resident"],
};

/** What stands where the stream is not. */
const SILENT = "What it thinks appears here as it comes.";
/** @type {Record<string, string>} */
const PAUSES = {
	asleep: SILENT,
	elsewhere: "This tab goes on when that one stops.",
	waiting: "It thinks when the GPU is free: everybody else goes first.",
	fetching: "Its files come into this browser first. That needs no GPU.",
	loading: SILENT,
	dreaming: "Between two thoughts.",
	"giving-way": "What it thought is kept. It goes on where it stopped.",
	resting: "What it thought is kept. It goes on where it stopped.",
	done: "It has thought about everything. Add a note, or let it dream again.",
};

/** @param {View["scheduler"]} scheduler @returns {{text: string, word: string}} */
export function phaseOf({ phase, detail, stopping }) {
	const [text, word] = PHASES[phase];
	if (stopping) return { text: "Falling asleep after this step", word: "yielding" };
	if (phase === "dreaming" && detail) {
		return { text: `Asked to give way to ${detail}`, word: "yielding" };
	}
	if (phase === "giving-way" && detail) {
		return { text: `Asked to give way to ${detail}; goes on afterwards`, word };
	}
	if (detail) return { text: `${text}: ${detail}`, word };
	return { text, word };
}

/** @param {View} view @param {Actions} actions */
export function dreamingView(view, actions) {
	const { scheduler, counts, round } = view;
	const { text, word } = phaseOf(scheduler);
	return html`<div class="stack">
		<div class="row spread">
			<p class="phase state state-${word}" data-phase=${scheduler.phase}>${text}</p>
			<div class="row">${buttons(view, actions)}</div>
		</div>
		<dl class="facts counts">
			<div><dt>Memories</dt><dd id="count-memories">${counts.memories}</dd></div>
			<div><dt>Thoughts</dt><dd id="count-thoughts">${counts.thoughts}</dd></div>
			<div><dt>Links</dt><dd id="count-links">${counts.links}</dd></div>
			<div><dt>Round ${round}</dt>
				<dd id="count-round">${counts.done} of ${counts.memories}</dd></div>
		</dl>
		<progress aria-label="This round" max=${Math.max(1, counts.memories)}
			value=${counts.done}></progress>
		${streamView(scheduler)}
		${
			scheduler.by
				? html`<p class="muted" id="source">The words come from
			<bdi>${scheduler.by}</bdi>.</p>`
				: nothing
		}
		<label class="row">Wakes
			<select @change=${(/** @type {Event} */ event) =>
				actions.setAuto(
					/** @type {Auto} */ (/** @type {HTMLSelectElement} */ (event.target).value),
				)}>
				${autoOption(view.auto, "hand", "only when I say so")}
				${autoOption(view.auto, "hidden", "while this tab is in the background")}
				${autoOption(view.auto, "open", "whenever this page is open")}
			</select>
		</label>
	</div>`;
}

/** @param {Auto} auto @param {Auto} value @param {string} text */
function autoOption(auto, value, text) {
	return html`<option value=${value} .selected=${auto === value}>${text}</option>`;
}

/** @param {View} view @param {Actions} actions */
function buttons({ scheduler, counts, ready }, actions) {
	const all = counts.memories > 0 && counts.done === counts.memories;
	return html`
		${
			scheduler.awake || scheduler.stopping
				? html`<button type="button" ?disabled=${scheduler.stopping}
				@click=${actions.sleep}>Sleep</button>`
				: html`<button type="button" class="primary" ?disabled=${!ready}
				@click=${actions.wake}>Wake</button>`
		}
		${all ? html`<button type="button" @click=${actions.again}>Dream again</button>` : nothing}
		<button type="button" class="danger" ?disabled=${counts.thoughts === 0}
			@click=${actions.reset}>Reset…</button>`;
}

/** @param {View["scheduler"]} scheduler */
function streamView({ stream, awake, phase }) {
	if (!stream) return html`<div class="stream muted">${awake ? PAUSES[phase] : SILENT}</div>`;
	return html`<div class="stream stack-s">
		<p class="stream-about muted clamp" dir="auto">About: ${line(stream.memory.text)}</p>
		<p class="stream-text" dir="auto">${stream.text || "…"}</p>
	</div>`;
}

/** @param {View} view */
export function thoughtsView({ thoughts, memories, demo }) {
	const byId = new Map(memories.map((memory) => [memory.id, memory]));
	const shown = thoughts.slice(0, SHOWN_MAX);
	return html`
		<div class="row spread heading">
			<h2>Thoughts</h2>
			${demo && thoughts.length > 0 ? html`<span class="badge demo">Demo model</span>` : nothing}
		</div>
		${shown.length === 0 ? html`<p class="empty">No thoughts yet.</p>` : nothing}
		<ol class="thoughts">
			${repeat(
				shown,
				(thought) => thought.id,
				(thought) => thoughtView(thought, byId),
			)}
		</ol>
		${
			thoughts.length > shown.length
				? html`<p class="muted">The newest ${shown.length} of
			${thoughts.length} are shown.</p>`
				: nothing
		}`;
}

/** @param {Thought} thought @param {Map<string, Recollection>} byId */
function thoughtView(thought, byId) {
	const about = thought.about.map((id) => byId.get(id)).filter((found) => found !== undefined);
	const links = thought.links.map((id) => byId.get(id)).filter((found) => found !== undefined);
	return html`<li class="thought stack-s" data-id=${thought.id}>
		<p class="thought-text" dir="auto">${thought.text}</p>
		${about.map(
			(memory) => html`<p class="thought-about muted clamp"
			dir="auto">${line(memory.text)}</p>`,
		)}
		${
			links.length === 0
				? nothing
				: html`<ul class="links" aria-label="Belongs with">
			${links.map((memory) => html`<li dir="auto">${line(memory.text)}</li>`)}</ul>`
		}
		<small class="faint">Round ${thought.round}, ${when(thought.at)}</small>
	</li>`;
}

/** Memories may be old: a day as well, unless it is today. @param {number} at */
function when(at) {
	const today = new Date(at).toDateString() === new Date().toDateString();
	return today ? formatTime(at) : `${day.format(at)}, ${formatTime(at)}`;
}

/** The beginning of a text as one line. @param {string} text */
function line(text) {
	const flat = text.replace(/\s+/g, " ").trim();
	return flat.length <= LINE_CHARS_MAX ? flat : `${flat.slice(0, LINE_CHARS_MAX - 1)}…`;
}

/** @param {View} view @param {Actions} actions */
export function memoriesView({ memories, ready }, actions) {
	const newest = [...memories].sort((a, b) => b.at - a.at).slice(0, SHOWN_MAX);
	return html`
		<h2>Memories</h2>
		<form class="stack-s" @submit=${(/** @type {SubmitEvent} */ event) => submitted(event, actions)}>
			<label class="field">Add a note
				<textarea name="text" rows="2" required maxlength="20000" dir="auto"></textarea>
			</label>
			<div class="row row-end">
				<button type="submit" class="small" ?disabled=${!ready}>Add note</button>
			</div>
		</form>
		${
			newest.length === 0
				? html`<p class="empty">No notes and no conversations yet. Mic saves
			notes, Console keeps conversations.</p>`
				: nothing
		}
		<ul class="memories" tabindex="0" aria-label="Memories, newest first">
			${repeat(
				newest,
				(memory) => memory.id,
				(memory) => html`<li class="memory">
				<p class="clamp" dir="auto">${line(memory.text)}</p>
				<small class="faint">${memory.kind}, ${when(memory.at)}</small>
			</li>`,
			)}
		</ul>`;
}

/** @param {SubmitEvent} event @param {Actions} actions */
async function submitted(event, actions) {
	event.preventDefault();
	const field = /** @type {HTMLTextAreaElement} */ (
		/** @type {HTMLFormElement} */ (event.target).elements.namedItem("text")
	);
	const text = field.value.trim();
	if (text !== "" && (await actions.addNote(text))) field.value = "";
}

/** @param {View} view @param {Actions} actions */
export function modelView({ models, model, scheduler, demo, device }, actions) {
	return html`
		<h2>Model</h2>
		<div class="stack-s">
			<label class="field">Think with
				<select ?disabled=${scheduler.awake || scheduler.stopping}
					@change=${(/** @type {Event} */ event) =>
						actions.choose(/** @type {HTMLSelectElement} */ (event.target).value)}>
					${models.map(
						(spec) => html`<option value=${spec.id}
						.selected=${spec.id === model}>${spec.name}</option>`,
					)}
				</select>
			</label>
			${deviceChooser(device, scheduler.awake || scheduler.stopping, actions.setDevice)}
			${
				demo
					? html`<p class="muted"><span class="badge demo">Demo model</span> Its thoughts
				mean nothing: it knows a few sentences. It shows that dreaming works.</p>`
					: nothing
			}
		</div>`;
}

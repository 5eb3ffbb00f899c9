// @ts-check
// What Root Mic shows: pure templates from its state. All text, whoever made it, is only ever text.
// Decides nothing. Used by mic.js.
import { html, nothing, repeat } from "../../ui/template.js";
import { formatBytes, formatSeconds, formatTime } from "../../ui/frame.js";
import { TEST_TONES } from "./audio.js";
import { deviceChooser } from "../../ui/device_choice.js";
import { isBusy } from "./takes.js";

/** @typedef {import("./takes.js").Take} Take */
/**
 * @typedef {object} Actions
 * @property {() => void} cancel
 * @property {() => void} listen
 * @property {() => void} stopListening
 * @property {() => void} playTones
 * @property {(file: File) => void} openFile
 * @property {(take: Take) => void} copy
 * @property {(take: Take) => void} refine
 * @property {(take: Take) => void} save
 * @property {(take: Take) => void} retry
 * @property {(take: Take) => void} stop
 * @property {(take: Take) => void} drop
 * @property {(task: "transcribe"|"chat", id: string) => void} choose
 * @property {(device: "webgpu"|"wasm") => void} setDevice
 * @property {() => void} unload
 */
/**
 * @typedef {object} Capture What the recording side shows.
 * @property {import("./capture.js").Phase} phase
 * @property {import("./level_meter.js").Heard | null} heard
 * @property {string} problem
 * @property {boolean} demo
 */

const PHASES = {
	idle: "Ready",
	asking: "Asking for the microphone",
	recording: "Recording",
	decoding: "Reading the sound",
	opening: "Asking for the microphone",
	listening: "Listening: speak",
	hearing: "Hearing you",
};

/** @param {Capture} capture @param {Actions} actions */
export function recordingView(capture, actions) {
	const { phase, heard } = capture;
	const recording = phase === "recording";
	const handsFree = ["opening", "listening", "hearing"].includes(phase);
	const silent = recording && heard?.silent === true;
	return html`
		<p class="talk-status" role="status">${PHASES[phase]}</p>
		${recording || handsFree ? levelView(heard, silent) : nothing}
		${
			silent
				? html`<p class="notice warning" role="alert">Nothing is heard. Is the microphone
			muted, or is it another one than you speak into?</p>`
				: nothing
		}
		${
			capture.problem && phase === "idle"
				? html`<p class="notice warning" role="alert">${capture.problem}</p>`
				: nothing
		}
		<p class="muted" id="talk-help">Hold the button<span class="keys"> or
			<kbd>Space</kbd></span> while you talk, or tap to begin and tap to end.<span
			class="keys"> <kbd>Esc</kbd> drops the recording.</span> Or listen without a button:
			what you say is written down when you pause. Silero VAD hears that, on the
			processor.</p>
		<div class="row">
			${
				handsFree
					? html`<button type="button" id="listen" aria-pressed="true"
				@click=${actions.stopListening}>Stop listening</button>`
					: recording || phase === "asking"
						? html`
				<button type="button" @click=${actions.cancel}>Drop recording</button>`
						: html`<button type="button" id="listen" aria-pressed="false"
						?disabled=${phase !== "idle"} @click=${actions.listen}>Listen</button>
					<button type="button" ?disabled=${phase !== "idle"}
						@click=${actions.playTones}>Play test tones</button>
					<label class="button file-button">Open a sound file
						<input type="file" accept="audio/*,video/webm" ?disabled=${phase !== "idle"}
							@change=${(/** @type {Event} */ event) => chosen(event, actions)}>
					</label>`
			}
		</div>
		${capture.demo ? demoHelp() : nothing}
	`;
}

/** @param {Event} event @param {Actions} actions */
function chosen(event, actions) {
	const input = /** @type {HTMLInputElement} */ (event.target);
	const file = input.files?.[0];
	if (file) actions.openFile(file);
	input.value = ""; // so that the same file can be chosen again
}

/** @param {Capture["heard"]} heard @param {boolean} silent */
function levelView(heard, silent) {
	const percent = Math.round((heard?.level ?? 0) * 100);
	return html`<div class="row">
		<div class="level grow ${silent ? "silent" : ""}" role="meter" aria-label="Level"
			aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}>
			<div class="level-bar" .style=${`width: ${percent}%`}></div>
		</div>
		<span class="mono nowrap">${formatSeconds(heard?.seconds ?? 0)}</span>
	</div>`;
}

function demoHelp() {
	return html`<p class="muted"><span class="badge demo">Demo model</span> It knows no speech. It
		hears four tones, a second each, and writes a word for each:
		${TEST_TONES.map(({ word, hz }, n) => html`${n ? ", " : ""}${hz} Hz ${word}`)}.</p>`;
}

/** @param {Take[]} takes @param {Actions} actions @param {boolean} canSave */
export function takesView(takes, actions, canSave) {
	return html`
		<h2>Transcripts of this visit</h2>
		${takes.length === 0 ? html`<p class="empty">Nothing yet. What you say appears here.</p>` : nothing}
		<ol class="takes">
			${repeat(
				takes,
				(take) => take.id,
				(take) => takeView(take, actions, canSave),
			)}
		</ol>`;
}

/** @param {Take} take @param {Actions} actions @param {boolean} canSave */
function takeView(take, actions, canSave) {
	const busy = isBusy(take);
	return html`<li class="take stack-s" data-state=${take.state} data-job=${take.job}>
		<div class="row spread">
			<div class="row"><span class="muted">${formatTime(take.at)} ·
				<bdi>${take.source}</bdi> · ${formatSeconds(take.seconds)}</span>
				${take.demo ? html`<span class="badge demo">Demo model</span>` : nothing}</div>
			${
				take.tookMs !== null
					? html`<span class="faint">text after
				${formatSeconds(take.tookMs / 1000)}</span>`
					: nothing
			}
		</div>
		${take.text || take.state === "done" ? textView(take) : nothing}
		${take.refined !== null ? refinedView(take) : nothing}
		${busy ? workView(take, actions) : nothing}
		${take.state === "failed" ? problemView(take, actions) : nothing}
		${!busy && take.text ? buttonsView(take, actions, canSave) : nothing}
	</li>`;
}

/** @param {Take} take */
function textView(take) {
	const text = take.text || "(The model heard no words.)";
	return html`<p class="take-text" dir="auto">${text}</p>`;
}

/** @param {Take} take */
function refinedView(take) {
	return html`<div class="take-refined stack-s">
		<div class="row"><span class="muted">Refined${
			take.refinedBy ? html` by <bdi>${take.refinedBy}</bdi>` : nothing
		}</span>${
			take.refinedDemo
				? html`<span class="badge demo">Demo model</span>
				<span class="faint">It cannot refine; it only shows the way.</span>`
				: nothing
		}</div>
		<p class="take-text" dir="auto">${take.refined}</p>
	</div>`;
}

/** @param {Take} take */
function stateText(take) {
	if (take.state === "waiting") return "Waiting for the GPU";
	if (take.state === "fetching") return take.note;
	if (take.state === "loading") return take.note || "Loading the model";
	return take.job === "refine" ? "Refining" : "Transcribing";
}

/** @param {Take} take @param {Actions} actions */
function workView(take, actions) {
	const word = ["waiting", "fetching"].includes(take.state) ? "waiting" : "holding";
	return html`<div class="row">
		<span class="state state-${word}">${stateText(take)}</span>
		<progress class="grow" aria-label=${stateText(take)} max="1"
			value=${take.fraction ?? nothing}></progress>
		<button type="button" class="small" @click=${() => actions.stop(take)}>Stop</button>
	</div>`;
}

/** @param {Take} take @param {Actions} actions */
function problemView(take, actions) {
	return html`<p class="take-problem">${take.note}</p>
		<div class="row">
			<button type="button" class="small"
				@click=${() => actions.retry(take)}>Try again</button>
			${
				take.text
					? nothing
					: html`<button type="button" class="small quiet"
				@click=${() => actions.drop(take)}>Remove</button>`
			}
		</div>`;
}

/** @param {Take} take @param {Actions} actions @param {boolean} canSave */
function buttonsView(take, actions, canSave) {
	const saved = take.saved === (take.refined ?? take.text);
	return html`<div class="row">
		<button type="button" class="small" @click=${() => actions.copy(take)}>Copy</button>
		<button type="button" class="small" @click=${() => actions.refine(take)}>Refine</button>
		<button type="button" class="small" ?disabled=${saved || !canSave}
			@click=${() => actions.save(take)}>
			${saved ? "Saved as a note" : "Save as a note"}</button>
		<button type="button" class="small quiet" @click=${() => actions.drop(take)}>Remove</button>
	</div>`;
}

/**
 * @typedef {object} ModelsState
 * @property {import("../../inference/catalog.js").ModelSpec[]} catalog
 * @property {{transcribe: string, chat: string}} chosen
 * @property {"webgpu"|"wasm"} device
 * @property {number | null} vramBytes What the loaded models take, as far as known.
 * @property {number} chunks
 * @property {number} chunksMax
 * @property {boolean} loaded
 * @property {boolean} busy
 */

/** @param {ModelsState} models @param {Actions} actions */
export function modelsView(models, actions) {
	return html`
		<h2>Models</h2>
		<div class="stack-s">
			${chooser(models, actions, "transcribe", "Transcribe with")}
			${chooser(models, actions, "chat", "Refine with")}
			${deviceChooser(models.device, models.busy, actions.setDevice)}
			<dl class="facts">
				<div><dt>GPU memory</dt>
					<dd id="vram">${models.loaded ? formatBytes(models.vramBytes) : "none"}</dd></div>
				<div><dt>Parts since its start</dt>
					<dd id="chunks">${models.chunks} of ${models.chunksMax}</dd></div>
			</dl>
			<div class="row">
				<button type="button" class="small" ?disabled=${!models.loaded || models.busy}
					@click=${actions.unload}>Unload</button>
				<span class="faint">Whisper keeps some memory with each part of speech, and is
					started anew after ${models.chunksMax}.</span>
			</div>
		</div>`;
}

/**
 * @param {ModelsState} models @param {Actions} actions
 * @param {"transcribe"|"chat"} task @param {string} label
 */
function chooser(models, actions, task, label) {
	const specs = models.catalog.filter((spec) => spec.task === task);
	return html`<label class="field">${label}
		<select ?disabled=${models.busy} @change=${(/** @type {Event} */ event) =>
			actions.choose(task, /** @type {HTMLSelectElement} */ (event.target).value)}>
			${specs.map(
				(spec) => html`<option value=${spec.id}
				.selected=${spec.id === models.chosen[task]}>${spec.name}</option>`,
			)}
		</select></label>`;
}

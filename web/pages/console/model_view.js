// @ts-check
// Draws which model answers, on what hardware profile, and what it takes of the GPU.
import { html, live, nothing } from "../../ui/template.js";
import { profileNames, profiles, suits } from "../../inference/profiles.js";
import { formatBytes } from "../../ui/frame.js";

/**
 * @typedef {import("../../inference/catalog.js").ModelSpec} ModelSpec
 * @typedef {import("../../inference/profiles.js").ProfileName} ProfileName
 *
 * @typedef {object} ModelState
 * @property {ModelSpec[]} models those that chat
 * @property {string[]} problems of the models file
 * @property {ModelSpec | undefined} chosen
 * @property {ProfileName} profile
 * @property {ProfileName | null} suitable what the GPU looks good for
 * @property {string} gpu what is known of the GPU, in words
 * @property {"webgpu"|"wasm"} device
 * @property {import("../../inference/model_host.js").HostState} state
 * @property {number} vramBytes
 * @property {boolean} busy
 * @property {"off"|"connecting"|"open"} serves programs that ask the broker's gateway
 * @property {number} requests of theirs, on their way
 *
 * @typedef {object} ModelActions
 * @property {(id: string) => void} choose
 * @property {(profile: ProfileName) => void} setProfile
 * @property {() => void} unload
 * @property {() => void} fetchAgain
 * @property {() => void} add
 * @property {() => void} useGpu
 * @property {(on: boolean) => void} serve
 */

const MIB = 1024 * 1024;

/** @type {Record<string, [tone: string, word: string]>} */
const STATES = {
	empty: ["idle", "not loaded"],
	waiting: ["waiting", "waiting"],
	fetching: ["idle", "fetching"],
	loading: ["resident", "loading"],
	ready: ["resident", "loaded"],
	busy: ["holding", "computing"],
};

/** @param {ModelSpec} spec @param {ProfileName} profile */
function label({ name, demo, profile: made }, profile) {
	if (demo) return `${name} · Demo model`;
	return suits(made, profile) ? name : `${name} (made for ${profiles[made].label})`;
}

/** @param {Event} event */
const valueOf = (event) => /** @type {HTMLSelectElement} */ (event.target).value;

/** @param {ModelState} s @param {ModelActions} actions */
function choosing(s, actions) {
	const [fitting, others] = [true, false].map((fits) =>
		s.models.filter((spec) => suits(spec.profile, s.profile) === fits),
	);
	const option = (/** @type {ModelSpec} */ spec) => html`<option value=${spec.id}
		?selected=${spec.id === s.chosen?.id}>${label(spec, s.profile)}</option>`;
	return html`<label class="field">Model
		<select id="choose" ?disabled=${s.busy} .value=${live(s.chosen?.id ?? "")}
			@change=${(/** @type {Event} */ event) => actions.choose(valueOf(event))}>
			${fitting.map(option)}
			${
				others.length > 0
					? html`<optgroup label="For more hardware">${others.map(option)}
				</optgroup>`
					: nothing
			}
		</select></label>
	<label class="field">Hardware profile
		<select id="profile" ?disabled=${s.busy} .value=${live(s.profile)}
			@change=${(/** @type {Event} */ event) =>
				actions.setProfile(/** @type {ProfileName} */ (valueOf(event)))}>
			${profileNames.map(
				(name) => html`<option value=${name} ?selected=${name === s.profile}>
				${profiles[name].label}${name === s.suitable ? ", suits this GPU" : ""}</option>`,
			)}
		</select></label>
	<p class="faint">${profiles[s.profile].label}: ${profiles[s.profile].hint};
		answers of up to ${profiles[s.profile].newTokens} tokens.</p>`;
}

/** The switch, and what programs are to say. @param {ModelState} s @param {ModelActions} actions */
function serving(s, actions) {
	return html`<label class="row"><input type="checkbox" id="serve" .checked=${live(s.serves !== "off")}
		?disabled=${!s.chosen} @change=${(/** @type {Event} */ event) =>
			actions.serve(/** @type {HTMLInputElement} */ (event.target).checked)}>
		Answer programs, too</label>
	${
		s.serves === "open" && s.chosen
			? html`<p id="served" class="faint">Ask <code>${location.origin}/v1</code> for the model
			<code>${s.chosen.id}</code>. ${
				s.requests > 0 ? `${s.requests} on the way.` : "Nobody asks now."
			}</p>`
			: nothing
	}
	${s.serves === "connecting" ? html`<p class="faint">Not connected.</p>` : nothing}`;
}

/** @param {ModelState} s @param {ModelActions} actions */
export function modelView(s, actions) {
	const [tone, word] = STATES[s.state];
	const needs = s.chosen ? s.chosen.vram_mb * MIB : 0;
	return html`<div class="row spread"><h2>Model</h2>
		<span class=${`state state-${tone}`}>${word}</span></div>
		<div class="stack-s model-body">
		${choosing(s, actions)}
		${
			s.chosen?.demo
				? html`<p class="notice demo-notice">
			<span class="badge demo">Demo model</span> ${s.chosen.note}
			Real ones are yours to add.</p>`
				: s.chosen?.note
					? html`<p class="muted"><bdi>${s.chosen.note}</bdi></p>`
					: nothing
		}
		${s.problems.map((problem) => html`<p class="field-error"><bdi>${problem}</bdi></p>`)}
		<dl class="facts">
			<div><dt>GPU memory, asked</dt>
				<dd>${s.device === "wasm" ? "none" : formatBytes(needs)}</dd></div>
			<div><dt>GPU memory, used</dt><dd>${formatBytes(s.vramBytes)}</dd></div>
			<div class="whole"><dt>Runs on</dt>
				<dd><bdi>${s.device === "wasm" ? "the CPU" : s.gpu}</bdi></dd></div>
		</dl>
		${serving(s, actions)}
		<div class="row">
			<button type="button" class="small" @click=${actions.add}>Add models…</button>
			<button type="button" class="small" ?disabled=${s.busy || s.state !== "ready"}
				@click=${actions.unload}>Unload</button>
			${
				s.chosen?.url || s.chosen?.engine === "webllm"
					? html`
				<button type="button" class="small" ?disabled=${s.busy || s.state === "fetching"}
				title="Deletes its files from this browser and fetches them anew"
				@click=${actions.fetchAgain}>Fetch again</button>`
					: nothing
			}
			${
				s.device === "wasm"
					? html`<button type="button" class="small" ?disabled=${s.busy}
				@click=${actions.useGpu}>Use the GPU</button>`
					: nothing
			}
		</div></div>`;
}

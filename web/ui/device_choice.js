// @ts-check
// Where the models of a page compute: on the GPU, in turns, or on the CPU, which is slow but
// needs no WebGPU and asks nobody. Kept per page; the hardware profile is the one that was chosen
// in Console. Used by Root Mic and Root Dreamer.
import { html } from "./template.js";
import { profileNames } from "../inference/profiles.js";

/** @typedef {"webgpu"|"wasm"} Device */

/** @param {string} page @returns {Device} */
export function keptDevice(page) {
	return localStorage.getItem(`baton.${page}.device`) === "wasm" ? "wasm" : "webgpu";
}

/** @param {string} page @param {Device} device */
export function keepDevice(page, device) {
	localStorage.setItem(`baton.${page}.device`, device);
}

/** @returns {import("../inference/profiles.js").ProfileName} */
export function keptProfile() {
	const kept = localStorage.getItem("baton.console.profile");
	return profileNames.find((name) => name === kept) ?? "lite";
}

/** WebLLM computes on the GPU alone. @param {Device} device @param {{engine: string}} spec */
export function deviceFor(device, spec) {
	return spec.engine === "webllm" ? "webgpu" : device;
}

/** @param {Device} device @param {boolean} busy @param {(device: Device) => void} choose */
export function deviceChooser(device, busy, choose) {
	return html`<label class="field">Compute on
		<select ?disabled=${busy} @change=${(/** @type {Event} */ event) =>
			choose(/** @type {Device} */ (/** @type {HTMLSelectElement} */ (event.target).value))}>
			<option value="webgpu" .selected=${device === "webgpu"}>the GPU, in turns</option>
			<option value="wasm" .selected=${device === "wasm"}>the CPU, slowly</option>
		</select></label>`;
}

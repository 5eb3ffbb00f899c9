// @ts-check
// A dialog that brings models of one's own into the list: by the name of a repository, with what
// will be fetched and how large it is, or by hand. The whole story is in README.md beside the
// engines.
import { element, formatBytes, showDialog } from "../../ui/frame.js";
import { entryOf, lookUp } from "./repository.js";

const EXAMPLE = `[
  {
    "id": "qwen2.5-0.5b",
    "name": "Qwen2.5 0.5B Instruct",
    "engine": "transformers",
    "task": "chat",
    "profile": "lite",
    "vram_mb": 900,
    "dtype": "q4f16",
    "path": "Qwen2.5-0.5B-Instruct"
  },
  {
    "id": "Llama-3.2-1B-Instruct-q4f32_1-MLC",
    "name": "Llama 3.2 1B Instruct",
    "engine": "webllm",
    "task": "chat",
    "profile": "mid",
    "vram_mb": 1130,
    "path": "Llama-3.2-1B-Instruct-q4f32_1-MLC",
    "model_lib": "libs/Llama-3.2-1B-Instruct-q4f32_1-ctx4k_cs1k-webgpu.wasm"
  }
]`;

/** @typedef {import("../../inference/catalog.js").ModelSpec} ModelSpec */
/** @typedef {import("../../inference/model_host.js").Progress} Progress */
/**
 * @typedef {object} GuideActions
 * @property {(spec: ModelSpec, o: {signal: AbortSignal, onProgress: (progress: Progress) => void}
 *     ) => Promise<void>} add to this browser's list, and its files into this browser
 */

/** @param {...(Node|string)} content */
const paragraph = (...content) => element("p", {}, ...content);
/** @param {string} text */
const code = (text) => element("code", {}, text);

/** A text to be copied. @param {string} text @param {string} label what it is, for the button */
function copyable(text, label) {
	const copy = element(
		"button",
		{ type: "button", class: "small", "aria-label": `Copy ${label}` },
		"Copy",
	);
	copy.addEventListener("click", async () => {
		copy.textContent = await navigator.clipboard.writeText(text).then(
			() => "Copied",
			() => "Not allowed: select it",
		);
	});
	return element(
		"div",
		{ class: "stack-s" },
		element("pre", { class: "report", tabindex: "0" }, text),
		copy,
	);
}

/** By its name from a hub: what there is, how large, and then its files. @param {GuideActions} o */
function repositoryForm({ add }) {
	const name = /** @type {HTMLInputElement} */ (
		element("input", {
			id: "repository",
			autofocus: "",
			required: "",
			spellcheck: "false",
			placeholder: "onnx-community/Qwen2.5-0.5B-Instruct",
		})
	);
	const find = element("button", { type: "submit" }, "Look up");
	const found = element("div", { id: "found", class: "stack-s", "aria-live": "polite" });
	const form = element(
		"form",
		{ class: "stack-s" },
		element("label", { class: "field" }, "Repository", name),
		element("div", { class: "row" }, find),
		found,
	);
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		found.replaceChildren(paragraph("Looking…"));
		try {
			found.replaceChildren(...foundView(await lookUp(name.value), add));
		} catch (error) {
			found.replaceChildren(...problemView(error));
		}
	});
	return form;
}

/** @param {unknown} error */
function problemView(error) {
	const { message, origin } = /** @type {import("./repository.js").RepositoryError} */ (error);
	const words = element("p", { class: "field-error", role: "alert" }, message);
	if (!origin) return [words];
	return [
		words,
		paragraph(
			"Pages of the broker ask only where its configuration lets them. "
				+ "Add this, and the host to which it sends large files, if that is another:",
		),
		copyable(`model_origins: ["${origin}"]`, "the setting"),
	];
}

/** @param {import("./repository.js").Found} found @param {GuideActions["add"]} add */
function foundView(found, add) {
	const list = found.variants.map((variant, at) => {
		const choice = element("input", {
			type: "radio",
			name: "variant",
			value: String(at),
			...(at === 0 ? { checked: "" } : {}),
		});
		return element(
			"label",
			{ class: "row" },
			choice,
			`${variant.dtype || found.name}: `
				+ `${variant.files.length} files, ${formatBytes(variant.bytes)}`,
		);
	});
	const choices = element(
		"fieldset",
		{ class: "stack-s" },
		element(
			"legend",
			{},
			`${found.name}, for ${found.engine}, `
				+ `${found.task === "chat" ? "chat" : "transcription"}`,
		),
		...list,
	);
	const begin = element("button", { type: "button", class: "primary" }, "Add and fetch");
	const entry = element("div", {});
	const files = element("ul", { class: "faint" });
	const chosen = () => {
		const checked = /** @type {HTMLInputElement} */ (choices.querySelector(":checked"));
		return found.variants[Number(checked.value)];
	};
	const show = () => {
		const { files: some } = chosen();
		files.replaceChildren(
			...some.map(({ path, bytes }) => element("li", {}, `${path}, ${formatBytes(bytes)}`)),
		);
		entry.replaceChildren(
			copyable(JSON.stringify([entryOf(found, chosen())], null, 2), "the entry"),
		);
	};
	choices.addEventListener("change", show);
	show();
	begin.addEventListener("click", () => fetchNow(begin, entryOf(found, chosen()), add));
	return [
		choices,
		element("div", { class: "row" }, begin),
		element("details", {}, element("summary", {}, "What will be fetched"), files),
		element("details", {}, element("summary", {}, "The entry for a models file"), entry),
	];
}

/** @param {HTMLElement} button @param {ModelSpec} spec @param {GuideActions["add"]} add */
async function fetchNow(button, spec, add) {
	const stop = new AbortController();
	const words = element("p", { role: "status" }, "Fetching…");
	const bar = element("progress", { max: "1", value: "0", "aria-label": "Fetching the model" });
	button.replaceWith(words, bar);
	button.closest("dialog")?.addEventListener("close", () => stop.abort());
	try {
		await add(spec, {
			signal: stop.signal,
			onProgress: ({ loaded, total, fraction }) => {
				words.textContent = `${formatBytes(loaded)} of ${formatBytes(total)}`;
				bar.setAttribute("value", String(fraction));
			},
		});
		words.textContent = `${spec.name} is here, and chosen.`;
	} catch (error) {
		words.textContent = error instanceof Error ? error.message : String(error);
		words.className = "field-error";
		bar.replaceWith(button);
	}
}

/** @param {GuideActions} actions */
export function showModelGuide(actions) {
	const close = element("button", { type: "button", class: "primary" }, "Close");
	const dialog = /** @type {HTMLDialogElement} */ (
		element(
			"dialog",
			{ class: "wide", "aria-labelledby": "guide-title" },
			element(
				"div",
				{ class: "dialog-body" },
				element("h2", { id: "guide-title" }, "Models of your own"),
				paragraph(
					"By name from Hugging Face, or by address from a hub that speaks as it "
						+ "does. Its files stay in this browser.",
				),
				repositoryForm(actions),
				element("h3", {}, "From a folder"),
				paragraph(
					"Put the models' files into a folder, list them in ",
					code("models.json"),
					" there, and start the daemon with it:",
				),
				copyable("baton serve --models ~/models", "the command"),
				copyable(EXAMPLE, "the example"),
				paragraph(
					code("transformers"),
					" takes a copy of a repository made for "
						+ "transformers.js (config.json, tokenizer.json, onnx/…). ",
					code("webllm"),
					" takes an MLC model whose files lie below ",
					code("resolve/main/"),
					", and its library compiled for version 0.2.86.",
				),
				paragraph(
					"Files may also stay at an address: ",
					code('"url"'),
					" in place of ",
					code('"path"'),
					", and its origin in ",
					code("model_origins"),
					" of the daemon's configuration. Nothing is fetched from anywhere else.",
				),
				element("div", { class: "row row-end" }, close),
			),
		)
	);
	close.addEventListener("click", () => dialog.close());
	showDialog(dialog);
}

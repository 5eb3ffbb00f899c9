// @ts-check
// A dialog that tells how models of one's own come into the list. The whole story is in README.md
// beside the engines.
import { element } from "../shared/shell.js";

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

/** @param {...(Node|string)} content */
const paragraph = (...content) => element("p", {}, ...content);
/** @param {string} text */
const code = (text) => element("code", {}, text);

export function showModelGuide() {
	const close = element("button", { type: "button", class: "primary", autofocus: "" }, "Close");
	const dialog = /** @type {HTMLDialogElement} */ (element("dialog",
		{ class: "wide", "aria-labelledby": "guide-title" },
		element("div", { class: "dialog-body" },
			element("h2", { id: "guide-title" }, "Models of your own"),
			paragraph("Put the models' files into a folder, list them in ", code("models.json"),
				" there, and start the daemon with it:"),
			element("pre", { class: "report" }, "baton serve --models ~/models"),
			element("pre", { class: "report", tabindex: "0" }, EXAMPLE),
			paragraph(code("transformers"), " takes a copy of a repository made for "
				+ "transformers.js (config.json, tokenizer.json, onnx/…). ", code("webllm"),
			" takes an MLC model whose files lie below ", code("resolve/main/"),
			", and its library compiled for version 0.2.86."),
			paragraph("Files may also stay at an address: ", code('"url"'), " in place of ",
				code('"path"'), ", and its origin in ", code("model_origins"),
				" of the daemon's configuration. Nothing is fetched from anywhere else."),
			element("div", { class: "row row-end" }, close))));
	close.addEventListener("click", () => dialog.close());
	dialog.addEventListener("close", () => dialog.remove());
	document.body.append(dialog);
	dialog.showModal();
}

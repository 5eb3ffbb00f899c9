// @ts-check
// "Debug GPU": what the browser says of its GPU and what the broker says of the machine's, as text
// that can be copied into a bug report. Loaded by queue_panel.js when it is asked for.
import { detect } from "/sdk/index.js";
import { element, formatTime, showDialog } from "./frame.js";

/** @typedef {import("/sdk/index.js").Broker} Broker */

const LIMITS = /** @type {const} */ ([
	"maxBufferSize",
	"maxStorageBufferBindingSize",
	"maxComputeWorkgroupStorageSize",
	"maxComputeInvocationsPerWorkgroup",
	"maxStorageBuffersPerShaderStage",
]);

async function browserText() {
	if (!navigator.gpu) return "WebGPU: this browser does not offer it here.\n";
	try {
		const { adapter, info, clamped, software } = await detect();
		const lines = [
			`WebGPU adapter: ${
				[info.vendor, info.architecture, info.device, info.description]
					.filter(Boolean)
					.join(" / ") || "unnamed"
			}${software ? " (software)" : ""}`,
			`Features: ${[...adapter.features].sort().join(", ") || "none"}`,
			`Clamped limits: ${clamped.join(", ") || "none"}`,
			...LIMITS.map((name) => `${name}: ${adapter.limits[name]}`),
		];
		return `${lines.join("\n")}\n`;
	} catch (error) {
		return `WebGPU: ${error instanceof Error ? error.message : error}\n`;
	}
}

/** @param {Broker} broker */
async function brokerText(broker) {
	try {
		return `Broker: ${broker.state}\n${JSON.stringify(await broker.status(), null, 2)}\n`;
	} catch (error) {
		return `Broker: ${broker.state}; ${error instanceof Error ? error.message : error}\n`;
	}
}

/** Shows the report in a dialog; resolves when it is closed. @param {Broker} broker */
export async function showReport(broker) {
	const text =
		`Time: ${formatTime(Date.now())}\nBrowser: ${navigator.userAgent}\n`
		+ `${await browserText()}\n${await brokerText(broker)}`;
	const report = element(
		"pre",
		{ class: "report mono", role: "region", tabindex: "0", "aria-label": "Report" },
		text,
	);
	const copy = element("button", { type: "button", class: "primary" }, "Copy");
	const close = element("button", { type: "button" }, "Close");
	const said = element("span", { class: "muted", role: "status" });
	const dialog = /** @type {HTMLDialogElement} */ (
		element(
			"dialog",
			{ class: "wide", "aria-labelledby": "report-title" },
			element(
				"div",
				{ class: "dialog-body" },
				element("h2", { id: "report-title" }, "Debug GPU"),
				report,
				element("div", { class: "row row-end" }, said, close, copy),
			),
		)
	);
	copy.addEventListener("click", async () => {
		try {
			await navigator.clipboard.writeText(text);
			said.textContent = "Copied.";
		} catch {
			getSelection()?.selectAllChildren(report);
			said.textContent = "Copying is not allowed here; the text is selected instead.";
		}
	});
	close.addEventListener("click", () => dialog.close());
	await showDialog(dialog);
}

// @ts-check
// The dashboard below the queue: the timeline, VRAM over time, the clients and the events. A script
// of its own, which comes when what is looked at first has been drawn. Used by dashboard.js.
import { html } from "../../ui/template.js";
import { showError } from "../../ui/frame.js";
import { clientsView, eventsView } from "./tables.js";
import { keepFocus, timelineView } from "./timeline.js";

/**
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("../../ui/monitor_session.js").MonitorSession} MonitorSession
 */

export class LowerCards {
	/** @type {import("./vram.js").VramCharts|null} */ #charts = null;
	#awaited = false;
	/** @type {HTMLElement|null} what is as wide as the timeline's bands, while there are any */
	#measured = null;
	#widths = new ResizeObserver(() => {
		const width = this.#measured?.clientWidth;
		if (width && width !== this.view.width) this.view.change({ width });
	});

	/** @param {MonitorSession} session @param {DashboardState} dashboard
	 * @param {import("./queue_table.js").Lists} lists @param {() => void} redraw */
	constructor(session, dashboard, lists, redraw) {
		this.session = session;
		this.dashboard = dashboard;
		this.lists = lists;
		/** @type {import("./tables.js").EventFilter} */
		this.filter = {
			text: "",
			class: "",
			what: "",
			paused: null,
			shown: 100,
			connections: false,
			change(fields) {
				Object.assign(this, fields);
				redraw();
			},
		};
		/** @type {import("./timeline.js").View} */
		this.view = {
			minutes: 0,
			width: 600,
			focus: "",
			chosen: null,
			all: false,
			table: false,
			change(fields) {
				Object.assign(this, fields);
				redraw();
			},
		};
	}

	/** Own session, as the broker numbers it. */
	#ownSession() {
		return Number.parseInt(String(this.session.welcome?.session ?? ""), 10);
	}

	draw() {
		const { dashboard } = this;
		return html`${timelineView(dashboard, this.view)}
			<section class="card" id="vram-card" aria-labelledby="vram-title"
				?hidden=${!dashboard.vram}><h2 id="vram-title">VRAM over time</h2>
				<div id="vram-charts"></div></section>
			${clientsView(dashboard, this.#ownSession(), this.lists)}
			${eventsView(dashboard, this.filter)}`;
	}

	/** They are in the page; `settled`: the past is known, so they have their size. */
	drawn(/** @type {boolean} */ settled) {
		keepFocus(this.view);
		this.#followWidth();
		if (settled && this.dashboard.vram) this.#awaitCharts();
	}

	/** @param {import("/sdk/protocol.js").FromBroker.Samples} samples */
	takeSamples(samples) {
		this.#charts?.start(samples, this.dashboard.now());
	}

	takeStatus() {
		const { status } = this.dashboard;
		if (status) this.#charts?.push(status, this.dashboard.now());
	}

	#followWidth() {
		const measure = document.getElementById("tl-measure");
		if (measure === this.#measured) return;
		this.#widths.disconnect();
		this.#measured = measure;
		if (measure) this.#widths.observe(measure);
	}

	/** Loads the chart when it comes into view. */
	#awaitCharts() {
		if (this.#awaited) return;
		this.#awaited = true;
		const card = /** @type {HTMLElement} */ (document.getElementById("vram-card"));
		const seen = new IntersectionObserver((entries) => {
			const inView = entries.some((entry) => entry.isIntersecting);
			if (!inView || this.session.state !== "open") return;
			seen.disconnect();
			this.#loadCharts();
		});
		seen.observe(card);
	}

	async #loadCharts() {
		const place = /** @type {HTMLElement} */ (document.getElementById("vram-charts"));
		try {
			const { awaitLibraries, libraryState } = await import("../../ui/libraries.js");
			const libraries = await libraryState();
			if (!libraries?.ready) await awaitLibraries(place, "The chart");
			const style = document.createElement("link");
			Object.assign(style, { rel: "stylesheet", href: "/vendor/uplot.css" });
			document.head.append(style);
			const { VramCharts } = await import("./vram.js");
			this.#charts = new VramCharts(place);
			this.takeSamples(await this.session.ask({ type: "samples" }, "samples"));
		} catch (error) {
			showError(error, { retry: () => this.#loadCharts() });
		}
	}
}

// @ts-check
// VRAM over time, one chart per GPU, drawn by uPlot: the past from the broker's samples, then each
// status adds to it. Loaded by dashboard.js when the card comes into view. Times are the broker's.
import uPlot from "/vendor/uplot.js";
import { element, formatBytes, formatTime } from "../../ui/frame.js";

/**
 * @typedef {import("./state.js").Status} Status
 * @typedef {{plot: uPlot, data: [number[], (number|null)[], (number|null)[], (number|null)[]],
 *   box: HTMLElement}} Chart
 */

const HOUR_S = 3600;
const HEIGHT = 180;
const STEPS_MB = Array.from({ length: 16 }, (_, i) => 64 * 2 ** i);

/** @param {string} name */
const token = (name) => {
	const probe = element("i", { class: `probe-${name}` });
	document.body.append(probe);
	const { color } = getComputedStyle(probe);
	probe.remove();
	return color;
};

/** @param {number|null|undefined} mb */
const size = (mb) => (mb === null || mb === undefined ? "unknown" : formatBytes(mb * 2 ** 20));

/** @param {number} seconds */
const clockText = (seconds) => formatTime(seconds * 1000);

/** @param {number} width @param {boolean} measured whether what is in use was ever measured */
function options(width, measured) {
	const [line, text] = [token("line"), token("text")];
	const rule = { stroke: line, width: 1 };
	const axis = { stroke: text, grid: rule, ticks: rule };
	/**
	 * What the legend says: of the moment under the pointer, else of the newest.
	 * @param {uPlot} plot @param {number|null} mb @param {number} series @param {number|null} index
	 */
	const value = (plot, mb, series, index) => size(index === null ? plot.data[series].at(-1) : mb);
	/** @param {unknown} _ @param {number|null} s */
	const time = (_, s) => (s === null ? "now" : clockText(s));
	/** @param {unknown} _ @param {number} __ @param {number} most @returns {uPlot.Range.MinMax} */
	const range = (_, __, most) => [0, (most || 1024) * 1.05];
	/** A minute at least: of a single sample uPlot would make years.
	 * @param {uPlot} plot @returns {uPlot.Range.MinMax} */
	const span = ({ data: [at] }) => {
		const end = at.at(-1) ?? Date.now() / 1000;
		return [Math.min(at[0] ?? end, end - 60), end];
	};
	/** @param {unknown} _ @param {number[]} all */
	const times = (_, all) => all.map(clockText);
	/** @param {unknown} _ @param {number[]} all */
	const sizes = (_, all) => all.map(size);
	const points = { show: false };
	return {
		width,
		height: HEIGHT,
		// Half of the last time stands beyond the axis.
		padding: /** @type {uPlot.Padding} */ ([null, 30, null, null]),
		cursor: { drag: { x: false, y: false } },
		scales: { x: { range: span }, y: { range } },
		axes: [
			{ ...axis, values: times, space: 90 },
			{ ...axis, size: 70, values: sizes, incrs: STEPS_MB },
		],
		series: [
			{ label: "Time", value: time },
			{ label: "Total", stroke: text, dash: [2, 4], width: 1, value, points },
			{ label: "Claimed", stroke: token("claimed"), width: 2, value, points, dash: [7, 3] },
			...(measured
				? [
						{
							label: "Measured in use",
							stroke: token("used"),
							fill: token("used-soft"),
							width: 2,
							value,
							points,
						},
					]
				: []),
		],
	};
}

export class VramCharts {
	/** @param {HTMLElement} place */
	constructor(place) {
		this.place = place;
		/** @type {Map<string, Chart>} */
		this.charts = new Map();
		this.last = 0;
		this.step = 5;
		const resize = new ResizeObserver(() => this.resize());
		resize.observe(place);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
	}

	width() {
		return Math.max(240, Math.floor(this.place.clientWidth));
	}

	/** @param {import("/sdk/protocol.js").FromBroker.Samples} samples @param {number} now ms */
	start(samples, now) {
		this.step = samples.step_s;
		const newest = now / 1000 - samples.newest_ago_s;
		this.last = newest;
		this.clear();
		for (const gpu of samples.gpus) {
			const count = gpu.granted_mb.length;
			const times = gpu.granted_mb.map((_, i) => newest - (count - 1 - i) * this.step);
			this.add(gpu.name, [
				times,
				times.map(() => gpu.vram_mb_total),
				[...gpu.granted_mb],
				[...gpu.used_mb],
			]);
		}
	}

	clear() {
		for (const { plot, box } of this.charts.values()) {
			plot.destroy();
			box.remove();
		}
		this.charts.clear();
	}

	/** @param {string} name @param {Chart["data"]} data */
	add(name, data) {
		const box = element(
			"figure",
			{ class: "chart" },
			element("figcaption", {}, element("bdi", {}, name)),
		);
		this.place.append(box);
		const measured = data[3].some((mb) => mb !== null);
		const plot = new uPlot(
			options(this.width(), measured),
			/** @type {uPlot.AlignedData} */ (measured ? data : data.slice(0, 3)),
			box,
		);
		this.charts.set(name, { plot, data, box });
	}

	/** One more point, at most one a step. @param {Status} status @param {number} now ms */
	push(status, now) {
		const at = now / 1000;
		if (at - this.last < this.step) return;
		this.last = at;
		let unseen = false; // measured for the first time
		for (const gpu of status.gpus) {
			const chart = this.charts.get(gpu.name);
			if (!chart) continue;
			const [times, total, granted, used] = chart.data;
			times.push(at);
			total.push(gpu.vram_mb_total);
			granted.push(gpu.vram_mb_granted);
			used.push(gpu.vram_mb_used);
			if (gpu.vram_mb_used !== null && chart.plot.series.length < chart.data.length)
				unseen = true;
			while (times[0] < at - HOUR_S) for (const list of chart.data) list.shift();
			chart.plot.setData(
				/** @type {uPlot.AlignedData} */ (chart.data.slice(0, chart.plot.series.length)),
			);
		}
		if (unseen) this.redraw();
	}

	resize() {
		for (const { plot } of this.charts.values()) {
			if (plot.width !== this.width()) plot.setSize({ width: this.width(), height: HEIGHT });
		}
	}

	/** The colours changed. */
	redraw() {
		const all = [...this.charts].map(([name, { data }]) => ({ name, data }));
		this.clear();
		for (const { name, data } of all) this.add(name, data);
	}
}

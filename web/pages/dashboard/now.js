// @ts-check
// The dashboard's first card: who holds which GPU, since when and for how long at most, whether it
// was asked to give way or is overdue; the VRAM of each GPU; the acts that touch everybody. Draws
// only what it is given. Used by dashboard.js.
import { html, nothing, svg } from "/pages/shared/template.js";
import { formatBytes, formatSeconds } from "/pages/shared/shell.js";
import { STATE_WORDS, stateOfHolder } from "/pages/dashboard/model.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").Status} Status
 * @typedef {import("./model.js").Holder} Holder
 * @typedef {import("./model.js").Gpu} Gpu
 * @typedef {import("./acts.js").Acts} Acts
 * @typedef {{name: string, mb: number, tone: string}} Part
 */

const BAR_WIDTH = 1000;
const BAR_HEIGHT = 20;
const TONES = 5;
const YIELD_WORDS = {
	preempted: "somebody more urgent waits", "hold-max": "its time is over, and somebody waits",
	evicted: "its VRAM is needed", operator: "an operator asked", unresponsive: "it did not answer",
	"load-max": "it loaded for too long",
	expired: "its time ran out",
};

/** @param {number} mb */
const size = (mb) => formatBytes(mb * 2 ** 20);

/** @param {string} state */
export function statePill(state) {
	const word = STATE_WORDS[/** @type {keyof STATE_WORDS} */ (state)] ?? state;
	return html`<span class=${`state state-${state}`}>${word}</span>`;
}

/** A few words for the title, the header and the screen reader. @param {Status|null} status */
export function headline(status) {
	if (!status) return { word: "idle", text: "" };
	const computing = status.leases.filter((holder) => holder.slots > 0);
	const waits = status.queue_depth ? `, ${status.queue_depth} waiting` : "";
	const overdue = status.leases.find((holder) => holder.yield?.revoked);
	if (overdue) return { word: "overdue", text: `${short(overdue.id)} is overdue${waits}` };
	if (status.paused) return { word: "paused", text: `Grants are paused${waits}` };
	if (!computing.length) {
		return { word: status.queue_depth ? "waiting" : "idle", text: `Nobody holds${waits}` };
	}
	const names = computing.length === 1 ? `${short(computing[0].id)} holds`
		: `${short(computing[0].id)} and ${computing.length - 1} more hold`;
	const yielding = computing.some((holder) => holder.yield);
	return { word: yielding ? "yielding" : "holding", text: names + waits };
}

/** @param {string} name */
function short(name) {
	const letters = [...name];
	return letters.length > 40 ? `${letters.slice(0, 39).join("")}…` : name;
}

/** @param {Holder} holder @param {number} age */
function holderTimes(holder, age) {
	const parts = [`on ${holder.gpus?.map((gpu) => gpu.name).join(", ") || holder.gpu || "a GPU"}`];
	if (holder.held_s !== undefined) parts.push(`for ${formatSeconds(holder.held_s + age)}`);
	if (holder.expires_in_s !== undefined) {
		parts.push(`expires in ${formatSeconds(holder.expires_in_s - age)} unless renewed`);
	}
	if (holder.vram_mb) parts.push(`${size(holder.vram_mb)} of VRAM`);
	if (holder.evictable) parts.push("unloads when asked");
	return parts.join(" · ");
}

/** @param {Holder} holder @param {number} age */
function holderTrouble(holder, age) {
	if (holder.yield?.revoked) {
		const kill = holder.stop_in_s ? ` It is killed in ${
			formatSeconds(Math.max(0, holder.stop_in_s - age))}.` : "";
		return html`<p class="trouble trouble-overdue"><span class="icon" aria-hidden="true"></span>
			<span>Overdue: its token is refused, and its room counts as taken until it is really
			free.${kill}</span></p>`;
	}
	if (holder.yield) {
		const why = YIELD_WORDS[/** @type {keyof YIELD_WORDS} */ (holder.yield.reason)]
			?? holder.yield.reason;
		const whom = holder.yield.for ? html` for <bdi>${holder.yield.for}</bdi>` : nothing;
		return html`<p class="trouble trouble-yielding">
			<span class="icon" aria-hidden="true"></span><span>Asked to give way${whom}: ${why}.
			${formatSeconds(holder.yield.left_s - age)} left.</span></p>`;
	}
	if (!holder.attached) {
		return html`<p class="trouble trouble-lost"><span class="icon" aria-hidden="true"></span>
			<span>Disconnected; its lease is kept for
			${formatSeconds((holder.detached_left_s ?? 0) - age)}.</span></p>`;
	}
	return nothing;
}

/** @param {Holder} holder @param {number} age @param {Acts} acts @param {boolean} admin */
function holderRow(holder, age, acts, admin) {
	const state = stateOfHolder(holder);
	return html`<li class=${`holder holder-${state}`}>
		<div class="grow">
			<div class="row"><strong class="holder-name"><bdi>${holder.id}</bdi></strong>
				${statePill(state)}<span class="badge">${holder.class}</span>
				${holder.label ? html`<bdi class="muted">${holder.label}</bdi>` : nothing}
			</div>
			<p class="muted">${holderTimes(holder, age)}</p>
			${holderTrouble(holder, age)}
		</div>
		<div class="row holder-acts">
			<button type="button" class="small"
				?disabled=${!admin || !["held", "loading"].includes(holder.state)}
				@click=${() => acts.askToYield(holder)}>Ask to give way…</button>
			<button type="button" class="small danger"
				?disabled=${!admin || Boolean(holder.yield?.revoked)}
				@click=${() => acts.revoke(holder)}>Revoke…</button>
		</div>
	</li>`;
}

/** @param {Status} status @param {number} age */
function nobody(status, age) {
	const ready = status.gpus.filter((gpu) => gpu.healthy).length;
	return html`<div class="nobody">
		<span class="state state-idle">free</span>
		<p>Nobody holds ${status.gpus.length === 1 ? "the GPU" : "a GPU"}.
			${status.gpus.length ? `${ready} of ${status.gpus.length} ready`
				: "No GPU is configured"}, up for
			${formatSeconds(status.uptime_s + age)}.</p></div>`;
}

/** @param {Status} status */
function nextView(status) {
	const next = status.waiting[0];
	if (!next) return nothing;
	return html`<p class="next">Next: <strong><bdi>${next.id}</bdi></strong>${
		next.estimate ? `, ${next.estimate}` : nothing}.</p>`;
}

/** What fills a GPU's VRAM, in the order it is drawn. @param {Gpu} gpu @param {Holder[]} leases */
function vramParts(gpu, leases) {
	/** @type {Part[]} */
	const parts = [];
	leases.forEach((holder, index) => {
		const here = holder.gpus?.some((one) => one.name === gpu.name) ?? holder.gpu === gpu.name;
		if (here && holder.vram_mb) {
			parts.push({ name: holder.id, mb: holder.vram_mb, tone: `part-${index % TONES}` });
		}
	});
	if (gpu.vram_mb_unmanaged) {
		parts.push({ name: "Others, not claimed", mb: gpu.vram_mb_unmanaged, tone: "part-other" });
	}
	return parts;
}

/** @param {Gpu} gpu @param {Holder[]} leases */
function gpuView(gpu, leases) {
	const total = gpu.vram_mb_total;
	const parts = vramParts(gpu, leases);
	const sum = parts.reduce((mb, part) => mb + part.mb, 0);
	const scale = Math.max(total ?? 0, sum, 1);
	let at = 0;
	const bars = parts.map((part) => {
		const x = at / scale * BAR_WIDTH;
		at += part.mb;
		const width = Math.max(2, part.mb / scale * BAR_WIDTH - 2);
		return svg`<rect class=${part.tone} x=${x} width=${width} height=${BAR_HEIGHT}></rect>`;
	});
	const said = total === null ? `${size(sum)} claimed, total unknown`
		: `${size(Math.max(0, total - sum))} free of ${size(total)}`;
	return html`<div class="gpu">
		<div class="row spread"><h3><bdi>${gpu.name}</bdi></h3>
			<span class="muted">${gpu.slots_used} of ${gpu.slots} ${
				gpu.slots === 1 ? "slot" : "slots"} in use</span></div>
		${gpu.healthy ? nothing
			: html`<div><span class="state state-overdue">not working</span></div>`}
		<svg class="vram-bar" viewBox=${`0 0 ${BAR_WIDTH} ${BAR_HEIGHT}`} role="img"
			preserveAspectRatio="none" aria-label=${`VRAM: ${said}`}>
			<rect class="part-free" width=${BAR_WIDTH} height=${BAR_HEIGHT}></rect>${bars}</svg>
		<div class="row spread"><span><strong>${said}</strong></span>
			<span class="muted">${gpu.vram_mb_used === null ? "not measured"
				: `${size(gpu.vram_mb_used)} measured in use`}</span></div>
		${parts.length ? html`<ul class="legend">${parts.map((part) => html`<li>
			<span class=${`swatch ${part.tone}`} aria-hidden="true"></span>
			<bdi class="grow">${part.name}</bdi> <span>${size(part.mb)}</span></li>`)}</ul>`
			: nothing}
	</div>`;
}

/** @param {Acts} acts @param {Status} status @param {boolean} admin */
function drainView(acts, status, admin) {
	if (!acts.drain) return nothing;
	const left = status.leases.length;
	const most = Math.max(acts.drain.most, left);
	return html`<div class="notice drain stack-s" role="status">
		<strong>${left ? `Draining: ${left} of ${most} still held`
			: "Drained: nothing is held, and nothing new is granted"}</strong>
		<progress max=${most} .value=${most - left} aria-label="Given back"></progress>
		<div class="row">
			${left ? html`<button type="button" class="small" ?disabled=${!admin}
				@click=${() => acts.hurryDrain()}>Ask all to give way</button>` : nothing}
			<button type="button" class="small" ?disabled=${!admin}
				@click=${() => acts.resume()}>Resume grants…</button></div></div>`;
}

/** @param {Acts} acts @param {Status} status @param {boolean} admin */
function actsView(acts, status, admin) {
	return html`<div class="row acts" role="group" aria-label="Acts on everybody">
		<button type="button" class=${status.paused ? "small primary" : "small"} ?disabled=${!admin}
			@click=${() => (status.paused ? acts.resume() : acts.pause())}>${
			status.paused ? "Resume grants…" : "Pause grants…"}</button>
		<button type="button" class="small" ?disabled=${!admin || acts.drain !== null}
			@click=${() => acts.startDrain()}>Drain…</button>
		<button type="button" class="small danger" ?disabled=${!admin}
			@click=${() => acts.reset()}>Reset…</button>
		<button type="button" class="small danger" ?disabled=${!admin}
			@click=${() => acts.forceReleaseAll()}>Force release all…</button></div>`;
}

/** @param {Model} model @param {Acts} acts @param {boolean} admin */
export function nowView(model, acts, admin) {
	const status = model.status;
	if (!status) {
		return html`<section class="card now"><h2>Now</h2><p class="empty">Asking…</p></section>`;
	}
	const age = model.age();
	const rank = (/** @type {Holder} */ holder) => (holder.slots > 0 ? 0 : 1);
	const leases = [...status.leases].sort((a, b) => rank(a) - rank(b));
	return html`<section class="card now" aria-labelledby="now-title">
		<div class="row spread card-head"><h2 id="now-title">Now</h2>
			${status.paused ? html`<span class="state state-paused">grants are paused</span>`
				: nothing}
			${status.journal_ok ? nothing
				: html`<span class="state state-overdue">the journal cannot be written</span>`}
			${actsView(acts, status, admin)}</div>
		${drainView(acts, status, admin)}
		${acts.done ? html`<p class="muted done" role="status">${acts.done}</p>` : nothing}
		<div class="now-grid">
			<div>${leases.length ? html`<ul class="holders">${leases.map((holder) =>
				holderRow(holder, age, acts, admin))}</ul>` : nobody(status, age)}
				${nextView(status)}</div>
			<div class="gpus">${status.gpus.map((gpu) => gpuView(gpu, status.leases))}</div>
		</div>
	</section>`;
}

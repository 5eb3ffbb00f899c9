// @ts-check
// The dashboard's first card: who holds which GPU, since when and for how long at most, whether it
// was asked to give way or is overdue; who is next; the VRAM of each GPU; below them, in one menu,
// an operator's actions. Draws only what it is given. Used by dashboard.js.
import { html, nothing, svg } from "../../ui/template.js";
import { limitText, nameView } from "../../ui/claim_view.js";
import { formatBytes, formatSeconds } from "../../ui/frame.js";
import { STATE_WORDS, stateOfHolder } from "./state.js";

/**
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("./state.js").Status} Status
 * @typedef {import("./state.js").Holder} Holder
 * @typedef {import("./state.js").Waiter} Waiter
 * @typedef {import("./state.js").Gpu} Gpu
 * @typedef {import("./operator_actions.js").OperatorActions} OperatorActions
 * @typedef {{name: string, mb: number, tone: string}} Part
 */

const TONES = 5;
const TEXTURES = [
	["part-0", ""],
	["part-1", "M0 8 8 0"],
	["part-2", "M0 4h8"],
	["part-3", "M0 0 8 8"],
	["part-4", "M4 0v8M0 4h8"],
	["part-other", "M4 2v4"],
];
const YIELD_WORDS = {
	preempted: "somebody more urgent waits",
	"hold-max": "its time is over, and somebody waits",
	evicted: "its VRAM is needed",
	operator: "an operator asked",
	unresponsive: "it did not answer",
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

/** A few words for the title, the header and the screen reader. @param {Status|null} status
 * @returns {{word: import("../../ui/frame.js").StateWord, text: string}} */
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
	const names =
		computing.length === 1
			? `${short(computing[0].id)} holds`
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
		const kill = holder.stop_in_s
			? ` It is killed in ${formatSeconds(Math.max(0, holder.stop_in_s - age))}.`
			: "";
		return html`<p class="trouble trouble-overdue"><span class="icon" aria-hidden="true"></span>
			<span>Overdue: its token is refused, and its room counts as taken until it is really
			free.${kill}</span></p>`;
	}
	if (holder.yield) {
		const why =
			YIELD_WORDS[/** @type {keyof YIELD_WORDS} */ (holder.yield.reason)]
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

/** @param {Holder} holder @param {Waiter[]} waiting @param {number} age */
function holderRow(holder, waiting, age) {
	const state = stateOfHolder(holder);
	return html`<li class=${`holder holder-${state}`}>
		<div class="row"><strong class="holder-name">${nameView(holder.id)}</strong>
			${statePill(state)}<span class="badge">${holder.class}</span>
			${holder.label ? html`<span class="muted">${nameView(holder.label)}</span>` : nothing}
		</div>
		<p class="muted">${holderTimes(holder, age)}</p>
		${holderTrouble(holder, age)}${limitView(holder, waiting)}
	</li>`;
}

/** @param {Holder} holder @param {Waiter[]} waiting */
function limitView(holder, waiting) {
	const limit = holder.yield ? "" : limitText(holder.lease, waiting);
	return limit ? html`<p class="limit">${limit[0].toUpperCase()}${limit.slice(1)}.</p>` : nothing;
}

/** @param {Status} status */
function nobody(status) {
	return html`<div class="nobody">
		<span class="state state-idle">free</span>
		<p>${
			status.gpus.length
				? `Nobody holds ${status.gpus.length === 1 ? "the GPU" : "a GPU"}.`
				: "No GPU is configured."
		}</p></div>`;
}

/** The sentence of whoever is next. @param {Status} status */
function nextView(status) {
	const next = status.waiting[0];
	if (!next) return nothing;
	return html`<div class="next"><strong>${nameView(next.id)}</strong>
		<p>${next.sentence ?? next.why?.text ?? ""}</p></div>`;
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

/** @param {string} tone */
const swatch = (tone) => html`<svg class="swatch" width="12" height="12" aria-hidden="true">
	<rect class=${tone} width="12" height="12" rx="3" fill=${`url(#${tone})`}></rect></svg>`;

/** @param {Gpu} gpu @param {Holder[]} leases */
function gpuView(gpu, leases) {
	const total = gpu.vram_mb_total;
	const parts = vramParts(gpu, leases);
	const sum = parts.reduce((mb, part) => mb + part.mb, 0);
	const scale = Math.max(total ?? 0, sum, 1);
	let at = 0;
	const bars = parts.map((part) => {
		const x = (at / scale) * 100;
		at += part.mb;
		return svg`<rect x=${`${x}%`} width=${`${Math.max(0.5, (part.mb / scale) * 100 - 0.3)}%`}
			height="16" fill=${`url(#${part.tone})`}></rect>`;
	});
	const said =
		total === null
			? `${size(sum)} claimed, total unknown`
			: `${size(Math.max(0, total - sum))} free of ${size(total)}`;
	return html`<div class="gpu">
		<div class="row spread"><h3>${nameView(gpu.name)}</h3>
			<span class="muted">${gpu.slots_used} of ${gpu.slots} ${
				gpu.slots === 1 ? "slot" : "slots"
			} in use</span></div>
		${gpu.healthy ? nothing : html`<div><span class="state state-overdue">not working</span></div>`}
		<svg class="vram-bar" role="img" aria-label=${`VRAM: ${said}`}>${bars}</svg>
		<div class="row spread"><span><strong>${said}</strong></span>
			${
				gpu.vram_mb_used === null
					? nothing
					: html`<span class="muted">${size(gpu.vram_mb_used)} measured in use</span>`
			}</div>
		${
			parts.length
				? html`<ul class="legend">${parts.map(
						(part) => html`<li>
			${swatch(part.tone)}<span class="grow">${nameView(part.name)}</span>
			<span>${size(part.mb)}</span></li>`,
					)}</ul>`
				: nothing
		}
	</div>`;
}

/** Who takes VRAM is told by a texture, too. */
const textures = html`<svg class="visually-hidden" aria-hidden="true"><defs>
	${TEXTURES.map(
		([name, path]) => svg`<pattern id=${name} width="8" height="8"
		patternUnits="userSpaceOnUse"><rect class=${`tex ${name}`} width="8" height="8"></rect>
		<path class="tex-line" d=${path}></path></pattern>`,
	)}</defs></svg>`;

/** @param {OperatorActions} actions @param {Status} status @param {boolean} admin */
function drainView(actions, status, admin) {
	if (!actions.drain) return nothing;
	const left = status.leases.length;
	const most = Math.max(actions.drain.most, left);
	return html`<div class="notice drain stack-s" role="status">
		<strong>${
			left
				? `Draining: ${left} of ${most} still held`
				: "Drained: nothing is held, and nothing new is granted"
		}</strong>
		<progress max=${most} .value=${most - left} aria-label="Given back"></progress>
		<div class="row">
			${
				left
					? html`<button type="button" class="small" ?disabled=${!admin}
				@click=${() => actions.hurryDrain()}>Ask all to give way</button>`
					: nothing
			}
			<button type="button" class="small" ?disabled=${!admin}
				@click=${() => actions.resume()}>Resume grants…</button></div></div>`;
}

/** @param {OperatorActions} actions @param {Holder} holder @param {boolean} admin */
function holderActions(actions, holder, admin) {
	return html`<li class="row"><span class="grow">${nameView(holder.id)}</span>
		<button type="button" class="small"
			?disabled=${!admin || !["held", "loading"].includes(holder.state)}
			@click=${() => actions.askToYield(holder)}>Ask to give way…</button>
		<button type="button" class="small danger"
			?disabled=${!admin || Boolean(holder.yield?.revoked)}
			@click=${() => actions.revoke(holder)}>Revoke…</button></li>`;
}

/** @param {OperatorActions} actions @param {Status} status @param {Holder[]} leases
 * @param {boolean} admin */
function operateView(actions, status, leases, admin) {
	return html`<details class="menu"><summary>Operate…</summary>
		${
			leases.length
				? html`<ul class="menu-list" aria-label="Acts on holders">${leases.map((holder) =>
						holderActions(actions, holder, admin),
					)}</ul>`
				: nothing
		}
		<div class="row acts" role="group" aria-label="Acts on everybody">
		${
			status.paused
				? nothing
				: html`<button type="button" class="small" ?disabled=${!admin}
			@click=${() => actions.pause()}>Pause grants…</button>`
		}
		<button type="button" class="small" ?disabled=${!admin || actions.drain !== null}
			@click=${() => actions.startDrain()}>Drain…</button>
		<button type="button" class="small danger" ?disabled=${!admin}
			@click=${() => actions.reset()}>Reset…</button>
		<button type="button" class="small danger" ?disabled=${!admin}
			@click=${() => actions.forceReleaseAll()}>Force release all…</button></div></details>`;
}

/** @param {OperatorActions} actions @param {Status} status @param {boolean} admin */
function pausedView(actions, status, admin) {
	if (!status.paused) return nothing;
	return html`<span class="state state-paused">grants are paused</span>
		${
			actions.drain
				? nothing
				: html`<button type="button" class="small primary"
			?disabled=${!admin} @click=${() => actions.resume()}>Resume grants…</button>`
		}`;
}

/** @param {DashboardState} dashboard @param {OperatorActions} actions @param {boolean} admin */
export function holdersCard(dashboard, actions, admin) {
	const status = dashboard.status;
	if (!status) return nothing;
	const age = dashboard.age();
	const rank = (/** @type {Holder} */ holder) => (holder.slots > 0 ? 0 : 1);
	const leases = [...status.leases].sort((a, b) => rank(a) - rank(b));
	return html`<section class="card now" aria-labelledby="now-title">
		${textures}
		<div class="row card-head"><h2 id="now-title">Now</h2>
			${pausedView(actions, status, admin)}
			${
				status.journal_ok
					? nothing
					: html`<span class="state state-overdue">the journal cannot be written</span>`
			}
		</div>
		${drainView(actions, status, admin)}
		${actions.done ? html`<p class="muted done" role="status">${actions.done}</p>` : nothing}
		<div class="now-grid">
			<div>${
				leases.length
					? html`<ul class="holders">${leases.map((holder) =>
							holderRow(holder, status.waiting, age),
						)}</ul>`
					: nobody(status)
			}
				${nextView(status)}</div>
			<div class="gpus">${status.gpus.map((gpu) => gpuView(gpu, status.leases))}</div>
		</div>
		${operateView(actions, status, leases, admin)}
	</section>`;
}

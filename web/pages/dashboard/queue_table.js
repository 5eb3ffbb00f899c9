// @ts-check
// The dashboard's queue: who waits, since when, for what, and why. Whatever others named is text.
// Draws only what it is given. Used by dashboard.js.
import { nameView, toldView } from "../../ui/claim_view.js";
import { html, nothing, repeat } from "../../ui/template.js";
import { formatBytes, formatSeconds } from "../../ui/frame.js";

/**
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("./state.js").Waiter} Waiter
 * @typedef {import("./operator_actions.js").OperatorActions} OperatorActions
 * @typedef {{queue: boolean, clients: boolean, change(fields: object): void}} Lists shown whole
 */

const ROWS_FIRST = 20;

/** Number and unit on one line. @param {number} mb */
const size = (mb) => formatBytes(mb * 2 ** 20).replace(" ", "\u00a0");

/** @param {{vram_mb: number, slots: number, gpu_count?: number}} need */
function needText(need) {
	const parts = [];
	if (need.slots) parts.push(need.slots === 1 ? "a turn" : `${need.slots} slots`);
	else parts.push("a model kept loaded");
	if (need.vram_mb) parts.push(size(need.vram_mb));
	if ((need.gpu_count ?? 1) > 1) parts.push(`${need.gpu_count} GPUs`);
	return parts.join(", ");
}

/** What few ask for: how sure it is, what is promised, and the operator's act on it.
 * @param {Waiter} waiter @param {OperatorActions} actions @param {boolean} admin */
function waiterDetails(waiter, actions, admin) {
	return html`<details class="more"><summary>Details<span class="visually-hidden"> of
		${waiter.id}</span></summary>
		${toldView({
			estimate: waiter.estimate,
			guaranteedBy: waiter.guaranteed_by,
			boundText: waiter.bound_text,
		})}
		${
			waiter.ripe
				? html`<p>It has waited long: who asks from now on stands behind it, voice
					excepted.</p>`
				: nothing
		}
		<button type="button" class="small danger" ?disabled=${!admin}
			@click=${() => actions.remove(waiter)}>Remove…</button></details>`;
}

/** What a waiter does meanwhile that one should know. @param {Waiter} waiter @param {number} age */
function meanwhile(waiter, age) {
	const words = [];
	if (waiter.detached_left_s !== undefined)
		words.push(
			`disconnected, ${formatSeconds(Math.max(0, waiter.detached_left_s - age))} to come back`,
		);
	if (waiter.moved) words.push("off the GPU, in RAM");
	if (waiter.resumes) words.push("frozen");
	return words.map((word) => html` <span class="badge">${word}</span>`);
}

/** @param {Waiter} waiter @param {number} age @param {OperatorActions} actions
 * @param {boolean} admin */
function waiterRow(waiter, age, actions, admin) {
	return html`<tr role="row">
		<td class="number place" role="cell">${waiter.position + 1}</td>
		<th scope="row" role="rowheader">${nameView(waiter.id)}${
			waiter.label ? html` <span class="faint">${nameView(waiter.label)}</span>` : nothing
		}</th>
		<td role="cell"><span class="badge">${waiter.class}</span></td>
		<td role="cell">${needText(waiter)}</td>
		<td class="number" role="cell" data-label="waited">${formatSeconds(waiter.waited_s + age)}</td>
		<td class="why wide" role="cell">${waiter.sentence ?? waiter.why?.text ?? ""}${meanwhile(
			waiter,
			age,
		)}
			${waiterDetails(waiter, actions, admin)}</td>
	</tr>`;
}

/**
 * A list's first rows, and a button for the others.
 * @template T
 * @param {T[]} all @param {number} count how many there are, also where not all are listed
 * @param {boolean} open @param {(open: boolean) => void} change
 */
export function firstOf(all, count, open, change) {
	const more = count - ROWS_FIRST;
	return {
		rows: open ? all : all.slice(0, ROWS_FIRST),
		button:
			more > 0
				? html`<p class="empty"><button type="button" aria-expanded=${
						open ? "true" : "false"
					} @click=${() => change(!open)}>${
						open ? "Show fewer" : `Show ${more} more`
					}</button></p>`
				: nothing,
	};
}

/** @param {DashboardState} dashboard @param {OperatorActions} actions @param {boolean} admin
 * @param {Lists} lists */
export function queueView(dashboard, actions, admin, lists) {
	const status = dashboard.status;
	const waiting = status?.waiting ?? [];
	const age = dashboard.age();
	const more = (status?.queue_depth ?? 0) - waiting.length;
	if (!waiting.length) {
		return html`<section class="card nothing" aria-labelledby="queue-title">
			<h2 id="queue-title">Queue</h2><p class="muted">Nobody waits. Whoever asks now is served
			${status?.paused ? "as soon as grants are resumed" : "at once"}.</p></section>`;
	}
	const { rows, button } = firstOf(waiting, status?.queue_depth ?? 0, lists.queue, (queue) =>
		lists.change({ queue }),
	);
	return html`<section class="card" aria-labelledby="queue-title">
		<div class="row spread card-head"><h2 id="queue-title">Queue</h2>
			<span class="muted">${status?.queue_depth ?? 0} waiting</span></div>
		<div class="table-box"><table class="queue boxes" role="table"
			aria-labelledby="queue-title">
			<thead role="rowgroup"><tr role="row">
				<th scope="col" class="number">Place</th><th scope="col">Who</th>
				<th scope="col">Class</th><th scope="col">Wants</th>
				<th scope="col" class="number">Waited</th>
				<th scope="col">When, and why</th></tr></thead>
			<tbody role="rowgroup">${repeat(
				rows,
				(waiter) => waiter.lease,
				(waiter) => waiterRow(waiter, age, actions, admin),
			)}</tbody></table>
			${
				more > 0 && lists.queue
					? html`<p class="empty">and ${more} more behind them, who are
				not listed</p>`
					: nothing
			}${button}
		</div></section>`;
}

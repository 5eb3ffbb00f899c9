// @ts-check
// An operator's acts: each asks first, names whom it hits and wants a reason, then goes over the
// page's one session. A drain is a pause, and waiting until nothing is held. Used by dashboard.js.
import { clearError, confirmDialog, formatSeconds, showError } from "../../ui/frame.js";

/**
 * @typedef {import("./state.js").Holder} Holder
 * @typedef {import("./state.js").Waiter} Waiter
 * @typedef {import("./state.js").DashboardState} DashboardState
 * @typedef {import("../../ui/monitor_session.js").MonitorSession} MonitorSession
 */

const VICTIMS_MAX = 12;

/** @param {Holder|Waiter} claim */
function describe(claim) {
	const time =
		"position" in claim
			? `waits, ${formatSeconds(claim.waited_s)} so far`
			: `holds ${claim.gpu ?? "a GPU"}, for ${formatSeconds(claim.held_s)}`;
	return `${claim.id} (${claim.class}, lease ${claim.lease}): ${time}`;
}

/** @param {(Holder|Waiter)[]} claims */
function describeAll(claims) {
	const lines = claims.slice(0, VICTIMS_MAX).map(describe);
	if (claims.length > VICTIMS_MAX) lines.push(`and ${claims.length - VICTIMS_MAX} more`);
	return lines.length ? lines : ["Nobody at this moment"];
}

export class OperatorActions {
	/** @param {MonitorSession} session @param {DashboardState} dashboard
	 * @param {() => void} changed */
	constructor(session, dashboard, changed) {
		this.session = session;
		this.dashboard = dashboard;
		this.changed = changed;
		this.done = "";
		/** @type {{reason: string, most: number}|null} */
		this.drain = null;
	}

	/**
	 * Asks the reader, then the broker.
	 * @param {import("../../ui/frame.js").Question} question
	 * @param {import("/sdk/protocol.js").AdminAct} act
	 * @param {number} [lease]
	 * @param {string} [done] what is said afterwards
	 */
	async act(question, act, lease, done = "") {
		const answer = await confirmDialog({ wantReason: true, ...question });
		if (!answer) return null;
		return this.say(act, answer.reason, lease, done);
	}

	/** @param {import("/sdk/protocol.js").AdminAct} act @param {string} reason
	 * @param {number} [lease] @param {string} [done] */
	async say(act, reason, lease, done = "") {
		try {
			await this.session.ask({ type: "admin", act, reason, lease }, "ok");
			clearError();
			this.done = done;
			this.changed();
			return { reason };
		} catch (error) {
			showError(error, { retry: () => this.say(act, reason, lease, done) });
			return null;
		}
	}

	/** @param {Holder} holder */
	askToYield(holder) {
		return this.act(
			{
				title: "Ask to give way",
				victim: describe(holder),
				action: "Ask to give way",
				body: "The holder is asked to give the GPU back, and keeps it for a moment to finish.",
				danger: false,
			},
			"yield",
			holder.lease,
			`${holder.id} was asked to give way.`,
		);
	}

	/** @param {Holder} holder */
	revoke(holder) {
		return this.act(
			{
				title: "Revoke this lease",
				victim: describe(holder),
				action: "Revoke",
				body: "The lease is taken now. What it computes is lost, and its token is refused.",
			},
			"revoke",
			holder.lease,
			`The lease of ${holder.id} was revoked.`,
		);
	}

	/** @param {Waiter} waiter */
	remove(waiter) {
		return this.act(
			{
				title: "Remove from the queue",
				victim: describe(waiter),
				action: "Remove",
				body: "The claim ends and loses its place. The client is told why.",
			},
			"cancel",
			waiter.lease,
			`${waiter.id} was removed from the queue.`,
		);
	}

	reset() {
		return this.act(
			{
				title: "Reset: revoke all holders",
				action: "Revoke all holders",
				victim: describeAll(this.dashboard.status?.leases ?? []),
				body: "Every lease is taken now. The queue stays as it is and goes on.",
			},
			"reset",
			undefined,
			"All holders were revoked.",
		);
	}

	forceReleaseAll() {
		const status = this.dashboard.status;
		return this.act(
			{
				title: "Force release: everybody",
				action: "Force release all",
				victim: describeAll([...(status?.leases ?? []), ...(status?.waiting ?? [])]),
				body: "Every lease is taken and every place in the queue is lost.",
			},
			"force-release-all",
			undefined,
			"Everybody was released.",
		);
	}

	pause() {
		return this.act(
			{
				title: "Pause grants",
				action: "Pause grants",
				danger: false,
				victim: describeAll(this.dashboard.status?.waiting ?? []),
				body:
					"Nothing new is granted until you resume. Holders keep what they hold; those who "
					+ "wait keep their places.",
			},
			"pause",
			undefined,
			"Grants are paused.",
		);
	}

	async resume() {
		const said = await this.act(
			{
				title: "Resume grants",
				action: "Resume grants",
				danger: false,
				body: "Whoever waits is served again, in the order of the queue.",
			},
			"resume",
			undefined,
			"Grants go on.",
		);
		if (said) this.endDrain();
	}

	async startDrain() {
		const holders = this.dashboard.status?.leases ?? [];
		const said = await this.act(
			{
				title: "Drain",
				action: "Drain",
				danger: false,
				victim: describeAll(holders),
				body: "Grants are paused, and the page waits until these have given the GPU back.",
			},
			"pause",
			undefined,
			"",
		);
		if (!said) return;
		this.drain = { reason: said.reason, most: Math.max(1, holders.length) };
		this.changed();
	}

	/** Asks all who still hold while draining; the reason is the drain's. */
	async hurryDrain() {
		for (const holder of this.dashboard.status?.leases ?? []) {
			if (!["held", "loading"].includes(holder.state)) continue;
			await this.say("yield", this.drain?.reason ?? "draining", holder.lease, "");
		}
	}

	endDrain() {
		this.drain = null;
		this.changed();
	}
}

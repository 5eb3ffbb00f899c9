// @ts-check
// Draws a conversation: what was said, what is being written, and why it waits. What a model wrote
// goes through markdown.js, everything else is text. Keeps no state but the drawn answers.
import { html, nothing, repeat } from "../../ui/template.js";
import { renderMarkdown } from "../../ui/markdown.js";
import { formatBytes, formatTime } from "../../ui/frame.js";

/**
 * @typedef {import("./chat.js").Chat} Chat
 * @typedef {import("../../storage/storage.js").Message} Message
 *
 * @typedef {object} Actions
 * @property {() => void} goOn
 * @property {() => void} retry
 * @property {(text: string) => void} copy
 * @property {(text: string) => void} suggest
 * @property {() => void} useCpu
 */

/** An answer's elements are made anew only when its text changed.
 * @type {Map<string, {text: string, element: HTMLElement}>} */
const drawn = new Map();

/** @param {Message} message */
function prose({ id, text }) {
	let entry = drawn.get(id);
	if (!entry) {
		const element = document.createElement("div");
		element.className = "prose";
		element.dir = "auto";
		entry = { text: "", element };
		drawn.set(id, entry);
	}
	if (entry.text !== text) {
		entry.text = text;
		entry.element.replaceChildren(renderMarkdown(text));
	}
	return entry.element;
}

/** Forgets what is not shown any more. @param {Message[]} messages */
function forgetOthers(messages) {
	const shown = new Set(messages.map(({ id }) => id));
	for (const id of drawn.keys()) if (!shown.has(id)) drawn.delete(id);
}

const EXAMPLES = ["Hello!", "Who holds the lease?", "How long must I wait in the queue?"];

/** @param {Actions} actions @param {boolean} demo */
function emptyView(actions, demo) {
	return html`<div class="welcome stack-s">
		<h2>Ask something</h2>
		<p class="muted">${
			demo
				? "The demo model knows a dozen sentences about Baton. It shows that everything works."
				: "The model runs on this machine, and all pages share its GPU fairly."
		}</p>
		<div class="row">${EXAMPLES.map(
			(text) => html`<button type="button" class="small"
			@click=${() => actions.suggest(text)}>${text}</button>`,
		)}</div>
	</div>`;
}

/** @param {Message} message */
function factsOf({ model, tokens, perSecond }) {
	const facts = [model];
	if (tokens) facts.push(`${tokens} tokens`);
	if (perSecond) facts.push(`${perSecond.toFixed(perSecond < 10 ? 1 : 0)} per second`);
	return facts.filter(Boolean).join(" · ");
}

/** @param {Message} message @param {Actions} actions @param {boolean} last @param {boolean} busy */
function answerView(message, actions, last, busy) {
	return html`<article class="message answer" aria-label="Answer">
		${prose(message)}
		<footer class="row">
			${message.demo ? html`<span class="badge demo">Demo model</span>` : nothing}
			<small class="faint"><bdi>${factsOf(message)}</bdi></small>
			${message.stopped ? html`<small class="stopped"><bdi>${message.stopped}</bdi></small>` : nothing}
			<span class="row message-acts">
				${
					message.stopped && last && !busy
						? html`
					<button type="button" class="small" @click=${actions.goOn}>Continue</button>`
						: nothing
				}
				${
					last && !busy
						? html`
					<button type="button" class="small quiet"
						@click=${actions.retry}>Retry</button>`
						: nothing
				}
				<button type="button" class="small quiet"
					@click=${() => actions.copy(message.text)}>Copy</button>
			</span>
		</footer>
	</article>`;
}

/** @param {Message} message */
function questionView({ text, at }) {
	return html`<article class="message question" aria-label="You" title=${formatTime(at)}>
		<div class="said" dir="auto">${text}</div>
	</article>`;
}

/** @param {Chat} chat @param {Actions} actions @param {boolean} demo */
export function messagesView(chat, actions, demo) {
	const { turn } = chat;
	forgetOthers(turn ? [...chat.messages, turn.message] : chat.messages);
	if (chat.messages.length === 0) return emptyView(actions, demo);
	const said = chat.messages.filter((message) => message !== turn?.message);
	return html`${repeat(
		said,
		({ id }) => id,
		(message, at) =>
			message.role === "user"
				? questionView(message)
				: answerView(message, actions, at === said.length - 1, turn !== null),
	)}
		${
			turn && turn.message.text !== ""
				? html`<article class="message answer writing"
			aria-label="Answer" aria-busy="true">${prose(turn.message)}</article>`
				: nothing
		}`;
}

/** Where the answer is: in the queue, loading, writing.
 * @param {import("./chat.js").Turn} turn */
function stateOf({ phase, queued, progress, giveWayTo, message }) {
	if (giveWayTo && phase === "waiting") {
		const text = `gave way to ${giveWayTo}, goes on after it`;
		return { tone: "waiting", word: "waiting", text };
	}
	if (giveWayTo) {
		return { tone: "yielding", word: "asked to give way", text: `for ${giveWayTo}` };
	}
	if (phase === "writing") {
		return { tone: "holding", word: message.text === "" ? "thinking" : "writing", text: "" };
	}
	if (phase === "fetching" && progress) {
		const { loaded, total } = progress;
		const of = total > 0 ? ` of ${formatBytes(total)}` : "";
		return {
			tone: "idle",
			word: "fetching",
			text: `${formatBytes(loaded)}${of}; needs no GPU`,
		};
	}
	if (phase === "loading" && progress) {
		const part = progress.fraction > 0 ? `${Math.round(progress.fraction * 100)} %` : "";
		return { tone: "resident", word: "loading", text: part };
	}
	if (!queued) return { tone: "waiting", word: "waiting", text: "for the GPU" };
	return { tone: "waiting", word: "waiting", text: queued.sentence || "for the GPU" };
}

/** The line above the composer: the turn's state, or what went wrong and the way on.
 * @param {Chat} chat @param {Actions} actions @param {boolean} canUseCpu */
export function turnView(chat, actions, canUseCpu) {
	const { turn, failure } = chat;
	if (turn) {
		const { tone, word, text } = stateOf(turn);
		return html`<div class="row turn-state">
			<span class=${`state state-${tone}`}>${word}</span><bdi class="muted">${text}</bdi>
		</div>
		${
			["fetching", "loading"].includes(turn.phase)
				? html`<progress
			aria-label=${turn.progress?.text ?? "Loading the model"} max="1"
			.value=${turn.progress?.fraction ?? 0}></progress>`
				: nothing
		}`;
	}
	if (!failure) return nothing;
	return html`<div class="error-banner" role="alert">
		<span class="icon" aria-hidden="true"></span><p>${failure.message}</p>
		${
			canUseCpu && ["NO_WEBGPU", "NO_ADAPTER"].includes(failure.code)
				? html`<button
			type="button" class="small" @click=${actions.useCpu}>Use the CPU</button>`
				: nothing
		}
		<button type="button" class="small" @click=${actions.retry}>Try again</button>
	</div>`;
}

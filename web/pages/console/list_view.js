// @ts-check
// Draws the list of conversations, and asks for a new name or before one is deleted.
import { html, repeat } from "../../ui/template.js";
import { askDialog, confirmDialog, element } from "../../ui/frame.js";

/**
 * @typedef {import("../../storage/storage.js").Conversation} Conversation
 * @typedef {object} ListActions
 * @property {() => void} begin
 * @property {(id: string) => void} open
 * @property {(conversation: Conversation) => void} rename
 * @property {(conversation: Conversation) => void} remove
 */

const TITLE_CHARS_MAX = 100;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** Today's by the hour, others by the day. @param {number} at */
function when(at) {
	const isToday = new Date(at).toDateString() === new Date().toDateString();
	return (isToday ? hour : day).format(at);
}

/**
 * @param {Conversation[]} conversations @param {string | undefined} current
 * @param {ListActions} actions
 */
export function listView(conversations, current, actions) {
	return html`<summary><h2>Conversations</h2>
			<span class="badge">${conversations.length}</span></summary>
		<div class="stack-s list-body">
			<button type="button" class="new" @click=${actions.begin}>New conversation</button>
			${conversations.length === 0 ? html`<p class="faint">They are kept in this browser only.</p>` : ""}
			<ul class="conversations">${repeat(
				conversations,
				({ id }) => id,
				(each) => html`<li
				class=${each.id === current ? "current" : ""}>
				<button type="button" class="quiet pick" aria-current=${each.id === current}
					@click=${() => actions.open(each.id)}>
					<bdi>${each.title}</bdi><small class="faint">${when(each.updated)}</small>
				</button>
				<span class="list-acts">
					<button type="button" class="small quiet" @click=${() => actions.rename(each)}
						aria-label=${`Rename ${each.title}`}>Rename</button>
					<button type="button" class="small quiet" @click=${() => actions.remove(each)}
						aria-label=${`Delete ${each.title}`}>Delete</button>
				</span>
			</li>`,
			)}</ul>
		</div>`;
}

/** @param {Conversation} conversation @returns {Promise<boolean>} */
export async function mayRemove({ title }) {
	return (
		(await confirmDialog({
			title: "Delete this conversation?",
			body: "It is kept only in this browser, and cannot be brought back.",
			victim: title,
			action: "Delete",
		})) !== null
	);
}

/** @param {Conversation} conversation @returns {Promise<string | null>} */
export function askTitle({ title }) {
	const input = /** @type {HTMLInputElement} */ (
		element("input", {
			required: "",
			maxlength: String(TITLE_CHARS_MAX),
			autocomplete: "off",
			autofocus: "",
		})
	);
	input.value = title;
	const field = element("label", {}, "Name", input);
	const asked = askDialog(
		{ title: "Rename the conversation", action: "Rename", field },
		() => input.value.trim() || null,
	);
	input.select();
	return asked;
}

// @ts-check
// Push to talk: turns pointer and keyboard into start, stop and cancel. Held, it records while
// held; tapped, it records until the next tap. Space works wherever no control wants it, Escape
// drops the recording. Records nothing and draws nothing. Used by mic.js.

/** A press that is shorter is a tap. */
const HOLD_MS_MIN = 400;

/**
 * @typedef {object} Talk
 * @property {() => boolean} active Whether a recording runs or is about to.
 * @property {() => void} start
 * @property {() => void} stop
 * @property {() => void} cancel
 */

export class TalkControl {
	/** @type {number | null} When the press began that started the recording. */
	#downMs = null;
	/** @type {Talk} */
	#talk;
	/** @type {HTMLElement} */
	#button;

	/** @param {HTMLElement} button @param {Talk} talk */
	constructor(button, talk) {
		this.#button = button;
		this.#talk = talk;
		button.addEventListener("pointerdown", (event) => this.#onPointer(event));
		for (const type of ["pointerup", "pointercancel"]) {
			button.addEventListener(type, (event) => this.#up(event));
		}
		// A long press on a phone would open a menu under the finger.
		button.addEventListener("contextmenu", (event) => event.preventDefault());
		button.addEventListener("click", (event) => this.#onClick(event));
		document.addEventListener("keydown", (event) => this.#onKeyDown(event));
		document.addEventListener("keyup", (event) => this.#onKeyUp(event));
		// A key that is let go in another window is never heard of.
		addEventListener("blur", (event) => this.#up(event));
	}

	/** By the events' own times: a thread that was busy hears them late.
	 * @param {Event} event */
	#down({ timeStamp }) {
		if (this.#talk.active()) {
			this.#talk.stop();
			return;
		}
		this.#downMs = timeStamp;
		this.#talk.start();
	}

	/** @param {Event} event */
	#up({ timeStamp }) {
		if (this.#downMs === null) return;
		const held = timeStamp - this.#downMs >= HOLD_MS_MIN;
		this.#downMs = null;
		if (held) this.#talk.stop();
	}

	/** @param {PointerEvent} event */
	#onPointer(event) {
		if (event.button !== 0) return;
		// The finger may slide off the button while it talks.
		this.#button.setPointerCapture(event.pointerId);
		this.#down(event);
	}

	/**
	 * Assistive technology clicks without a pointer and without a key.
	 * @param {MouseEvent} event
	 */
	#onClick(event) {
		const pointer = /** @type {PointerEvent} */ (event).pointerType;
		if (event.detail !== 0 || pointer) return;
		if (this.#talk.active()) this.#talk.stop();
		else this.#talk.start();
	}

	/** @param {KeyboardEvent} event */
	#wanted(event) {
		if (event.ctrlKey || event.altKey || event.metaKey) return false;
		const onButton = event.target === this.#button;
		if (event.key === "Enter") return onButton;
		return event.code === "Space" && (onButton || !takesKeys(event.target));
	}

	/** @param {KeyboardEvent} event */
	#onKeyDown(event) {
		if (event.key === "Escape" && this.#talk.active()) {
			this.#downMs = null;
			this.#talk.cancel();
		}
		if (!this.#wanted(event)) return;
		event.preventDefault(); // neither scrolls nor clicks
		if (!event.repeat) this.#down(event);
	}

	/** @param {KeyboardEvent} event */
	#onKeyUp(event) {
		if (!this.#wanted(event)) return;
		event.preventDefault(); // the click of a button comes with the key's release
		this.#up(event);
	}
}

/** @param {EventTarget | null} target */
function takesKeys(target) {
	return (
		target instanceof Element
		&& target.closest("input, textarea, select, button, a, summary, dialog, [tabindex]")
			!== null
	);
}

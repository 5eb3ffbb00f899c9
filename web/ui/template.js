// @ts-check
// Templates that draw only what changed: a small part of what lit-html does, in its words, so that
// the pages that show the broker need no library. Values are text, never markup.
//
//   render(html`<p class="a ${word}" ?hidden=${no} @click=${fn} .value=${v}>${child}</p>`, place)
//
// A child is text, a template, a node, a list of those, or `nothing`. Not inside <textarea>,
// <title>, <style> or <script>, not in place of a tag's or attribute's name, and no ">" in the
// text of an attribute before a hole of the same tag.
import { templateMarkup } from "./trusted.js";

/**
 * @typedef {{strings: TemplateStringsArray, values: unknown[], drawing: boolean}} Template
 * @typedef {{keys: unknown[], values: unknown[]}} Keyed
 * @typedef {{at: number, name: string, strings: string[]}} Hole an attribute's; a child has no name
 * @typedef {{content: DocumentFragment, holes: Hole[]}} Prepared
 */

export const nothing = Symbol("nothing");
const LIVE = Symbol("live");
const MARK = "\u2983";
const SHOWN = NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_COMMENT;
/** The text of a tag up to the value that a hole begins or goes on in. */
const IN_TAG = /<[a-z][^<>]*$/i;

/** @type {WeakMap<TemplateStringsArray, Prepared>} */
const prepared = new WeakMap();

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => Template} */
export const html = (strings, ...values) => ({ strings, values, drawing: false });

/** What lies inside an <svg>.
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => Template} */
export const svg = (strings, ...values) => ({ strings, values, drawing: true });

/**
 * A list whose elements go along with their keys when the order changes.
 * @template T
 * @param {Iterable<T>} items @param {(item: T, at: number) => unknown} key
 * @param {(item: T, at: number) => unknown} view
 * @returns {Keyed}
 */
export function repeat(items, key, view) {
	const all = [...items];
	return { keys: all.map(key), values: all.map(view) };
}

/** A property that is compared with what the element has, not with what was set last.
 * @param {unknown} value */
export const live = (value) => ({ [LIVE]: value });

/** @param {unknown} value @returns {value is Template} */
const isTemplate = (value) => typeof value === "object" && value !== null && "strings" in value;

/** @param {unknown} value @returns {value is Keyed} */
const isKeyed = (value) => typeof value === "object" && value !== null && "keys" in value;

/** @param {TemplateStringsArray} strings */
const markedText = (strings) =>
	strings.reduce(
		(before, after) => before + (IN_TAG.test(before) ? MARK : `<!--${MARK}-->`) + after,
	);

/** @param {TemplateStringsArray} strings */
const drawnText = (strings) => `<svg>${markedText(strings)}</svg>`;

/** @param {Template} template @returns {Prepared} */
function prepare({ strings, drawing }) {
	let known = prepared.get(strings);
	if (known) return known;
	const frame = document.createElement("template");
	frame.innerHTML = templateMarkup(strings, drawing ? drawnText : markedText);
	const { content } = frame;
	if (drawing) content.replaceChildren(...(content.firstChild?.childNodes ?? []));
	/** @type {Hole[]} */
	const holes = [];
	const walker = document.createTreeWalker(content, SHOWN);
	for (let at = 0; walker.nextNode(); at++) {
		const node = walker.currentNode;
		if (node instanceof Comment && node.data === MARK)
			holes.push({ at, name: "", strings: [] });
		if (!(node instanceof Element)) continue;
		for (const { name, value } of [...node.attributes]) {
			if (!value.includes(MARK)) continue;
			node.removeAttribute(name);
			holes.push({ at, name, strings: value.split(MARK) });
		}
	}
	known = { content, holes };
	prepared.set(strings, known);
	return known;
}

/** An attribute, property (`.name`), boolean (`?name`) or listener (`@name`) of an element. */
class AttributePart {
	/** @type {unknown} */ #last = nothing;

	/** @param {Element} element @param {Hole} hole */
	constructor(element, { name, strings }) {
		this.element = element;
		this.kind = /^[.?@]/.test(name) ? name[0] : "";
		this.name = this.kind ? name.slice(1) : name;
		this.strings = strings;
		this.count = strings.length - 1;
	}

	/** @param {unknown[]} values */
	set(values) {
		const whole = this.count === 1 && this.strings.every((text) => text === "");
		const value = whole
			? values[0]
			: this.strings.reduce(
					(before, after, at) => `${before}${textOf(values[at - 1])}${after}`,
				);
		const isLive = typeof value === "object" && value !== null && LIVE in value;
		const wanted = isLive ? /** @type {{[LIVE]: unknown}} */ (value)[LIVE] : value;
		const { element, name } = this;
		const fields = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (element));
		if (wanted === (isLive ? fields[name] : this.#last)) return;
		this.#last = wanted;
		if (this.kind === ".") fields[name] = wanted;
		else if (this.kind === "?") element.toggleAttribute(name, Boolean(wanted));
		else if (this.kind === "@")
			element.addEventListener(name, this); // once: it is the same
		else if (wanted === nothing) element.removeAttribute(name);
		else element.setAttribute(name, textOf(wanted));
	}

	/** @param {Event} event */
	handleEvent(event) {
		if (typeof this.#last === "function") this.#last.call(this.element, event);
	}
}

/** @param {unknown} value */
const textOf = (value) =>
	value === nothing || value === null || value === undefined ? "" : String(value);

/** What stands between two marks of its own. */
class ChildPart {
	/** @type {Node|null} what somebody else made */ #last = null;
	/** @type {Text|null} */ #text = null;
	/** @type {Drawn|null} */ #drawn = null;
	/** @type {Map<unknown, ChildPart>|null} by key, or by place */ #list = null;
	#begin = document.createComment("");

	/** @param {Node} end what it stands before */
	constructor(end) {
		this.end = end;
		end.parentNode?.insertBefore(this.#begin, end);
	}

	/** @param {unknown} value */
	set(value) {
		if (isTemplate(value)) this.#setTemplate(value);
		else if (Array.isArray(value)) this.#setList([...value.keys()], value);
		else if (isKeyed(value)) this.#setList(value.keys, value.values);
		else if (value instanceof Node) this.#setNode(value);
		else this.#setText(textOf(value));
	}

	/** @param {Template} template */
	#setTemplate(template) {
		if (this.#drawn?.strings !== template.strings) {
			this.#clear();
			this.#drawn = new Drawn(template);
			this.#drawn.set(template.values);
			this.#put(this.#drawn.content);
			return;
		}
		this.#drawn.set(template.values);
	}

	/** @param {Node} node */
	#setNode(node) {
		if (this.#last === node) return;
		this.#clear();
		this.#put(node);
		this.#last = node;
	}

	/** @param {string} text */
	#setText(text) {
		if (this.#text) {
			if (this.#text.data !== text) this.#text.data = text;
			return;
		}
		this.#clear();
		if (text !== "") this.#put((this.#text = document.createTextNode(text)));
	}

	/** @param {unknown[]} keys @param {unknown[]} values */
	#setList(keys, values) {
		if (!this.#list) {
			this.#clear();
			this.#list = new Map();
		}
		const old = this.#list;
		/** @type {Map<unknown, ChildPart>} */
		const parts = new Map();
		for (const key of keys) {
			const part = old.get(key);
			if (part) parts.set(key, part);
			old.delete(key);
		}
		for (const part of old.values()) part.remove();
		/** @type {Node|null} */
		let next = this.#begin.nextSibling;
		keys.forEach((key, at) => {
			let part = parts.get(key);
			if (!part) {
				const end = document.createComment("");
				this.end.parentNode?.insertBefore(end, next);
				part = new ChildPart(end);
				parts.set(key, part);
			} else if (part.#begin !== next) {
				part.#moveBefore(next);
			}
			part.set(values[at]);
			next = part.end.nextSibling;
		});
		this.#list = new Map(keys.map((key) => [key, /** @type {ChildPart} */ (parts.get(key))]));
	}

	#nodes() {
		const nodes = [];
		for (let node = this.#begin.nextSibling; node && node !== this.end; node = node.nextSibling)
			nodes.push(node);
		return nodes;
	}

	/** @param {Node|null} next */
	#moveBefore(next) {
		for (const node of [this.#begin, ...this.#nodes(), this.end])
			node.parentNode?.insertBefore(node, next);
	}

	/** @param {Node} node */
	#put(node) {
		this.end.parentNode?.insertBefore(node, this.end);
	}

	#clear() {
		for (const node of this.#nodes()) node.remove();
		this.#drawn = this.#list = this.#last = this.#text = null;
	}

	remove() {
		this.#clear();
		this.#begin.remove();
		/** @type {ChildNode} */ (this.end).remove();
	}
}

/** A template's copy in the page, and its holes. */
class Drawn {
	/** @type {(AttributePart|ChildPart)[]} */ #parts = [];

	/** @param {Template} template */
	constructor(template) {
		const { content, holes } = prepare(template);
		this.strings = template.strings;
		this.content = document.importNode(content, true);
		const walker = document.createTreeWalker(this.content, SHOWN);
		/** @type {Node[]} before any part adds a mark of its own */
		const nodes = [];
		while (walker.nextNode()) nodes.push(walker.currentNode);
		for (const hole of holes) {
			const node = nodes[hole.at];
			this.#parts.push(
				hole.name
					? new AttributePart(/** @type {Element} */ (node), hole)
					: new ChildPart(node),
			);
		}
	}

	/** @param {unknown[]} values */
	set(values) {
		let at = 0;
		for (const part of this.#parts) {
			if (part instanceof ChildPart) part.set(values[at++]);
			else {
				part.set(values.slice(at, at + part.count));
				at += part.count;
			}
		}
	}
}

/** @type {WeakMap<Element, ChildPart>} */
const roots = new WeakMap();

/** Draws into an element, after what it had before the first time.
 * @param {unknown} value @param {Element} place */
export function render(value, place) {
	let root = roots.get(place);
	if (!root) {
		root = new ChildPart(place.appendChild(document.createComment("")));
		roots.set(place, root);
	}
	root.set(value);
}

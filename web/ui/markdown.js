// @ts-check
// Shows a model's text: Markdown becomes elements, everything else stays text. What a model writes
// is hostile input: no scripts, styles, pictures, forms or addresses but http(s) get through, and
// links neither tell where they came from nor reach back. Used by the pages for model output only.
import { marked } from "/vendor/marked.js";
import DOMPurify from "/vendor/purify.js";
import { purifierPolicy } from "./trusted.js";

const TAGS = [
	"a",
	"b",
	"blockquote",
	"br",
	"code",
	"del",
	"em",
	"h1",
	"h2",
	"h3",
	"h4",
	"h5",
	"h6",
	"hr",
	"i",
	"li",
	"ol",
	"p",
	"pre",
	"strong",
	"table",
	"tbody",
	"td",
	"th",
	"thead",
	"tr",
	"ul",
];

/** Marks that turn the reading direction around and can make a text look like another one. */
const BIDI = /[\u202A-\u202E\u2066-\u2069\u200E\u200F\u061C]/g;

const TEXT_CHARS_MAX = 200_000;

/** What is HTML in a model's text was not meant as such: it is shown as it was written. */
const renderer = {
	/** @param {{text: string}} token */
	html: ({ text }) => escape(text),
	/** A picture would ask an address that the model chose. @param {{text: string}} token */
	image: ({ text }) => escape(text),
};

marked.use({ gfm: true, breaks: true, renderer });

/** @param {string} text */
function escape(text) {
	return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** @param {Element} link */
function tame(link) {
	const href = link.getAttribute("href") ?? "";
	if (!/^https?:\/\//i.test(href)) {
		link.removeAttribute("href");
		return;
	}
	link.setAttribute("rel", "noopener noreferrer");
	link.setAttribute("target", "_blank");
}

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function renderMarkdown(text) {
	const plain = text.slice(0, TEXT_CHARS_MAX).replace(BIDI, "");
	const html = /** @type {string} */ (marked.parse(plain, { async: false }));
	const fragment = DOMPurify.sanitize(html, {
		ALLOWED_TAGS: TAGS,
		ALLOWED_ATTR: ["href"],
		ALLOW_DATA_ATTR: false,
		ALLOW_ARIA_ATTR: false,
		RETURN_DOM_FRAGMENT: true,
		...(purifierPolicy ? { TRUSTED_TYPES_POLICY: purifierPolicy } : {}),
	});
	for (const link of fragment.querySelectorAll("a")) tame(link);
	return fragment;
}

// @ts-check
// The pages' own templates in a real browser: only what changed is touched, values are never
// markup, listeners and properties are set, keyed elements go along with their keys.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("../lib/browser.mjs").TestPage} */
let page;

before(async () => {
	daemon = await startDaemon();
	browser = await openBrowser();
	page = await browser.signedInPage(daemon, "/logs");
	await page.evaluate(async () => {
		/** @type {any} */ (globalThis).template = await import(
			/** @type {any} */ ("/ui/template.js")
		);
	});
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** Draws in the page; what it returns. @param {(t: any, place: HTMLElement) => any} act */
const draw = (act) => page.evaluate(`(${act})(template, document.createElement("div"))`);

test("texts, attributes, properties, listeners; values are text and never markup", async () => {
	assert.deepEqual(
		await draw((t, place) => {
			/** @type {any[]} */
			const heard = [];
			const view = (/** @type {any} */ v) => t.html`<p class="a ${v.word} b" title=${v.title}
			?hidden=${v.hidden} .lang=${"de"}
			@click=${() => heard.push(v.word)}>${v.text}<b>!</b></p>`;
			t.render(view({ word: "x", title: "<i>", hidden: true, text: "<script>\"'&" }), place);
			const p = /** @type {any} */ (place.firstElementChild);
			const first = [
				p.className,
				p.title,
				p.hidden,
				p.lang,
				p.textContent,
				p.children.length,
			];
			p.click();
			t.render(view({ word: "y", title: t.nothing, hidden: false, text: null }), place);
			p.click();
			return {
				first,
				heard,
				same: p === place.firstElementChild,
				title: p.hasAttribute("title"),
				hidden: p.hidden,
				text: p.textContent,
			};
		}),
		{
			first: ["a x b", "<i>", true, "de", "<script>\"'&!", 1],
			heard: ["x", "y"],
			same: true,
			title: false,
			hidden: false,
			text: "!",
		},
	);
});

test("a child changes between text, template, list, node and nothing", async () => {
	assert.deepEqual(
		await draw((t, place) => {
			const own = document.createElement("hr");
			const view = (/** @type {any} */ child) => t.html`<div>[${child}]</div>`;
			return [
				"a",
				"b",
				t.html`<i>c</i>`,
				[1, t.html`<u>2</u>`, [3, 4]],
				own,
				own,
				t.nothing,
				"",
				"d",
				undefined,
				0,
				[],
				t.html``,
				false,
			].map((child) => {
				t.render(view(child), place);
				return /** @type {Element} */ (place.firstElementChild).innerHTML.replaceAll(
					/<!--.*?-->/g,
					"",
				);
			});
		}),
		[
			"[a]",
			"[b]",
			"[<i>c</i>]",
			"[1<u>2</u>34]",
			"[<hr>]",
			"[<hr>]",
			"[]",
			"[]",
			"[d]",
			"[]",
			"[0]",
			"[]",
			"[]",
			"[false]",
		],
	);
});

test("keyed elements go along with their keys, others stay where they are", async () => {
	assert.deepEqual(
		await draw((t, place) => {
			const list = (/** @type {string[]} */ keys) =>
				t.render(
					t.html`<ul>${t.repeat(
						keys,
						(/** @type {string} */ key) => key,
						(/** @type {string} */ key) => t.html`<li>${key}</li>`,
					)}</ul>`,
					place,
				);
			const items = () => [...place.querySelectorAll("li")];
			list(["a", "b", "c", "d"]);
			const by = Object.fromEntries(items().map((li) => [li.textContent, li]));
			const same = [["d", "a", "c"], ["c", "x", "a", "d"], [], ["a"]].map((keys) => {
				list(keys);
				return [
					items()
						.map((li) => li.textContent)
						.join(""),
					items().filter((li) => by[li.textContent ?? ""] === li).length,
				];
			});
			return same;
		}),
		[
			["dac", 3],
			["cxad", 3],
			["", 0],
			["a", 0],
		],
	);
});

test("what did not change is not touched; what a person typed stays", async () => {
	assert.deepEqual(
		await draw(async (t, place) => {
			const view = (/** @type {any} */ v) => t.html`<input .value=${v.text} class=${v.look}>
			<input .value=${t.live(v.text)}>${[1, 2].map((n) => t.html`<p>${n}${v.text}</p>`)}`;
			t.render(view({ text: "a", look: "x" }), place);
			const [plain, alive] = [...place.querySelectorAll("input")];
			plain.value = alive.value = "typed";
			const changes = new MutationObserver(() => {});
			changes.observe(place, {
				subtree: true,
				childList: true,
				attributes: true,
				characterData: true,
			});
			t.render(view({ text: "a", look: "x" }), place);
			const none = changes.takeRecords().length;
			const values = [plain.value, alive.value];
			t.render(view({ text: "b", look: "x" }), place);
			return { none, values, some: changes.takeRecords().length };
		}),
		{ none: 0, values: ["typed", "a"], some: 2 },
	);
});

test("drawings, table rows and options are what they should be", async () => {
	assert.deepEqual(
		await draw((t, place) => {
			t.render(
				t.html`<svg viewBox=${"0 0 1 1"}>${[1, 2].map((n) => t.svg`<rect x=${n}></rect>`)}
			</svg><table><tbody>${[1, 2].map((n) => t.html`<tr><td>${n}</td></tr>`)}</tbody></table>
			<select>${["a", "b"].map(
				(v) => t.html`<option value=${v}
				?selected=${v === "b"}>${v}</option>`,
			)}</select>`,
				place,
			);
			const rect = /** @type {any} */ (place.querySelector("rect"));
			return [
				rect instanceof SVGRectElement,
				place.querySelector("svg")?.getAttribute("viewBox"),
				place.querySelectorAll("tr > td").length,
				place.querySelector("select")?.value,
			];
		}),
		[true, "0 0 1 1", 2, "b"],
	);
});

test("a text becomes neither markup nor a worker, but by the pages' own policy", async () => {
	const refused = await page.evaluate(() => {
		/** @param {() => void} act */
		const errorOf = (act) => {
			try {
				act();
			} catch (error) {
				return /** @type {Error} */ (error).name;
			}
			return "none";
		};
		const place = document.createElement("div");
		return [
			errorOf(() => {
				place.innerHTML = "<b>x</b>";
			}),
			errorOf(() => place.insertAdjacentHTML("beforeend", "<b>x</b>")),
			errorOf(() => new Worker("/pages/logs/logs.js", { type: "module" })),
			errorOf(() => /** @type {any} */ (globalThis).trustedTypes.createPolicy("other", {})),
			errorOf(() => new Worker("/sdk/worker.js", { type: "module" }).terminate()),
		];
	});
	assert.deepEqual(refused, ["TypeError", "TypeError", "TypeError", "TypeError", "none"]);
	const forged = await page.evaluate(`(() => {
		try { return template.render(template.html(["<b>x</b>"]), document.createElement("p")); }
		catch (error) { return error.name; }
	})()`);
	assert.equal(forged, "TypeError");
});

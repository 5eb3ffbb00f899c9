// @ts-check
// Begins a page whose modules need the libraries of /vendor: <script type="module"
// src="/ui/start.js" data-page="/pages/console/console.js" data-name="console">. While
// they are not there, it says so in the page's place, and loads the page anew when they are.
import { awaitLibraries, libraryState } from "./libraries.js";
import { element, mountFrame } from "./frame.js";

const { page = "", name = "" } = /** @type {HTMLElement} */ (
	document.querySelector("script[data-page]")
).dataset;

async function wait() {
	const title = document.title;
	mountFrame({ page: name, title });
	const card = element(
		"section",
		{ class: "card", "aria-labelledby": "libraries-title" },
		element("h1", { id: "libraries-title" }, title),
	);
	const main = /** @type {HTMLElement} */ (document.getElementById("main"));
	main.className = "libraries-page";
	main.replaceChildren(card);
	await awaitLibraries(card, "This page");
	location.reload(); // a module that failed once is not fetched again
}

try {
	await import(page);
} catch (error) {
	const state = await libraryState();
	if (state?.ready) throw error;
	wait();
}

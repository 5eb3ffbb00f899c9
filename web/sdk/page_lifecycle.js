// @ts-check
// page_lifecycle: a page's life, and the Web Lock that keeps it from being frozen.
import { HOME } from "./home.js";

/** @import { SavedPlaces, Page } from "./types.js" */

/** Until what it gives aborts. @type {(page: Page) => AbortController} */
export function watchPage(page) {
	const { document } = globalThis;
	const stop = new AbortController();
	if (document) {
		const visible = () => page.visible(!document.hidden);
		addEventListener("pagehide", (event) => page.leave(event.persisted), stop);
		addEventListener("pageshow", (event) => event.persisted && page.back(), stop);
		document.addEventListener("resume", page.thaw, stop);
		document.addEventListener("visibilitychange", visible, stop);
		visible();
	}
	return stop;
}

/** Of a page that the browser has loaded in advance: resolves once somebody sees it. */
export function whenShown() {
	const document = /** @type {{ prerendering?: boolean } & EventTarget} */ (globalThis.document);
	return (
		document?.prerendering
		&& new Promise((resolve) => document.addEventListener("prerenderingchange", resolve))
	);
}

/** What a page's storage holds; nothing where it is denied. @type {<T>(fn: () => T) => T|undefined} */
export function ifAllowed(fn) {
	try {
		return fn();
	} catch {
		return undefined;
	}
}

export const randomId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** @type {(form: RegExp, text: unknown) => text is string} */
const isLike = (form, text) => typeof text === "string" && form.test(text);
const ID = /^[\d-]{7,64}$/;

/** Null: there are none. Anybody may have written there: what is no such thing is left out.
 * @type {(name: string) => SavedPlaces|null} */
export function savedPlaces(name) {
	const { session, left, owner, places } = Object(
		ifAllowed(() => JSON.parse(`${sessionStorage.getItem(name)}`)),
	);
	const valid = new Map(Object.entries(Object(places)).filter(([, id]) => isLike(ID, id)));
	return valid.size
		? {
				session: isLike(/^\d{1,20}-[\da-f]{32}$/, session) ? session : undefined,
				left,
				owner: isLike(ID, owner) ? owner : randomId(),
				places: valid,
			}
		: null;
}

/** @type {(name: string, kept: SavedPlaces) => void} */
export const savePlaces = (name, { places, ...rest }) =>
	ifAllowed(() =>
		places.size
			? sessionStorage.setItem(
					name,
					JSON.stringify({ ...rest, places: Object.fromEntries(places) }),
				)
			: sessionStorage.removeItem(name),
	);

/** The broker's origin. HOME is read when it is asked: in a bundle it may be there later than this.
 * @param {string} [url] default: where the SDK came from */
export const brokerOrigin = (url) => {
	const home = HOME.startsWith("http") ? HOME : "http://127.0.0.1:8470";
	return new URL((url ?? home).replace(/^ws/, "http")).origin;
};

/** Where a site keeps the token that the operator of that broker gave it. @param {string} base */
export const siteKey = (base) => `baton-site ${base}`;

/** What an earlier pair() left there, or, for the broker's own pages, `baton open` (web/ui/sign_in.js).
 * @type {(base: string) => string|null|undefined} */
export const keptToken = (base) =>
	ifAllowed(() => localStorage.getItem(base === location.origin ? "baton-key" : siteKey(base)));

const everywhere = /** @type {Record<symbol, Set<string>>} */ (/** @type {unknown} */ (globalThis));
/** Of all copies of the SDK in this page. */
const names = (everywhere[Symbol.for("baton")] ??= new Set());

/** Which frame of its tab this page is in: those of one site share a sessionStorage.
 * @type {(frame?: Window) => string} */
export const framePath = (frame = globalThis.window) =>
	frame?.parent && frame.parent !== frame
		? `${framePath(frame.parent)}/${[].indexOf.call(frame.parent, /** @type {never} */ (frame))}`
		: "";

/** The first of its kind that is free in this page. @type {(name: string) => string} */
export function newName(name) {
	let free = name;
	for (let number = 2; names.has(free); number++) free = `${name} ${number}`;
	names.add(free);
	return free;
}

/** @type {(name: string) => void} */
export const freeName = (name) => void names.delete(name);

const lockName = (/** @type {string} */ owner) => `baton-awake ${owner}`;

/** What a page that was left may need to be gone. */
const LEFT_MS = 500;

/** Whether a page lives that claims something by that name: of one that says that it was left this
 * is awaited. What cannot be known counts as what it says.
 * @type {(owner: string, left: unknown) => Promise<boolean>} */
export async function isAwake(owner, left) {
	const { locks } = globalThis.navigator ?? {};
	if (!locks) return !left;
	const how = left ? { signal: AbortSignal.timeout(LEFT_MS) } : { ifAvailable: true };
	return locks.request(lockName(owner), how, (lock) => !lock).catch(() => true);
}

/** @type {(owner: string) => (busy: boolean) => void} */
export function awakeLock(owner) {
	/** @type {AbortController|null} */
	let held = null;
	return (busy) => {
		if (!busy) {
			held?.abort();
			held = null;
		} else if (!held) {
			const { signal } = (held = new AbortController());
			globalThis.navigator?.locks
				?.request(
					lockName(owner),
					{ mode: "shared", signal },
					() => new Promise((resolve) => signal.addEventListener("abort", resolve)),
				)
				.catch(() => {});
		}
	};
}

/** Of all pages of this origin, one after the other; where there are no locks, as where storage is
 * denied, at once.
 * @type {<T>(name: string, signal: AbortSignal|undefined, fn: () => Promise<T>) => Promise<T>} */
export async function inTurn(name, signal, fn) {
	signal?.throwIfAborted();
	const allowed = await globalThis.navigator?.locks?.query().catch(() => null);
	return allowed ? navigator.locks.request(name, { signal }, fn) : fn();
}

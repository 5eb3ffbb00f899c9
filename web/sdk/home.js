// @ts-check
// home: where this copy of the SDK lies, and what it fetches when it is needed. `npm pack` writes
// another one, for bundlers: it has no address, carries the worker's code as text, and has all at
// once, since a plain script has no later parts.

/** Empty where a bundler left no address. @type {string} */
export const HOME = import.meta.url ?? "";
/** @type {string} */
export const WORKER = "";
/** What only a model with files needs. */
export const filesModule = () => import("./files.js");

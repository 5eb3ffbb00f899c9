// @ts-check
// home: where this copy of the SDK lies. `npm pack` writes another one, for bundlers: it has no
// address, and carries the worker's code as text.

/** Empty where a bundler left no address. @type {string} */
export const HOME = import.meta.url ?? "";
/** @type {string} */
export const WORKER = "";

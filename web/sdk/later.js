// @ts-check
// later: what only a model with files needs, fetched then. `npm pack` writes another one, for
// bundlers, which has it at once, since a plain script has no later parts.
export const filesModule = () => import("./files.js");

// pack: completes the declarations that tsc wrote: copies the hand-written types beside them, names
// them in the index, and says that a Broker and a Lease fit `await using` (tsc cannot name a method
// that older browsers lack). Run by `npm pack` through prepack; no page loads it.
import { appendFileSync, copyFileSync } from "node:fs";

copyFileSync("types.d.ts", "dist/types.d.ts");
appendFileSync("dist/types.d.ts", `
declare module "./lease.js" {
	interface Lease extends AsyncDisposable {}
}
declare module "./broker.js" {
	interface Broker extends AsyncDisposable {}
}
`);
appendFileSync("dist/index.d.ts", "export type * from \"./types.js\";\n");

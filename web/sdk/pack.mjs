// pack: completes the declarations that tsc wrote: copies the hand-written types beside them and
// names them in the index. Run by `npm pack` through prepack; no page loads it.
import { appendFileSync, copyFileSync } from "node:fs";

copyFileSync("types.d.ts", "dist/types.d.ts");
appendFileSync("dist/index.d.ts", "export type * from \"./types.js\";\n");

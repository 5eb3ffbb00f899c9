// pack: makes dist/, which is the package, beside the declarations that tsc wrote there. Run by
// `npm pack` through prepack; no page loads it.
import { appendFileSync, copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

for (const name of readdirSync(".")) if (name.endsWith(".js")) copyFileSync(name, `dist/${name}`);

/** The modules of the worker as one script: their names are all different. */
function workerScript() {
	const text = ["errors.js", "session.js", "worker.js"]
		.map((name) => readFileSync(name, "utf8"))
		.join("")
		.replace(/^import .*;\n/gm, "")
		.replace(/^export /gm, "")
		.replace(/^\s*\/\*[^]*?\*\/ ?/gm, "")
		.replace(/^\s*\/\/.*\n/gm, "")
		.replace(/^\s+/gm, "");
	if (/^(import|export)\b/m.test(text))
		throw new Error("An import or export of the worker is not on a line of its own.");
	return `(() => {\n${text}})();\n`;
}

// A bundle is not where the broker is, and has no file beside it.
writeFileSync(
	"dist/home.js",
	`export const HOME = "";
export const WORKER = ${JSON.stringify(workerScript())};
`,
);
writeFileSync(
	"dist/later.js",
	`import * as files from "./files.js";
export const filesModule = async () => files;
`,
);

// What tsc cannot say of a class in JavaScript: which events it has, and that it fits `await using`
// (older browsers lack the method's name).
copyFileSync("types.d.ts", "dist/types.d.ts");
copyFileSync("protocol.d.ts", "dist/protocol.d.ts");
appendFileSync(
	"dist/types.d.ts",
	`
declare module "./lease.js" {
	interface Lease extends AsyncDisposable {}
}
declare module "./broker.js" {
	interface Broker extends AsyncDisposable {
		addEventListener<K extends keyof BrokerEvents>(type: K,
			listener: ((this: Broker, event: CustomEvent<BrokerEvents[K]>) => unknown) | null,
			options?: boolean | AddEventListenerOptions): void;
		addEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
			options?: boolean | AddEventListenerOptions): void;
		removeEventListener<K extends keyof BrokerEvents>(type: K,
			listener: ((this: Broker, event: CustomEvent<BrokerEvents[K]>) => unknown) | null,
			options?: boolean | EventListenerOptions): void;
		removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null,
			options?: boolean | EventListenerOptions): void;
	}
}
`,
);
appendFileSync(
	"dist/index.d.ts",
	`export type * from "./types.js";
export type * as Protocol from "./protocol.js";
`,
);

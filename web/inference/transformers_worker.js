// @ts-check
// The Worker in which transformers.js runs: one library, one model, one GPU device. After a lost
// device the library answers nothing any more in this Worker, so engine.js ends it and starts
// another.
import { transformersAdapter } from "./transformers_adapter.js";
import { serveEngine } from "./worker_side.js";

serveEngine(async (start) => {
	const address = "/vendor/transformers.js"; // a name that the type checker does not follow
	return transformersAdapter(await import(address), start);
});

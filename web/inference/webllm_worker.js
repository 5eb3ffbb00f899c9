// @ts-check
// The Worker in which WebLLM runs: one library, one model, one GPU device. The library's own
// worker handler is not used: it passes errors on as texts, and knows no lost device.
import { serveEngine } from "./worker_side.js";
import { webllmAdapter } from "./webllm_adapter.js";

serveEngine(async (start) => {
	const address = "/vendor/web-llm.js"; // a name that the type checker does not follow
	return webllmAdapter(await import(address), start, location.href);
});

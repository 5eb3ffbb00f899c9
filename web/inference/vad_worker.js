// @ts-check
// Silero VAD on the processor, in a Worker of its own: says of each 32 ms of sound how likely it is
// speech. Asks for no lease: it takes no GPU. Started by Root Mic.
//
// In:  Float32Array of FRAME_SAMPLES at 16 kHz
// Out: {type: "ready"}, {type: "heard", frame, likely} in order, {type: "failed", message}
const RATE_HZ = 16000;
/** What the model is given of the frame before. */
const CONTEXT_SAMPLES = 64;
const VENDOR = "/vendor/ort-wasm-simd-threaded.asyncify";

const address = "/vendor/ort.js"; // a name that the type checker does not follow

async function open() {
	const ort = await import(address);
	ort.env.wasm.numThreads = 1;
	ort.env.wasm.wasmPaths = { mjs: `${VENDOR}.mjs`, wasm: `${VENDOR}.wasm` };
	const session = await ort.InferenceSession.create("/vendor/silero_vad.onnx", {
		executionProviders: ["wasm"],
	});
	const rate = new ort.Tensor("int64", [BigInt(RATE_HZ)], []);
	let state = new ort.Tensor("float32", new Float32Array(2 * 128), [2, 1, 128]);
	let context = new Float32Array(CONTEXT_SAMPLES);

	/** @param {Float32Array} frame @returns {Promise<number>} */
	return async (frame) => {
		const input = new Float32Array(CONTEXT_SAMPLES + frame.length);
		input.set(context);
		input.set(frame, CONTEXT_SAMPLES);
		context = frame.slice(-CONTEXT_SAMPLES);
		const { output, stateN } = await session.run({
			state,
			sr: rate,
			input: new ort.Tensor("float32", input, [1, input.length]),
		});
		state = stateN;
		return output.data[0];
	};
}

const opened = open();
/** Each frame needs the state that the one before has left. */
let last = Promise.resolve();

opened.then(() => postMessage({ type: "ready" }), failed);
addEventListener("message", ({ data: frame }) => {
	last = last
		.then(async () => {
			const likely = await (await opened)(frame);
			postMessage({ type: "heard", frame, likely });
		})
		.catch(failed);
});

/** @param {unknown} error */
function failed(error) {
	const message = error instanceof Error ? error.message : String(error);
	postMessage({ type: "failed", message });
}

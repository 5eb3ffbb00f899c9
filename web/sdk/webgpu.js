// @ts-check
// webgpu: finds an adapter and asks it for no more than it has.
import { BrokerError } from "./errors.js";

/** @import { Clamp, Detected, DeviceOptions } from "./types.js" */

const SIZES = ["maxBufferSize", "maxStorageBufferBindingSize"];

/** @type {Clamp} */
export function clamp(wanted, has) {
	/** @type {Record<string, number>} */
	const limits = {};
	const clamped = [];
	for (const [name, want] of Object.entries(wanted)) {
		const limit = Math[name.startsWith("min") ? "max" : "min"](want, has[name]);
		if (limit !== want) clamped.push(name);
		if (limit >= 0) limits[name] = SIZES.includes(name) ? limit - (limit % 4) : limit;
	}
	return { limits, clamped };
}

/** @type {(o?: DeviceOptions) => Promise<Detected>} */
export async function detect(options = {}) {
	const gpu = globalThis.navigator?.gpu;
	if (!gpu) throw new BrokerError("NO_WEBGPU", "Use a browser with WebGPU, over https.");
	const { limits: wanted, features = [], powerPreference = "high-performance", strict } = options;
	let adapter = null;
	for (let tries = 0; tries < 4 && !adapter; tries++) {
		// null at first
		if (tries) await new Promise((resolve) => setTimeout(resolve, 330));
		adapter = (await gpu.requestAdapter({ powerPreference })) ?? (await gpu.requestAdapter());
	}
	if (!adapter)
		throw new BrokerError("NO_ADAPTER", "The browser offers no GPU: wait, or restart it.");
	const has = /** @type {Record<string, number>} */ (/** @type {unknown} */ (adapter.limits));
	const { maxBufferSize, maxStorageBufferBindingSize } = has;
	const { limits, clamped } = clamp(
		{ maxBufferSize, maxStorageBufferBindingSize, ...wanted },
		has,
	);
	if (strict && clamped.length)
		throw new BrokerError("LIMITS", `This GPU has too little ${clamped.join()}.`);
	const { info } = adapter;
	return {
		adapter,
		info,
		clamped,
		software:
			info.isFallbackAdapter
			|| /swiftshader|llvmpipe|lavapipe|basic render/i.test(
				[info.vendor, info.architecture, info.device, info.description].join(),
			),
		descriptor: {
			requiredLimits: limits,
			requiredFeatures: features.filter((feature) => adapter.features.has(feature)),
		},
	};
}

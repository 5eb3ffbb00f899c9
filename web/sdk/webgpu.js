// webgpu: finds an adapter, clamps what is asked to what it has, and counts what a device holds.
// Knows no broker; used by lease.js, and exported as detect.
// @ts-check
/// <reference types="@webgpu/types" />
import { BrokerError } from "./errors.js";

/**
 * @typedef {object} DeviceOptions
 * @property {Record<string, number>} [limits] wanted; buffer sizes default to the adapter's
 * @property {GPUFeatureName[]} [features] taken where the adapter has them
 * @property {GPUPowerPreference} [powerPreference] default "high-performance"
 * @property {boolean} [strict] reject with LIMITS instead of clamping
 * @property {string} [label]
 * @typedef {{adapter: GPUAdapter, info: GPUAdapterInfo, descriptor: GPUDeviceDescriptor,
 *   clamped: string[], software: boolean}} Detected
 */

/** How long to wait after the n-th lost device: browsers block a page that asks too soon. */
export const LOSS_DELAYS_MS = [2_000, 10_000, 30_000, 30_000, 60_000, 120_000];

const SIZES = ["maxBufferSize", "maxStorageBufferBindingSize"];
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bcpu\b/i;

/**
 * What may be asked of a device: no limit above the adapter's, sizes in whole words.
 * @param {Record<string, number>} wanted
 * @param {Record<string, any>} has limits of the adapter
 * @returns {{limits: Record<string, number>, clamped: string[]}}
 */
export function clamp(wanted, has) {
	/** @type {Record<string, number>} */
	const limits = {};
	const clamped = [];
	for (const [name, want] of Object.entries(wanted)) {
		const limit = name.startsWith("min") ? Math.max(want, has[name]) : Math.min(want, has[name]);
		if (limit !== want)
			clamped.push(name);
		if (limit >= 0)
			limits[name] = SIZES.includes(name) ? limit - limit % 4 : limit;
	}
	return { limits, clamped };
}

/**
 * The adapter, what to ask of it, and what had to be asked less. Asks anew for each device: an
 * adapter is used up by one.
 * @param {DeviceOptions} [o]
 * @returns {Promise<Detected>}
 */
export async function detect(o = {}) {
	const gpu = globalThis.navigator?.gpu;
	if (!gpu)
		throw new BrokerError("NO_WEBGPU", "This browser has no WebGPU here: use a browser that has it, "
			+ "over https:// or http://localhost.");
	const powerPreference = o.powerPreference ?? "high-performance";
	let adapter = null;
	for (let tries = 0; tries < 4 && !adapter; tries++) { // null while the GPU process starts
		if (tries)
			await new Promise((resolve) => setTimeout(resolve, 330));
		adapter = await gpu.requestAdapter({ powerPreference }) ?? await gpu.requestAdapter();
	}
	if (!adapter)
		throw new BrokerError("NO_ADAPTER", "The browser offers no GPU now: after a crash of the GPU "
			+ "wait a moment or restart the browser; else look at chrome://gpu.");
	const has = /** @type {Record<string, any>} */ (/** @type {unknown} */ (adapter.limits));
	const most = Object.fromEntries(SIZES.map((name) => [name, has[name]]));
	const { limits, clamped } = clamp({ ...most, ...o.limits }, has);
	if (o.strict && clamped.length)
		throw new BrokerError("LIMITS", `This GPU offers less ${clamped.join(", ")} than is needed.`,
			{ clamped });
	const { info } = adapter;
	const software = info.isFallbackAdapter
		|| SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`);
	return { adapter, info, clamped, software, descriptor: { label: o.label ?? "",
		requiredFeatures: (o.features ?? []).filter((f) => adapter.features.has(f)),
		requiredLimits: limits } };
}

/**
 * @param {DeviceOptions} o
 * @param {(device: GPUDevice) => GPUDevice} own guards it
 * @param {(fields: {adapter?: string, clamped?: string[], vramBytes?: number}) => void} about
 */
export async function openDevice(o, own, about) {
	const { adapter, info, descriptor, clamped, software } = await detect(o);
	const device = own(await adapter.requestDevice(descriptor).catch((error) => {
		throw new BrokerError("LIMITS", `The GPU gave no device: ${error.message}`, error);
	}));
	const lost = await Promise.race([device.lost, null]);
	if (lost)
		throw new BrokerError("DEVICE_LOST", `The GPU was lost (${lost.message}); try again.`, lost);
	about({ adapter: `${info.vendor} ${info.description || info.architecture}${
		software ? " (software)" : ""}`, clamped });
	track(device, (vramBytes) => about({ vramBytes }));
	return device;
}

/**
 * Counts the bytes of a device's buffers; no API tells them.
 * @param {GPUDevice} device
 * @param {(bytes: number) => void} tell at most once a second
 */
function track(device, tell) {
	let bytes = 0;
	/** @type {any} */
	let timer = null;
	const add = (/** @type {number} */ n) => {
		bytes += n;
		timer ??= setTimeout(() => {
			timer = null;
			tell(bytes);
		}, 1000);
	};
	const create = device.createBuffer.bind(device);
	device.createBuffer = (descriptor) => {
		const buffer = create(descriptor);
		const destroy = buffer.destroy.bind(buffer);
		let left = descriptor.size;
		buffer.destroy = () => {
			add(-left);
			left = 0;
			return destroy();
		};
		add(left);
		return buffer;
	};
	device.lost.then(() => add(-bytes));
}

// @ts-check
// Stands between a model library and the GPU, inside an engine's Worker: clamps what the library
// asks of the adapter, counts the bytes of its buffers, and tells when a device is lost. The
// libraries have no option for any of it, so the browser's own functions are wrapped, before they
// are loaded. Used by the engines' workers only.

/**
 * @typedef {object} GpuWatch
 * @property {() => number} bytes what the library's buffers take of the GPU's memory now
 * @property {() => void} quiet from now on a lost device is no news: the library lets go of it
 */

/** Limits for which a larger number asks for less. @param {string} name */
const asksForLess = (name) => name.startsWith("min");

/** The two limits that follow the hardware profile; both must be multiples of four.
 * @type {readonly string[]} */
const SIZES = ["maxBufferSize", "maxStorageBufferBindingSize"];

/**
 * @param {Record<string, number>} wanted
 * @param {Record<string, number>} offered the adapter's limits
 * @param {number} bufferBytes
 * @returns {Record<string, number>}
 */
export function clampLimits(wanted, offered, bufferBytes) {
	/** @type {Record<string, number>} */
	const clamped = {};
	for (const [name, value] of Object.entries(wanted)) {
		const most = offered[name];
		if (most === undefined || value === undefined) continue;
		clamped[name] = asksForLess(name) ? Math.max(value, most) : Math.min(value, most);
	}
	for (const name of SIZES) {
		if (clamped[name] === undefined) continue;
		clamped[name] = Math.floor(Math.min(clamped[name], bufferBytes) / 4) * 4;
	}
	return clamped;
}

/**
 * @param {{bufferBytes: number, onLost: (message: string) => void}} o
 * @returns {GpuWatch}
 */
export function watchGpu({ bufferBytes, onLost }) {
	let bytes = 0;
	let quiet = false;
	const watch = {
		bytes: () => bytes,
		quiet: () => {
			quiet = true;
		},
	};
	if (typeof GPUAdapter === "undefined") return watch;

	const { requestDevice } = GPUAdapter.prototype;
	/** @this {GPUAdapter} @param {GPUDeviceDescriptor} [descriptor] */
	GPUAdapter.prototype.requestDevice = async function (descriptor = {}) {
		const wanted = /** @type {Record<string, number>} */ (descriptor.requiredLimits ?? {});
		const offered = /** @type {Record<string, number>} */ (
			/** @type {unknown} */ (this.limits)
		);
		const requiredLimits = clampLimits(wanted, offered, bufferBytes);
		const device = await requestDevice.call(this, { ...descriptor, requiredLimits });
		void device.lost.then(({ reason, message }) => {
			bytes = 0;
			if (!quiet) onLost(`${reason}: ${message}`);
		});
		return device;
	};
	countBuffers((change) => {
		bytes = Math.max(0, bytes + change);
	});
	return watch;
}

/** @param {(change: number) => void} onChange */
function countBuffers(onChange) {
	/** @type {WeakMap<GPUBuffer, number>} */
	const sizes = new WeakMap();
	const { createBuffer } = GPUDevice.prototype;
	const { destroy } = GPUBuffer.prototype;
	/** @this {GPUDevice} @param {GPUBufferDescriptor} descriptor */
	GPUDevice.prototype.createBuffer = function (descriptor) {
		const buffer = createBuffer.call(this, descriptor);
		sizes.set(buffer, descriptor.size);
		onChange(descriptor.size);
		return buffer;
	};
	/** @this {GPUBuffer} */
	GPUBuffer.prototype.destroy = function () {
		onChange(-(sizes.get(this) ?? 0));
		sizes.delete(this);
		return destroy.call(this);
	};
}

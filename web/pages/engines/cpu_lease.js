// @ts-check
// Stands for a lease where a model computes on the CPU: the broker shares out GPUs, so there is
// nobody to ask and nothing to give way to. Used by host.js.

/** @returns {import("/sdk/lease.js").Lease} */
export function cpuLease() {
	const never = new AbortController().signal;
	return /** @type {any} */ ({
		id: "",
		fence: 0n,
		gpu: null,
		managed: false,
		signal: never,
		yieldSignal: never,
		yieldIfNeeded: async () => false,
		guard: (/** @type {unknown} */ x) => x,
		report() {},
		release: async () => {},
	});
}

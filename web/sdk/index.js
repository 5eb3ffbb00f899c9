// index: what pages import. README.md explains it.
// @ts-check
export { Broker } from "./broker.js";
export { Lease } from "./lease.js";
export { BrokerError } from "./errors.js";
export { detect, LOSS_DELAYS_MS } from "./webgpu.js";

/**
 * @typedef {import("./broker.js").BrokerOptions} BrokerOptions
 * @typedef {import("./broker.js").State} State
 * @typedef {import("./broker.js").Status} Status
 * @typedef {import("./broker.js").Residence} Residence
 * @typedef {import("./claim.js").RequestOptions} RequestOptions
 * @typedef {import("./claim.js").QueueInfo} QueueInfo
 * @typedef {import("./errors.js").ErrorCode} ErrorCode
 * @typedef {import("./webgpu.js").DeviceOptions} DeviceOptions
 * @typedef {import("./webgpu.js").Detected} Detected
 */

// @ts-check
// index: what pages import; see README.md.
export { Broker } from "./broker.js";
export { Lease } from "./lease.js";
export { BrokerError } from "./errors.js";
export { pair } from "./pair.js";
export { detect } from "./webgpu.js";

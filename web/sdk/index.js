// index: what pages import; see README.md.
// @ts-check
export { Broker } from "./broker.js";
export { Lease } from "./lease.js";
export { BrokerError } from "./errors.js";
export { pair } from "./pair.js";
export { detect } from "./webgpu.js";

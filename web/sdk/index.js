// index: what pages import. README.md explains it, types.d.ts has the options.
// @ts-check
export { Broker } from "./broker.js";
export { Lease } from "./lease.js";
export { BrokerError } from "./errors.js";
export { detect } from "./webgpu.js";

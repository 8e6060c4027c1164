/**
 * What hardly any connection needs. In the binary this is a module of its own,
 * so that all others do not pay for reading it.
 *
 * @module
 */

export { resolveConfig } from "./config.ts";
export { pruneSome } from "./store/prune.ts";

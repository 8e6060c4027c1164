/**
 * What a compiled program needs only where its configuration says something
 * else than at compile time.
 *
 * @module
 */

export { resolveConfig } from "./config.ts";

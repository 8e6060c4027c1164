/**
 * @std/log 0.224 without its ready-made handlers, its formatters and its
 * loggers by name, on the older one of an npm package.
 *
 * @module
 */

export * from "./handlers.ts";
export * from "./levels.ts";
export * from "./logger.ts";

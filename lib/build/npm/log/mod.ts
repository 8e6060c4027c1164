/**
 * @std/log 0.224 without its formatters and its rotating file, on the older one
 * of an npm package.
 *
 * @module
 */

import * as old from "@gjsify/deno_std/log/mod";
import { ConsoleHandler } from "./handlers.ts";
import { oldName } from "./levels.ts";
import { type LogConfig, Logger } from "./logger.ts";

export * from "./handlers.ts";
export * from "./levels.ts";
export * from "./logger.ts";

/** The named logger, or the default one. */
export function getLogger(name?: string): Logger {
  // The older module makes its own loggers: this gives them the methods of ours.
  return Object.setPrototypeOf(old.getLogger(name), Logger.prototype);
}

/** Replaces all handlers and loggers. */
export function setup(config: LogConfig): void {
  const handlers = { default: new ConsoleHandler("INFO"), ...config.handlers };
  const loggers = Object.fromEntries(
    Object.entries(config.loggers ?? {}).map(([name, { level, handlers }]) => [
      name,
      { level: oldName(level ?? "INFO"), handlers },
    ]),
  );
  old.setup({ handlers, loggers } as unknown as old.LogConfig);
}

setup({});

export const debug: Logger["debug"] = (msg: unknown, ...args: unknown[]) =>
  getLogger().debug(msg as string, ...args) as never;
export const info: Logger["info"] = (msg: unknown, ...args: unknown[]) =>
  getLogger().info(msg as string, ...args) as never;
export const warn: Logger["warn"] = (msg: unknown, ...args: unknown[]) =>
  getLogger().warn(msg as string, ...args) as never;
export const error: Logger["error"] = (msg: unknown, ...args: unknown[]) =>
  getLogger().error(msg as string, ...args) as never;
export const critical: Logger["critical"] = (
  msg: unknown,
  ...args: unknown[]
) => getLogger().critical(msg as string, ...args) as never;

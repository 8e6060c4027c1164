/**
 * `Logger` and `LogRecord` as in @std/log 0.224, on those of the npm package.
 *
 * @module
 */

import * as old from "@gjsify/deno_std/log/logger";
import type { BaseHandler } from "./handlers.ts";
import {
  getLevelByName,
  getLevelName,
  type LevelName,
  type LogLevel,
  oldName,
} from "./levels.ts";

// deno-lint-ignore no-explicit-any
export type GenericFunction = (...args: any[]) => any;

export interface LogRecordOptions {
  msg: string;
  args: unknown[];
  level: LogLevel;
  loggerName: string;
}

interface Fields {
  readonly msg: string;
  readonly args: unknown[];
  readonly datetime: Date;
  readonly level: number;
  readonly levelName: string;
  readonly loggerName: string;
}

const OldLogRecord = old.LogRecord as unknown as new (
  options: LogRecordOptions,
) => Fields;

export class LogRecord extends OldLogRecord {
  constructor(options: LogRecordOptions) {
    super(options);
    Object.assign(this, { levelName: getLevelName(options.level) });
  }
}

/** Logs, and returns the message or what the message function returned. */
interface Log {
  <T>(msg: () => T, ...args: unknown[]): T | undefined;
  <T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
}

export interface LoggerOptions {
  handlers?: BaseHandler[];
}

/** The npm package's logger, as far as it is used here. */
interface OldLogger {
  handlers: BaseHandler[];
  level: LogLevel;
  readonly loggerName: string;
  readonly debug: Log;
  readonly info: Log;
  readonly warning: Log;
  readonly error: Log;
  readonly critical: Log;
}

const OldLogger = old.Logger as unknown as new (
  loggerName: string,
  level: string,
  options: LoggerOptions,
) => OldLogger;

export class Logger extends OldLogger {
  constructor(
    loggerName: string,
    levelName: LevelName,
    options: LoggerOptions = {},
  ) {
    super(loggerName, oldName(levelName), options);
  }

  get levelName(): LevelName {
    return getLevelName(this.level);
  }

  set levelName(levelName: LevelName) {
    this.level = getLevelByName(levelName);
  }

  get warn(): Log {
    return this.warning;
  }
}

/**
 * `BaseHandler` as in @std/log 0.224, on that of the npm package.
 *
 * @module
 */

import * as old from "@gjsify/deno_std/log/handlers";
import {
  getLevelByName,
  getLevelName,
  type LevelName,
  type LogLevel,
  oldName,
} from "./levels.ts";
import type { LogRecord } from "./logger.ts";

export type { LevelName, LogLevel, LogRecord };

export type FormatterFunction = (logRecord: LogRecord) => string;

export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

/** The npm package's handler, as far as it is used here. */
interface OldHandler {
  handle(logRecord: LogRecord): void;
  format(logRecord: LogRecord): string;
  log(msg: string): void;
  setup(): void;
  destroy(): void;
}

const OldBaseHandler = old.BaseHandler as unknown as new (
  level: string,
  options: unknown,
) => OldHandler;

const plain: FormatterFunction = ({ levelName, msg }) => `${levelName} ${msg}`;

/** Records come with the older level name; handlers are to see today's. */
function renamed(logRecord: LogRecord): LogRecord {
  const name = getLevelName(logRecord.level as LogLevel);
  return Object.assign(logRecord, { levelName: name });
}

export abstract class BaseHandler extends OldBaseHandler {
  declare formatter: FormatterFunction;
  #level: LogLevel;

  constructor(levelName: LevelName, options?: BaseHandlerOptions) {
    super(oldName(levelName), { formatter: options?.formatter ?? plain });
    // The older class has plain fields, which would hide the accessors below.
    delete (this as { level?: unknown }).level;
    delete (this as { levelName?: unknown }).levelName;
    this.#level = getLevelByName(levelName);
  }

  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    getLevelName(level);
    this.#level = level;
  }

  get levelName(): LevelName {
    return getLevelName(this.#level);
  }

  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  override handle(logRecord: LogRecord): void {
    super.handle(renamed(logRecord));
  }

  abstract override log(msg: string): void;

  [Symbol.dispose](): void {
    this.destroy();
  }
}

/**
 * `BaseHandler`, `ConsoleHandler` and `FileHandler` as in @std/log 0.224, on
 * those of the npm package.
 *
 * @module
 */

import * as old from "@gjsify/deno_std/log/handlers";
import {
  getLevelByName,
  getLevelName,
  type LevelName,
  type LogLevel,
  LogLevels,
  oldName,
} from "./levels.ts";
import type { LogRecord } from "./logger.ts";

export type { LevelName, LogLevel, LogRecord };

export type FormatterFunction = (logRecord: LogRecord) => string;
export type LogMode = "a" | "w" | "x";

export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

export interface FileHandlerOptions extends BaseHandlerOptions {
  filename: string;
  mode?: LogMode;
}

export interface ConsoleHandlerOptions extends BaseHandlerOptions {
  useColors?: boolean;
}

/** The npm package's handlers, as far as they are used here. */
interface OldHandler {
  handle(logRecord: LogRecord): void;
  format(logRecord: LogRecord): string;
  log(msg: string): void;
  setup(): void;
  destroy(): void;
}

type Old<Handler> = new (level: string, options: unknown) => Handler;

const OldBaseHandler = old.BaseHandler as unknown as Old<OldHandler>;
const OldConsoleHandler = old.ConsoleHandler as unknown as Old<OldHandler>;
const OldFileHandler = old.FileHandler as unknown as Old<
  OldHandler & { flush(): void }
>;

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

export class ConsoleHandler extends BaseHandler {
  readonly #colours: OldHandler | undefined;

  constructor(levelName: LevelName, options: ConsoleHandlerOptions = {}) {
    super(levelName, options);
    if (options.useColors === false) return;
    const formatter = (logRecord: LogRecord) => this.formatter(logRecord);
    this.#colours = new OldConsoleHandler(oldName(levelName), { formatter });
  }

  override format(logRecord: LogRecord): string {
    return this.#colours?.format(logRecord) ?? super.format(logRecord);
  }

  log(msg: string): void {
    console.log(msg);
  }
}

export class FileHandler extends BaseHandler {
  readonly #file: InstanceType<typeof OldFileHandler>;
  readonly #destroyOld: () => void;

  constructor(levelName: LevelName, options: FileHandlerOptions) {
    super(levelName, options);
    const file = new OldFileHandler(oldName(levelName), options);
    this.#file = file;
    // The older one's unload listener calls its destroy; as in today's, that has
    // to be the one that a subclass may override.
    this.#destroyOld = file.destroy.bind(file);
    file.destroy = () => this.destroy();
  }

  override setup(): void {
    this.#file.setup();
  }

  override handle(logRecord: LogRecord): void {
    super.handle(logRecord);
    if (logRecord.level > LogLevels.ERROR) this.flush();
  }

  log(msg: string): void {
    this.#file.log(msg);
  }

  flush(): void {
    this.#file.flush();
  }

  override destroy(): void {
    this.#destroyOld();
  }
}

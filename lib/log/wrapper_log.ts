/**
 * The log of the wrapper: lines for stderr or syslog are out at once; lines for a
 * file are kept until they are flushed, which has a time limit.
 *
 * @module
 */

import { BaseHandler } from "@std/log/base-handler";
import type { Logger, LogRecord } from "@std/log/logger";
import { HangCount } from "../system/hang_count.ts";
import { encode } from "../system/utf8.ts";
import type { Budget } from "../system/within.ts";
import { fileLine, fileTrouble, openLogFile } from "./file.ts";
import type { LogSettings } from "./settings.ts";
import { logger, openLog, SyslogHandler } from "./targets.ts";

/**
 * How long a file may take in any case, in milliseconds: a base directory that
 * hangs has used up the budget, and the file may be on another disk.
 */
const LEAST = 500;

/** The log of one connection. */
export interface WrapperLog {
  readonly logger: Logger;
  /**
   * Writes the lines that were kept. Never rejects. Lines that the file does not
   * take, or not in time, go to syslog.
   *
   * @returns whether a call on the file hangs in another thread
   */
  flush(): Promise<boolean>;
}

/**
 * Opens the log of the wrapper.
 *
 * @param stderrIsClient whether stderr must not be written to
 * @param budget how long a file may take, but no less than {@linkcode LEAST}
 */
export function openWrapperLog(
  settings: LogSettings,
  stderrIsClient: boolean,
  budget: Budget,
): WrapperLog {
  const { level, target } = settings;
  if (!target.startsWith("/")) {
    return {
      logger: openLog(settings, stderrIsClient),
      flush: () => Promise.resolve(false),
    };
  }
  const file = new KeptFile(settings, budget);
  return { logger: logger(level, file), flush: () => file.flush() };
}

/** Keeps lines for a file. */
class KeptFile extends BaseHandler {
  readonly #settings: LogSettings;
  readonly #budget: Budget;
  #records: LogRecord[] = [];
  #hangs = false;

  constructor(settings: LogSettings, budget: Budget) {
    super(settings.level);
    this.#settings = settings;
    this.#budget = budget;
  }

  override handle(record: LogRecord): void {
    if (this.level <= record.level) this.#records.push(record);
  }

  // What handle() would call.
  override log(): void {}

  async flush(): Promise<boolean> {
    const records = this.#records;
    if (records.length === 0) return this.#hangs;
    this.#records = [];
    const { level, target } = this.#settings;
    const handler = new SyslogHandler(this.#settings);
    // From then on, `handler` throws nothing either.
    const syslog = logger(level, handler);
    try {
      const text = records
        .map((record) => fileLine(record.datetime, record) + "\n").join("");
      if (await this.#append(encode(text))) return false;
    } catch (error) {
      syslog.error(fileTrouble(target, error));
    }
    for (const record of records) handler.handle(record);
    return this.#hangs;
  }

  /**
   * @returns whether the text is written; false if the log has an ERROR about that
   * already
   * @throws {Error} why it is not
   */
  async #append(text: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (this.#hangs) return false;
    const { target } = this.#settings;
    const budget = this.#budget;
    budget.left = Math.max(budget.left, LEAST);
    const gate = new HangCount(target);
    if (!gate.mayAsk(Date.now() / 1000)) return false;
    try {
      const found = await gate.ask(append(target, text), budget);
      this.#hangs = found === undefined;
    } finally {
      // An error is an answer too.
      if (!this.#hangs) gate.answered();
    }
    if (!this.#hangs) return true;
    if (!gate.isFirst) return false;
    throw new Error("no answer in time (see storeTimeout)");
  }
}

async function append(
  path: string,
  text: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const file = await openLogFile(path);
  try {
    for (let rest = text; rest.length > 0;) {
      const count = await file.write(rest);
      if (count <= 0) throw new Error("a write has failed");
      rest = rest.subarray(count);
    }
  } finally {
    await file.close();
  }
}

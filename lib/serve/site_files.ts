/**
 * The files of `serve` that an administrator changes: control files, whitelist
 * files, and the log file that a rotation moves. They are read and opened at the
 * start and at each SIGHUP. The event loop does not wait for that: the old rules
 * and the old log stay in use until the new ones are complete.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import {
  type BackgroundLog,
  isStderr,
  openBackgroundLog,
} from "../log/background.ts";
import { formatLine, quote } from "../log/line.ts";
import type { Logger } from "../log/targets.ts";
import { reasonOf } from "../reason.ts";
import { greetingFiles, greetingName } from "../smtp/control_files.ts";
import { variable } from "../system/environment.ts";
import { readRegularFileLater } from "../system/background_file.ts";
import { within } from "../system/within.ts";
import { Lists } from "../lists.ts";

/**
 * How many logs may be closed at once. One whose disk hangs takes one of the
 * threads that Deno has for such calls until the disk answers.
 */
const MOST_CLOSING = 4;

/** The files of one configuration. */
export class SiteFiles {
  /** The rules on which clients have to wait. */
  readonly lists: Lists;
  readonly #config: ResolvedConfig;
  #log: BackgroundLog;
  #hostname: string;
  /** Whether the control files have been read. */
  #isNamed = false;
  /** The load that is under way. */
  #loading: Promise<void> | undefined;
  /** Whether another one has to follow. */
  #isStale = false;
  /** What all signals wait for that come meanwhile. */
  #reloading: Promise<void> | undefined;

  /** The log that is being opened. */
  #opening: Promise<void> | undefined;
  /** Whether the log is to be opened again after that. */
  #isMoved = false;
  /** The logs that are being closed. */
  readonly #closing = new Set<Promise<void>>();

  private constructor(config: ResolvedConfig, log: BackgroundLog) {
    this.#config = config;
    this.#log = log;
    this.#hostname = greetingName(config.controlDir, variable, () => "");
    this.lists = new Lists(config, (name) => variable(name) !== undefined);
  }

  /**
   * Opens the log, which takes storeTimeout at most: a log file that hangs gets its
   * lines later. {@linkcode load} has to follow.
   */
  static async open(config: ResolvedConfig): Promise<SiteFiles> {
    const patience = config.storeTimeout * 1000;
    const log = await openBackgroundLog(config.log, patience);
    return new SiteFiles(config, log);
  }

  /** The log. */
  get log(): Logger {
    return this.#log.logger;
  }

  /** The name of this host in the banner. */
  get hostname(): string {
    return this.#hostname;
  }

  /**
   * Whether a file is being opened or read, or a write to the log is under way.
   *
   * @param before only a write that has begun earlier, from `performance.now()`: on
   * a busy site one follows the other
   */
  isBusy(before: number): boolean {
    return this.#loading !== undefined || this.#opening !== undefined ||
      this.#closing.size > 0 || this.#log.busySince < before;
  }

  /** Waits until all lines are written; see {@linkcode BackgroundLog}. */
  async flush(patience: number): Promise<void> {
    const end = performance.now() + patience;
    // What they have lost is reported by the log.
    if (this.#closing.size > 0) {
      await within(Promise.all(this.#closing), patience);
    }
    await this.#log.flush(Math.max(0, end - performance.now()));
  }

  /**
   * Opens the log again, and reads all files again. Never rejects. A log that
   * cannot be opened yet does not keep the files from being read.
   *
   * @returns settled when that is done, also for calls that came meanwhile
   */
  async reload(): Promise<void> {
    if (!isStderr(this.#config.log)) {
      this.#isMoved = true;
      this.#opening ??= this.#openLog();
    }
    this.load();
    await (this.#reloading ??= this.#untilRead());
  }

  async #untilRead(): Promise<void> {
    while (this.#opening !== undefined || this.#loading !== undefined) {
      await Promise.all([this.#opening, this.#loading]);
    }
    this.#reloading = undefined;
  }

  /** One file is opened at a time, so that calls that hang do not add up. */
  async #openLog(): Promise<void> {
    while (this.#isMoved) {
      this.#isMoved = false;
      if (this.#closing.size >= MOST_CLOSING) await Promise.race(this.#closing);
      const before = this.#log;
      this.#log = await openBackgroundLog(this.#config.log);
      this.#close(before);
    }
    this.#opening = undefined;
  }

  /** Closes a log, which writes its last lines before. */
  #close(log: BackgroundLog): void {
    const closing = log.close().then((lost) => {
      this.#log.lose(lost);
      this.#closing.delete(closing);
    });
    this.#closing.add(closing);
  }

  /** Reads all files. Never rejects. */
  load(): Promise<void> {
    this.#isStale = true;
    return this.#loading ??= this.#load();
  }

  async #load(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      await Promise.all([this.#readHostname(), this.#readLists()]);
    }
    this.#loading = undefined;
  }

  async #readHostname(): Promise<void> {
    const { controlDir } = this.#config;
    const texts = new Map<string, string>();
    for (const path of greetingFiles(controlDir)) {
      try {
        texts.set(path, await readRegularFileLater(path));
      } catch (error) {
        // A file that cannot be read now does not change the name. At the start, and
        // if there is no such file, the next file counts.
        if (!this.#isNamed || error instanceof Deno.errors.NotFound) continue;
        const reason = reasonOf(error);
        const what = `${path}: ${reason}: the name in the banner stays`;
        this.log.warn(formatLine("serve", { what: quote(what) }));
        return;
      }
    }
    this.#isNamed = true;
    this.#hostname = greetingName(
      controlDir,
      variable,
      (path) => texts.get(path) ?? "",
    );
  }

  #readLists(): Promise<void> {
    return this.lists.load(
      readRegularFileLater,
      (section, message) =>
        this.log.warn(formatLine(section, { what: quote(message) })),
    );
  }
}

/**
 * The log of `serve`, which must not wait for its log: the same lines and targets
 * as in targets.ts, written in the background.
 *
 * @module
 */

import { BaseHandler } from "@std/log/base-handler";
import { LogLevels } from "@std/log/levels";
import type { LogRecord } from "@std/log/logger";
import type { AppendedFile } from "../system/background_file.ts";
import { within } from "../system/within.ts";
import { fileLine, fileTrouble, openLogFile } from "./file.ts";
import { formatLine, quote } from "./line.ts";
import { LineQueue, type Write } from "./line_queue.ts";
import type { Level, LogSettings } from "./settings.ts";
import { format, Logger, logger, SyslogHandler } from "./targets.ts";

/** A log that is written in the background. */
export interface BackgroundLog {
  readonly logger: Logger;
  /**
   * When the write or the opening that is under way began, from
   * `performance.now()`; Infinity if there is none.
   */
  readonly busySince: number;
  /**
   * Waits until all lines are written.
   *
   * @param patience milliseconds after which that is given up, as
   * {@linkcode within} counts them
   */
  flush(patience: number): Promise<void>;
  /**
   * Writes what is left, and closes a file. Never rejects, and may take for ever:
   * the number of a descriptor that another thread still writes to must not become
   * the number of a connection.
   *
   * @returns how many lines were lost and could not be reported
   */
  close(): Promise<number>;
  /** Reports lines that were lost elsewhere, at the latest with the next line. */
  lose(count: number): void;
}

/** The line that says how many were lost, as the log records it. */
function lostRecord(count: number): { level: number; msg: string } {
  const what = "lines were lost while the log did not take them";
  return {
    level: LogLevels.WARN,
    msg: formatLine("log", { lost: count, what: quote(what) }),
  };
}

/** Whether the log is standard error, which cannot be opened again. */
export function isStderr({ target }: LogSettings): boolean {
  return target === "auto" || target === "stderr";
}

/**
 * Opens the log. Stderr must not be a client's socket. If a file cannot be opened,
 * lines go to syslog, and the first line says why.
 *
 * @param patience milliseconds to wait for a file to open; after that, lines wait
 * until it is open
 */
export async function openBackgroundLog(
  settings: LogSettings,
  patience: number = Infinity,
): Promise<BackgroundLog> {
  const { level, target } = settings;
  if (target === "syslog") return syslogLog(settings);
  if (isStderr(settings)) {
    return queued(level, (bytes) => Deno.stderr.write(bytes), format);
  }
  try {
    const opening = openLogFile(target);
    const opened = patience === Infinity
      ? { value: await opening }
      : await within(opening, patience);
    return fileLog(level, target, opened?.value ?? opening);
  } catch (error) {
    const fallback = syslogLog(settings);
    fallback.logger.error(fileTrouble(target, error));
    return fallback;
  }
}

/** A log file that is open, or that is being opened. */
function fileLog(
  level: Level,
  path: string,
  file: AppendedFile | Promise<AppendedFile>,
): BackgroundLog {
  let current: Promise<AppendedFile> | undefined = Promise.resolve(file);
  const began = performance.now();
  let isOpening = true;
  const settled = () => {
    isOpening = false;
  };
  current.then(settled, settled);
  const write: Write = async (bytes) => {
    current ??= openLogFile(path);
    let opened: AppendedFile;
    try {
      opened = await current;
    } catch (error) {
      // The next line makes the next try.
      current = undefined;
      throw error;
    }
    const count = await opened.write(bytes);
    if (count === -1) {
      // A file of an NFS server that was replaced takes no line any more.
      current = undefined;
      await opened.close();
    }
    return count;
  };
  const stamped = (record: Pick<LogRecord, "level" | "msg">) =>
    fileLine(new Date(), record);
  const end = async () => {
    await current?.then((opened) => opened.close(), () => {});
  };
  const log = queued(level, write, stamped, end);
  return {
    ...log,
    get busySince() {
      return isOpening ? began : log.busySince;
    },
  };
}

type Format = (record: Pick<LogRecord, "level" | "msg">) => string;

function queued(
  level: Level,
  write: Write,
  format: Format,
  end: () => Promise<void> = () => Promise.resolve(),
): BackgroundLog {
  const queue = new LineQueue(
    write,
    (count) => format(lostRecord(count)) + "\n",
  );
  return {
    logger: logger(level, new QueueHandler(level, format, queue)),
    get busySince() {
      return queue.busySince;
    },
    flush: (patience) => queue.flush(patience),
    close: async () => {
      const lost = await queue.end();
      await end();
      return lost;
    },
    lose: (count) => queue.lose(count),
  };
}

class QueueHandler extends BaseHandler {
  readonly #queue: LineQueue;

  constructor(level: Level, formatter: Format, queue: LineQueue) {
    super(level, { formatter });
    this.#queue = queue;
  }

  override log(line: string): void {
    this.#queue.push(line + "\n");
  }
}

/** A datagram does not wait: the kernel takes it at once or refuses it. */
class CountingSyslogHandler extends SyslogHandler {
  /** How many lines were lost and not reported. */
  lost = 0;

  override log(message: string): void {
    try {
      super.log(message);
    } catch {
      this.lost++;
      return;
    }
    if (this.lost === 0) return;
    const { lost } = this;
    this.lost = 0;
    const { level, msg } = lostRecord(lost);
    this.send({ level, msg, datetime: new Date() } as LogRecord);
    // If the report itself was lost, it is not one more line.
    if (this.lost > 0) this.lost = lost;
  }
}

function syslogLog(settings: LogSettings): BackgroundLog {
  const { level } = settings;
  const handler = new CountingSyslogHandler(settings);
  return {
    logger: logger(level, handler),
    busySince: Infinity,
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(handler.lost),
    lose: (count) => {
      handler.lost += count;
    },
  };
}

/**
 * The log file, which other threads open, write and close: a disk that hangs must
 * hold up no client.
 *
 * @module
 */

import type { LogRecord } from "@std/log/logger";
import { reasonOf } from "../reason.ts";
import { AppendedFile } from "../system/background_file.ts";
import { quote } from "./line.ts";
import { format } from "./targets.ts";

/** The line of a log file: the time in UTC, and the line that every target has. */
export function fileLine(
  time: Date,
  record: Pick<LogRecord, "level" | "msg">,
): string {
  return `${time.toISOString()} ${format(record)}`;
}

/**
 * Opens a log file. A file that is missing is created with mode 0640, because the
 * log names senders and recipients.
 *
 * @throws {Error} if it cannot be opened, or if opening it would wait for a reader
 */
export async function openLogFile(path: string): Promise<AppendedFile> {
  if (await isFifo(path)) throw new Error("a FIFO: expected a regular file");
  return await AppendedFile.open(path, 0o640);
}

/** The line that says why a log file does not take lines. */
export function fileTrouble(path: string, error: unknown): string {
  return `what=${quote(`log file ${path}: ${reasonOf(error)}`)}`;
}

async function isFifo(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFifo === true;
  } catch {
    // The file is missing, or cannot be looked at: opening it creates it or says why.
    return false;
  }
}

/**
 * Whether a new binary can take the place of a `serve` that runs: its own `check`
 * says so.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import { readStart } from "../system/file.ts";
import { memoryFileOf } from "../system/memory_file.ts";
import { ChildProgram } from "../system/spawn.ts";
import type { Children } from "./children.ts";
import { CHECK_VALUE, HANDOVER_VARIABLE, TAKES_OVER } from "./handover.ts";

/** How long `check` may take, in milliseconds. */
const TIMEOUT = 10_000;

/** How much it may print, in bytes. */
const MAX_OUTPUT = 1 << 20;

/**
 * Runs `check` of a new binary. Another thread starts it, since its disk may hang.
 *
 * @param over is called when it has ended or could not be started
 * @throws {Error} unless the binary can take over
 */
export async function checkNewBinary(
  path: string,
  children: Children,
  over: () => void,
): Promise<void> {
  let output: number;
  try {
    output = memoryFileOf("greylist-check", MAX_OUTPUT);
  } catch (error) {
    over();
    throw error;
  }
  let text = "";
  const program = new ChildProgram([path, "check"], [0, 1, 2]);
  const status = await children.help(
    program,
    output,
    { [HANDOVER_VARIABLE]: CHECK_VALUE },
    TIMEOUT,
    () => {
      over();
      text = new TextDecoder().decode(readStart(output, MAX_OUTPUT));
      close(output);
    },
  ).catch((error: Error) => {
    throw new Error(`${path}: ${error.message}`, { cause: error });
  });
  const what = `${path} check`;
  if (status === undefined) {
    throw new Error(`${what}: no end within ${TIMEOUT / 1000} s`);
  }
  // The rest of the file is null bytes: a million matches took 25 ms.
  const lines = text.replace(/\0+/g, "").trimEnd().split("\n");
  const bad = lines.find((line) => line.startsWith("FIX "));
  if (bad !== undefined) throw new Error(`${what}: ${bad}`);
  if (status.code !== 0) {
    const { code, signal } = status;
    const how = code === undefined ? `signal ${signal}` : `exit ${code}`;
    throw new Error(`${what}: ${how}: ${lines.at(-1) || "no output"}`);
  }
  if (!lines.some((line) => line.endsWith(TAKES_OVER))) {
    throw new Error(`${what}: expected a greylist that ${TAKES_OVER}`);
  }
}

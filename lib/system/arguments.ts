/**
 * The arguments of another program, byte by byte.
 *
 * @module
 */

import { readProc } from "./file.ts";
import { cStrings, type Strings, stringsIn } from "./libc.ts";

/** The character that replaces bytes that are no UTF-8. */
const REPLACEMENT = "\ufffd";

/**
 * The arguments of a program as C strings. If an argument of this process is not
 * UTF-8, Deno 2.9 replaces its bytes by U+FFFD (earlier versions do not start).
 * The bytes then come from proc_pid_cmdline(5), which costs such a start 1 ms.
 *
 * @param program the program and its arguments: if U+FFFD is in one, they have to
 * be the last arguments of this process
 * @throws {LibcError} if /proc cannot be read
 */
export function argumentStrings(program: readonly string[]): Strings {
  if (!program.some((argument) => argument.includes(REPLACEMENT))) {
    return cStrings(program);
  }
  return stringsIn(lastStrings(ownBytes(), program.length));
}

/**
 * The arguments of this process, with its name in front, byte by byte.
 *
 * @throws {LibcError} if /proc cannot be read
 */
export function ownArguments(): Strings {
  return stringsIn(ownBytes());
}

function ownBytes(): Uint8Array<ArrayBuffer> {
  return readProc("/proc/self/cmdline");
}

/**
 * The last C strings of a block, with their null bytes.
 *
 * @param block ends with a null byte
 */
export function lastStrings(
  block: Uint8Array<ArrayBuffer>,
  count: number,
): Uint8Array<ArrayBuffer> {
  let start = block.length;
  for (let i = 0; i < count; i++) {
    start = block.subarray(0, start - 1).lastIndexOf(0) + 1;
  }
  return block.subarray(start);
}

/**
 * Becoming another program: execve(2).
 *
 * @module
 */

import { argumentStrings } from "./arguments.ts";
import {
  errno,
  fromLibcAtStart,
  LibcError,
  pointerTable,
  type Strings,
} from "./libc.ts";
import { endAsBefore, restoreSignals } from "./signals.ts";

const libc = fromLibcAtStart({
  // int execvp(const char *file, char *const argv[]);
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
});

/**
 * Replaces this process by another program, found on PATH as execvp(3) does:
 * the same process id, the same descriptors, the arguments as they are, and
 * signals as {@linkcode restoreSignals} leaves them.
 *
 * @param program see {@linkcode argumentStrings}
 * @param variables are added to the environment of this process
 * @returns only if the program could not be started
 */
export function exec(
  program: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): LibcError {
  for (const [name, value] of Object.entries(variables)) {
    Deno.env.set(name, value);
  }
  let strings: Strings;
  try {
    strings = argumentStrings(program);
  } catch (error) {
    return error as LibcError;
  }
  const undo = restoreSignals();
  // An alarm(2) would go off in the program.
  endAsBefore();
  // The program's name is the first of the strings.
  libc.execvp(strings.block, pointerTable(strings.addresses));
  const error = new LibcError("exec", errno());
  undo();
  return error;
}

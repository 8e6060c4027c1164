/**
 * Become the next program, with the connection untouched.
 *
 * @module
 */

import { type LibcError } from "./libc.ts";
import { exec } from "./process.ts";

/**
 * Replaces this process by the next program (execve(2), found as execvp(3)
 * does): same process, same descriptors, the arguments as they are.
 *
 * @param variables what the program finds in its environment besides what is
 * there already
 * @returns only where it could not be started
 */
export function handOver(
  program: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): LibcError {
  for (const [name, value] of Object.entries(variables)) {
    Deno.env.set(name, value);
  }
  return exec([...program]);
}

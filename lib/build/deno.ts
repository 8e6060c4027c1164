/**
 * Runs `deno` for the steps of a build.
 *
 * @module
 */

import { TemporaryError } from "../commands/command.ts";

/** Runs a deno subcommand and returns what it wrote. */
export async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(
    Deno.execPath(),
    {
      args,
      env: { NO_COLOR: "1", RUST_BACKTRACE: "0", ...env },
      stdin: "null",
    },
  ).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/**
 * Runs a step of the build; its output is shown only if it fails.
 *
 * @throws {TemporaryError} with that output
 */
export async function step(args: string[]): Promise<void> {
  const { success, output } = await deno(args);
  if (success) return;
  throw new TemporaryError(`deno ${args[0]} failed:\n${output.trimEnd()}`);
}

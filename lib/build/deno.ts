/**
 * Runs `deno` for the steps of a build.
 *
 * @module
 */

/**
 * Runs a deno subcommand.
 *
 * @returns what it wrote: `output` has both streams
 */
export async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ success: boolean; stdout: string; output: string }> {
  const result = await new Deno.Command(
    Deno.execPath(),
    {
      args,
      env: { NO_COLOR: "1", RUST_BACKTRACE: "0", ...env },
      stdin: "null",
    },
  ).output();
  const decoder = new TextDecoder();
  const stdout = decoder.decode(result.stdout);
  const output = stdout + decoder.decode(result.stderr);
  return { success: result.success, stdout, output };
}

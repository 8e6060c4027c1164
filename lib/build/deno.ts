/**
 * Runs `deno` for the steps of a build.
 *
 * @module
 */

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

/**
 * Programs that a bench or a test starts.
 *
 * @module
 */

/**
 * Where programs are looked for: PATH, and the directories of those for root, which
 * the PATH of another user lacks.
 */
export const DIRS: readonly string[] = (Deno.env.get("PATH") ?? "/usr/bin:/bin")
  .split(":")
  .concat("/usr/local/sbin", "/usr/sbin", "/sbin");

/** The path of a program, undefined if it is not installed. */
export function findInstalled(name: string): string | undefined {
  if (name.includes("/")) return name;
  return DIRS.map((dir) => `${dir}/${name}`).find((path) => {
    try {
      const { isFile, mode } = Deno.statSync(path);
      return isFile && ((mode ?? 0) & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}

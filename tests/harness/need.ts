/**
 * Tests that need something of the machine: a program, or root.
 *
 * @module
 */

const SYSTEM_DIRS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Where a program is, looked for on PATH and in the system's own directories. */
export function findProgram(name: string): string | undefined {
  const dirs = (Deno.env.get("PATH") ?? "").split(":").concat(SYSTEM_DIRS);
  for (const dir of dirs) {
    try {
      const path = `${dir}/${name}`;
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** The path of a program that the test has named in its needs. */
export function programPath(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

/** What a test cannot do without. */
export interface Needs {
  /** Names of programs. */
  readonly programs?: readonly string[];
  /** Whether it mounts, binds low ports or changes owners. */
  readonly root?: boolean;
  /** Anything else: why the test cannot run here, undefined where it can. */
  readonly obstacle?: () => string | undefined;
  /**
   * What the kernel does not have, or does not allow here. No package brings
   * that, so the test is skipped by name even with CI=true.
   */
  readonly kernel?: () => string | undefined;
}

/** One line that says what is missing, undefined where nothing is. */
function missing({ programs = [], root = false, obstacle }: Needs) {
  const absent = programs.filter((name) => findProgram(name) === undefined);
  if (absent.length > 0) return `not installed: ${absent.join(", ")}`;
  if (root && Deno.uid() !== 0) return "needs root";
  return obstacle?.();
}

/**
 * Registers an end-to-end test. Where something that it needs is missing it is
 * skipped with a line that says so, except with CI=true, where it fails unless
 * it is the kernel's.
 */
export function e2e(
  name: string,
  needs: Needs,
  run: (t: Deno.TestContext) => Promise<void> | void,
): void {
  const lack = missing(needs) ?? needs.kernel?.();
  const fatal = Deno.env.get("CI") === "true" && missing(needs) !== undefined;
  if (lack !== undefined && !fatal) console.log(`skipped: ${name}: ${lack}`);
  Deno.test({
    name,
    ignore: lack !== undefined && !fatal,
    fn: async (t) => {
      if (lack !== undefined) throw new Error(lack);
      await run(t);
    },
  });
}

/**
 * Directories that last as long as a test.
 *
 * @module
 */

/** A directory that is gone when the test is over. */
export function temporary(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "greylist-test-" });
  return {
    path,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

/** The descriptors of this process whose link is `target`. */
export function descriptors(target: RegExp): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const link = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (target.test(link)) found.push(Number(name));
    } catch {
      // That of the directory, which is closed again.
    }
  }
  return found;
}

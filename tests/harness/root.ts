/**
 * The directory of one run of the tests. Everything that they write is below
 * it, and it is gone when the run is over, however that ends.
 *
 * @module
 */

/** Absolute, the same for all test files of a run; others may look inside. */
export const ROOT: string = makeRoot();

function makeRoot(): string {
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  const path = `${parent}/greylist-e2e-${Deno.pid}`;
  try {
    Deno.mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return path;
    throw error;
  }
  // A test file cannot know that it is the last one, so somebody else waits
  // for the end of this process; its own children end with it.
  new Deno.Command("setsid", {
    args: [
      "--fork",
      "sh",
      "-c",
      'tail --pid="$1" -f /dev/null; exec rm -rf "$2"',
      "greylist-e2e-cleaner",
      String(Deno.pid),
      path,
    ],
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return path;
}

/**
 * Makes a directory below {@linkcode ROOT}, this user's and without what it held
 * before.
 *
 * @returns its path
 */
export function emptyDir(name: string, mode = 0o755): string {
  const path = `${ROOT}/${name}`;
  Deno.mkdirSync(path, { recursive: true });
  for (const { name } of Deno.readDirSync(path)) {
    Deno.removeSync(`${path}/${name}`, { recursive: true });
  }
  Deno.chmodSync(path, mode);
  Deno.chownSync(path, Deno.uid(), Deno.gid());
  return path;
}

/**
 * Writes a file below {@linkcode ROOT}. Another may run or read it meanwhile: it
 * meets all of it as it was or all of it as it is, and no "Text file busy".
 *
 * @returns its path
 */
export function writeFile(
  name: string,
  content: string | Uint8Array,
  mode = 0o644,
): string {
  const path = `${ROOT}/${name}`;
  const dir = path.slice(0, path.lastIndexOf("/"));
  Deno.mkdirSync(dir, { recursive: true });
  const fresh = `${dir}/.fresh`;
  if (typeof content === "string") Deno.writeTextFileSync(fresh, content);
  else Deno.writeFileSync(fresh, content);
  Deno.chmodSync(fresh, mode);
  Deno.renameSync(fresh, path);
  return path;
}

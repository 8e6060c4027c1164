/**
 * The directory of one test file. Everything that its tests write is below it. It
 * is removed when the process of the tests ends, however that happens.
 *
 * @module
 */

import type { Path } from "../../lib/config.ts";

const TESTS = new URL("../", import.meta.url).href;

/**
 * The name of the directory: the same in each run, since the binaries, in which
 * its path is compiled, are kept from one run to the next.
 */
const NAME = Deno.mainModule.startsWith(TESTS)
  ? Deno.mainModule.slice(TESTS.length).replace(/_test\.ts$/, "")
    .replaceAll("/", "-")
  : `${Deno.pid}`;

/** Absolute; programs of other users may look inside. */
export const ROOT: string = makeRoot();

/** Where the entries of every binary are. */
export const BASE: Path = `${ROOT}/base` as Path;
/** The controlDir of every binary. */
export const CONTROL: Path = `${ROOT}/control` as Path;
/** Where most binaries log to. */
export const LOG: Path = `${ROOT}/log/greylist.log` as Path;

function makeRoot(): string {
  const parent = `${
    Deno.env.get("TMPDIR") ?? "/tmp"
  }/greylist-e2e-${Deno.uid()}`;
  Deno.mkdirSync(parent, { recursive: true, mode: 0o755 });
  const { uid } = Deno.lstatSync(parent);
  if (uid !== Deno.uid()) throw new Error(`${parent}: belongs to uid ${uid}`);
  // The second and third are for other runs of the same tests.
  for (let i = 1;; i++) {
    const path = `${parent}/${NAME}${i === 1 ? "" : `.${i}`}`;
    if (take(path)) return path;
  }
}

/** Makes the directory, unless a process that is alive has done so. */
function take(path: string): boolean {
  try {
    Deno.mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (!isAbandoned(path)) return false;
    // Renamed first, since only one of two processes can do that.
    const old = `${path}.old-${Deno.pid}`;
    try {
      Deno.renameSync(path, old);
      Deno.mkdirSync(path, { mode: 0o755 });
    } catch {
      return false;
    }
    new Deno.Command("rm", { args: ["-rf", old] }).outputSync();
  }
  Deno.writeTextFileSync(`${path}/.owner`, `${Deno.pid}`);
  // A test cannot know that it is the last one, so another process waits for the
  // end of this process; its own children end with it.
  new Deno.Command("setsid", {
    args: [
      "--fork",
      "sh",
      "-c",
      'tail --pid="$1" -f /dev/null; [ "$(cat "$2/.owner")" = "$1" ] || exit; ' +
      'mv "$2" "$2.old-$1" && exec rm -rf "$2.old-$1"',
      "greylist-e2e-cleaner",
      String(Deno.pid),
      path,
    ],
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).outputSync();
  return true;
}

/** Whether the process that made the directory has ended. */
function isAbandoned(path: string): boolean {
  let pid: string;
  try {
    pid = Deno.readTextFileSync(`${path}/.owner`);
  } catch {
    return false; // The owner is about to write its id, or to remove the directory.
  }
  try {
    return !Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return true;
  }
}

/**
 * Makes an empty directory of this user below {@linkcode ROOT}, and removes what
 * it held before.
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
 * Writes a file below {@linkcode ROOT} in one step. A process that runs or reads it
 * meanwhile finds the whole old or the whole new file, and no "Text file busy".
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

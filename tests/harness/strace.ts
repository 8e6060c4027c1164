/**
 * The system calls of a program, observed and changed by strace(1).
 *
 * @module
 */

import { programPath } from "./need.ts";
import { childrenOf, waitFor } from "./process.ts";
import { emptyDir, ROOT, writeFile } from "./root.ts";

/** A file that is not there: calls on it may be slow without an effect. */
export const ABSENT = `${ROOT}/absent`;

/** The default of storeTimeout, in seconds. */
export const STORE_TIMEOUT = 2;

/** One call that names a file. */
export interface Call {
  /** Such as `openat`. */
  readonly name: string;
  /** All that stands between the parentheses. */
  readonly args: string;
  /** The paths among them, absolute if a directory comes first. */
  readonly paths: readonly string[];
  /** Such as `3`, or `-1 ENOENT (No such file or directory)`. */
  readonly result: string;
}

/** A command in front of a program that records the program's file calls. */
export interface Trace {
  readonly before: readonly string[];
  /** The calls of the program itself, not of what it became in the end. */
  calls(): Call[];
}

/** Records all calls that take a file name. */
export function traceFiles(name: string): Trace {
  const dir = emptyDir(`strace/${name}`, 0o777);
  return {
    before: [
      programPath("strace"),
      // A file for each thread, so that no call is cut in two by another's.
      ...["-ff", "-qq", "-y", "-s", "4096", "-e", "trace=%file"],
      ...["-e", "signal=none", "-o", `${dir}/calls`],
    ],
    calls: () =>
      [...Deno.readDirSync(dir)].flatMap(({ name }) =>
        ownCalls(Deno.readTextFileSync(`${dir}/${name}`))
      ),
  };
}

function ownCalls(text: string): Call[] {
  const calls: Call[] = [];
  for (const line of text.split("\n")) {
    const match = /^(\w+)\((.*)\) += (.*)$/.exec(line);
    if (match === null) continue;
    const [, name, args, result] = match;
    // The first execve starts the program, the next one is what it becomes.
    if (name === "execve" && result === "0" && calls.length > 0) break;
    calls.push({ name, args, paths: pathsOf(args), result });
  }
  return calls;
}

/** `AT_FDCWD</cwd>, "a"` and `15</dir>, "a"` are paths below that directory. */
function pathsOf(args: string): string[] {
  // The result of readlink, in a buffer, is no path that the program named.
  const paths: string[] = [];
  const pattern = /(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g;
  for (const [, dir, path] of args.matchAll(pattern)) {
    if (path.startsWith("/") || dir === undefined) paths.push(path);
    else paths.push(path === "" ? dir : `${dir}/${path}`);
  }
  return paths;
}

/**
 * The command in front of a program that makes one of its calls fail for one file.
 *
 * @param call its name
 * @param error such as `EIO`
 */
export function failing(path: string, call: string, error: string): string[] {
  return tampering(path, call, `error=${error}`);
}

/**
 * The command in front of a program whose call is made a minute late, or at
 * {@linkcode release}. A test that waits for {@linkcode Late.reached} has until then
 * to change things.
 *
 * @param call its name; the calls of statx(2) are made at once
 */
export function delaying(path: string, call: string): Late {
  const output = writeFile(`strace/late${++count}`, "", 0o666);
  return {
    before: [
      programPath("strace"),
      ...["-f", "-qq", "-o", output, "-P", path, "-e", `trace=statx,${call}`],
      ...["-e", `inject=${call}:delay_enter=60000000:when=1`],
    ],
    reached: async () => {
      await waitFor(
        `statx of ${path}`,
        () => Deno.readTextFileSync(output).includes("statx("),
      );
    },
  };
}

/**
 * Makes the calls that are late go on at once: ends the strace(1) in front of each
 * program that a super-server has started.
 */
export function release(server: { readonly pid: number }): void {
  for (const pid of childrenOf(server.pid)) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      // It has ended meanwhile.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

let count = 0;

/** A program whose call is late. */
export interface Late {
  readonly before: readonly string[];
  /** Waits until statx(2) has looked at the file. */
  reached(): Promise<void>;
}

/** Like {@linkcode failing}, but SIGKILL ends the program at the call. */
export function killedAt(path: string, call: string): string[] {
  return tampering(path, call, "signal=KILL");
}

function tampering(path: string, call: string, how: string): string[] {
  return [
    programPath("strace"),
    ...["-f", "-qq", "-o", "/dev/null", "-P", path],
    ...["-e", `trace=${call}`, "-e", `inject=${call}:${how}`],
  ];
}

/** The command in front of a program that makes one of its calls always fail. */
export function denying(call: string, error: string): string[] {
  return always(call, `error=${error}`);
}

/** Like {@linkcode denying}, and another call is delayed, in seconds. */
export function denyingAndSlowing(
  [denied, error]: readonly [string, string],
  [slow, seconds]: readonly [string, number],
): string[] {
  return [
    programPath("strace"),
    ...["-f", "-qq", "-o", "/dev/null", "-e", `trace=${denied},${slow}`],
    ...["-e", `inject=${denied}:error=${error}`],
    ...["-e", `inject=${slow}:delay_enter=${seconds * 1e6}`],
  ];
}

/** Like {@linkcode denying}, but each call is delayed, in seconds. */
export function slowing(call: string, seconds: number): string[] {
  return always(call, `delay_enter=${seconds * 1e6}`);
}

/**
 * Like {@linkcode slowing}, but the delay comes after the call, and the process
 * that was started is the program's, not strace's.
 *
 * @param path without it, the call is slow for every file
 */
export function lingering(
  call: string,
  seconds: number,
  path?: string,
): string[] {
  const only = path === undefined ? [] : ["-P", path];
  return always(call, `delay_exit=${seconds * 1e6}`, ["-D", ...only]);
}

/** Like {@linkcode slowing}, for `calls` (names with commas) on some paths. */
export function slowingAt(
  paths: readonly string[],
  calls: string,
  seconds: number,
): string[] {
  return [
    programPath("strace"),
    ...["-f", "-qq", "-o", "/dev/null"],
    ...paths.flatMap((path) => ["-P", path]),
    ...["-e", `trace=${calls}`],
    ...["-e", `inject=${calls}:delay_enter=${seconds * 1e6}`],
  ];
}

function always(call: string, how: string, options: string[] = []): string[] {
  return [
    programPath("strace"),
    ...options,
    ...["-f", "-qq", "-o", "/dev/null"],
    ...["-e", `trace=${call}`, "-e", `inject=${call}:${how}`],
  ];
}

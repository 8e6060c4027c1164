/**
 * Access to files, and the search for programs.
 *
 * @module
 */

import { C } from "./constants.ts";
import { keeping } from "./file_task.ts";
import { cString, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int access(const char *pathname, int mode);
  access: { parameters: ["buffer", "i32"], result: "i32" },
  access_later: {
    name: "access",
    parameters: ["buffer", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // char *getenv(const char *name);
  getenv: { parameters: ["buffer"], result: "pointer" },
});

const MODES = {
  exist: C.F_OK,
  execute: C.X_OK,
  write: C.W_OK,
  read: C.R_OK,
};

/**
 * Whether this user may do something with a file (access(2)).
 *
 * @param how the kinds of access, all of them needed; `exist` asks only whether
 * the file exists
 */
export function mayAccess(
  path: string,
  ...how: readonly (keyof typeof MODES)[]
): boolean {
  const mode = how.reduce((bits, name) => bits | MODES[name], 0);
  return libc().access(cString(path), mode) === 0;
}

/**
 * Finds a program as execvp(3) does.
 *
 * @returns its path, undefined if there is none that can be executed
 */
export function findProgram(name: string): string | undefined {
  return placesOf(name).find(isExecutable);
}

/**
 * {@linkcode findProgram} in another thread, because a disk may hang. PATH is the
 * one at the time of the call.
 */
export async function findProgramLater(
  name: string,
): Promise<string | undefined> {
  for (const path of placesOf(name)) {
    if (
      await succeedsLater(path, C.X_OK) &&
      !await succeedsLater(`${path}/.`, C.F_OK)
    ) return path;
  }
  return undefined;
}

async function succeedsLater(path: string, mode: number): Promise<boolean> {
  const bytes = cString(path);
  return await keeping(bytes, libc().access_later(bytes, mode)) === 0;
}

/** The paths that execvp(3) tries, in its order. */
function placesOf(name: string): string[] {
  if (name.includes("/")) return [name];
  const value = libc().getenv(cString("PATH"));
  const path = value === null
    ? "/bin:/usr/bin"
    : Deno.UnsafePointerView.getCString(value);
  return path.split(":").map((dir) => `${dir || "."}/${name}`);
}

/** Whether a path is an executable file. Only a directory has a `.` in it. */
function isExecutable(path: string): boolean {
  return mayAccess(path, "execute") && !mayAccess(`${path}/.`, "exist");
}

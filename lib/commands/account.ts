/**
 * What an administrator's check asks the system: users, access, limits.
 *
 * @module
 */

import { lazily } from "../system/lazily.ts";
import { check as checked, cString, LIBC } from "../system/libc.ts";
import { becomeUser, findUser, userId } from "../system/user.ts";
import { UsageError } from "./command.ts";

/** Resources of getrlimit(2) on Linux, and of `softlimit`. */
const RLIMIT_DATA = 2;
const RLIMIT_AS = 9;

/** What access(2) can be asked for; F_OK is only whether it is there. */
export const F_OK = 0;
/** See {@linkcode F_OK}. */
export const X_OK = 1;
/** See {@linkcode F_OK}. */
export const W_OK = 2;

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int access(const char *pathname, int mode);
    access: { parameters: ["buffer", "i32"], result: "i32" },
    // char *getenv(const char *name);
    getenv: { parameters: ["buffer"], result: "pointer" },
    // int getrlimit(int resource, struct rlimit *rlim);
    getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  }).symbols
);

/**
 * Becomes a user for good, so that whatever is tried next is tried with that
 * user's rights.
 *
 * @throws {UsageError} where there is no such user, or only root may do it
 */
export function workAs(name: string): void {
  const user = findUser(name);
  if (user === undefined) {
    throw new UsageError(`--user=${name}: expected the name of a user`);
  }
  if (user.uid === userId()) return;
  if (userId() !== 0) {
    throw new UsageError(`--user=${name}: expected to be run by root`);
  }
  becomeUser(user);
}

/** Whether this user may do something with a file; see access(2). */
export function mayAccess(path: string, how: number): boolean {
  return libc().access(cString(path), how) === 0;
}

/**
 * Finds a program as execvp(3) does.
 *
 * @returns its path, undefined where there is none that can be executed
 */
export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return isExecutable(name) ? name : undefined;
  const value = libc().getenv(cString("PATH"));
  const path = value === null
    ? "/bin:/usr/bin"
    : Deno.UnsafePointerView.getCString(value);
  return path.split(":").map((dir) => `${dir || "."}/${name}`)
    .find(isExecutable);
}

/** A directory may be "executed" too, and only it has a `.` in it. */
function isExecutable(path: string): boolean {
  return mayAccess(path, X_OK) && !mayAccess(`${path}/.`, F_OK);
}

/** Limits in bytes, undefined where there is none. */
export function memoryLimits(): { data?: bigint; addressSpace?: bigint } {
  return {
    data: limit(RLIMIT_DATA),
    addressSpace: limit(RLIMIT_AS),
  };
}

function limit(resource: number): bigint | undefined {
  // struct rlimit: soft and hard limit; all bits are "unlimited".
  const limits = new BigUint64Array(2);
  checked(
    "getrlimit",
    libc().getrlimit(resource, new Uint8Array(limits.buffer)),
  );
  return limits[0] === 0xffff_ffff_ffff_ffffn ? undefined : limits[0];
}

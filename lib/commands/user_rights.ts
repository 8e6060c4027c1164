/**
 * The user that a command works as, and the owner of its files.
 *
 * @module
 */

import { existingState, type State } from "../system/statx.ts";
import { becomeUser, findGroup, findUser, userId } from "../system/user.ts";
import { UsageError } from "./command.ts";
import { fileError } from "./files.ts";

/**
 * Becomes a user for good, so that everything from now on is tried with the rights
 * of that user.
 *
 * @param group in place of the user's primary group, if there is such a group
 * @throws {UsageError} if there is no such user, or this process is not root
 */
export function workAs(name: string, group?: string): void {
  const user = findUser(name);
  if (user === undefined) {
    throw new UsageError(`--user=${name}: expected the name of a user`);
  }
  if (user.uid === userId()) return;
  if (userId() !== 0) {
    throw new UsageError(`--user=${name}: expected to be run by root`);
  }
  const gid = group === undefined ? undefined : findGroup(group);
  becomeUser({ ...user, gid: gid ?? user.gid });
}

/**
 * The user that has to own new entries. A connection cannot write to the entries of
 * another user.
 *
 * @returns the owner of the base directory if this process is root; undefined if
 * the process runs as that owner
 * @throws {UsageError} if there is no such directory, or if the process runs as
 * neither
 * @throws {TemporaryError} if the file system fails
 */
export function baseDirOwner(
  dir: string,
): { uid: number; gid: number } | undefined {
  let state: State;
  try {
    state = existingState(dir);
  } catch (error) {
    throw fileError(`baseDir ${dir}`, error);
  }
  const { kind, uid, gid } = state;
  if (kind !== "a directory") {
    throw new UsageError(`baseDir ${dir}: expected a directory`);
  }
  const self = userId();
  if (uid === self) return undefined;
  if (self === 0) return { uid, gid };
  throw new UsageError(
    `baseDir ${dir}: belongs to uid ${uid}: expected to be run by that user ` +
      "or by root",
  );
}

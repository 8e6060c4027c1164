/**
 * Working as another user, as an administrator's check does.
 *
 * @module
 */

import { becomeUser, findUser, userId } from "../system/user.ts";
import { UsageError } from "./command.ts";

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

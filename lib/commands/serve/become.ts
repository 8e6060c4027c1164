/**
 * `greylist serve`: the user that it becomes.
 *
 * @module
 */

import type { ServeConfig } from "../../serve/config.ts";
import {
  becomeUser,
  findGroup,
  findUser,
  groupId,
  userId,
} from "../../system/user.ts";
import { UsageError } from "../command.ts";

/**
 * Finds the user that `serve` is to become.
 *
 * @returns a function that becomes that user
 * @throws {UsageError} if root starts `serve` and no user is given, if there is no
 * such user or group, or if only root could become that user or take that group
 */
export function userOf(serve: ServeConfig): () => void {
  const root = userId() === 0;
  const name = serve.user;
  if (name === undefined) {
    if (!root) return () => {};
    throw new UsageError(
      "greylist.config.ts: serve.user: not given: expected the user that " +
        'PROGRAM is to run as ("root" if that is meant)',
    );
  }
  const user = findUser(name);
  if (user === undefined) {
    throw new UsageError(
      `greylist.config.ts: serve.user: ${JSON.stringify(name)}: expected the ` +
        "name of a user",
    );
  }
  const gid = serve.group === undefined ? user.gid : findGroup(serve.group);
  if (gid === undefined) {
    throw new UsageError(
      `greylist.config.ts: serve.group: ${JSON.stringify(serve.group)}: ` +
        "expected the name of a group",
    );
  }
  if (root) return () => becomeUser({ ...user, gid });
  if (user.uid === userId()) {
    if (serve.group === undefined || gid === groupId()) return () => {};
    throw new UsageError(
      `greylist.config.ts: serve.group: ${JSON.stringify(serve.group)}: ` +
        "expected to be started by root, or with that group",
    );
  }
  throw new UsageError(
    `greylist.config.ts: serve.user: ${JSON.stringify(name)}: expected to be ` +
      "started by root, or by that user",
  );
}

/**
 * Finds the user after an upgrade. The process already has the user that the image
 * before this one became. If the configured user is wrong, the program reports it
 * and goes on: its end would close the listening sockets that were handed over.
 *
 * @returns a function that becomes the user, and the problem, if there is one
 */
export function userAfterUpgrade(
  serve: ServeConfig,
): { become: () => void; problem?: string } {
  try {
    return { become: userOf(serve) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { become: () => {}, problem: error.message };
  }
}

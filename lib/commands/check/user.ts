/**
 * `greylist check`: the user whose rights the looks are made with.
 *
 * @module
 */

import { mayAccess } from "../../system/access.ts";
import { userId } from "../../system/user.ts";
import { type Finding, fix, ok, warn } from "./finding.ts";

/**
 * Root may do everything, so what root sees says nothing about a service that
 * runs as another user.
 *
 * @param name the user of --user
 * @param uid the user id that this process has now
 * @param serviceUser the user that `serve` becomes
 */
export function lookingAs(
  name: string | undefined,
  uid: number,
  serviceUser: string | undefined,
): Finding {
  const who = name === undefined ? `uid ${uid}` : `${name} (uid ${uid})`;
  if (uid !== 0 || name === "root" || serviceUser === "root") {
    return ok(`looking as ${who}`);
  }
  return warn(
    `looking as root, which may do anything: give --user=${
      serviceUser ?? "NAME"
    }, the user that the service runs as`,
  );
}

/**
 * The finding about this binary: a user that may execute it but not read it gets the
 * message of Deno's runtime, which cannot find the program in it.
 *
 * @param path see `binaryPath`
 * @param isServes whether the user is the one that `serve` becomes: root starts that,
 * and only SIGUSR2 needs the file later
 */
export function ownBinary(
  path: string | Error,
  isServes: boolean,
): Finding[] {
  if (path instanceof Error || mayAccess(path, "read", "execute")) return [];
  const find = isServes ? warn : fix;
  return [find(
    `${path}: this binary: not readable and executable for uid ${userId()}: ` +
      "give it mode 0755, below directories that this user can enter",
  )];
}

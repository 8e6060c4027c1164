/**
 * `greylist check`: the user whose rights the looks are made with.
 *
 * @module
 */

import { type Finding, ok, warn } from "./finding.ts";

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

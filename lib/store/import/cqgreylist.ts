/**
 * cqgreylist 0.2: an empty file for each address, in a directory named after
 * the first number of an IPv4 address, `192/192.0.2.17`. An IPv6 address has no
 * such number for inet_aton(3), and is in the directory `0`. mtime is the first
 * contact. cqgreylist writes nothing when it lets a client in, so its files do not
 * say whether a client was ever accepted.
 *
 * @module
 */

import { parseAddress, width } from "../../address.ts";
import type { DirectoryFormat } from "./directory.ts";

/** The files of cqgreylist. */
export const cqgreylist: DirectoryFormat = {
  network([dir, name]) {
    if (name === undefined) return undefined;
    if (dir !== (name.includes(":") ? "0" : name.split(".", 1)[0])) {
      return undefined;
    }
    const address = parseAddress(name);
    return address && { ...address, prefix: width(address.family) };
  },
  holdsEntries: (path) =>
    path.length === 1 && /^(0|[1-9]\d{0,2})$/.test(path[0]),
  lastAccepted: () => undefined,
};

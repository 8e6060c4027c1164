/**
 * qgreylist 0.3: one directory of empty files. A file is named after a /24,
 * with a dot at the end (`192.0.2.`, the default), or after a whole address.
 * mtime is the first contact. atime is the last accepted connection; if there was
 * none, atime equals mtime.
 *
 * @module
 */

import { parseAddress, parseNetwork, width } from "../../address.ts";
import type { DirectoryFormat } from "./directory.ts";

/** The files of qgreylist. */
export const qgreylist: DirectoryFormat = {
  network([name]) {
    if (name.endsWith(".")) return parseNetwork(`${name}0/24`);
    const address = parseAddress(name);
    return address && { ...address, prefix: width(address.family) };
  },
  // In its directory may be entries of greylist, whose size is the count.
  makesEmptyFiles: true,
  holdsEntries: () => false,
  lastAccepted: (mtime, atime) => atime > mtime ? atime : undefined,
};

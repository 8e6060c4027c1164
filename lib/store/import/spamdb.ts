/**
 * OpenBSD's spamd, as spamdb(8) lists its database: one entry a line, fields
 * with `|` between them, times in seconds since 1970.
 *
 *     WHITE|ip|||first|pass|expire|block|pass
 *     GREY|ip|helo|from|to|first|pass|expire|block|pass
 *
 * Older versions have no HELO in a GREY line.
 *
 * @module
 */

import { parseAddress, width } from "../../address.ts";
import type { Found } from "./found.ts";

/**
 * How long after its last use spamd(8) keeps a WHITE entry, in seconds: 36 days,
 * unless -G says otherwise. spamd stores the sum of the two, the expiry.
 */
const WHITE_EXPIRES = 36 * 86400;

/** A {@linkcode ReadLine} for the output of spamdb. */
export function readSpamdbLine(line: string): Found | "other" | undefined {
  const fields = line.split("|");
  const [type, ip] = fields;
  // Spam traps, which are no clients, and clients that spamd has trapped.
  if (type === "TRAPPED" || type === "SPAMTRAP") {
    return fields.length > 1 ? "other" : undefined;
  }
  if (type !== "WHITE" && type !== "GREY" || fields.length < 9) {
    return undefined;
  }
  const address = parseAddress(ip);
  // From the end: a mail address in a GREY line may have a | in it.
  const last = fields.slice(-5);
  if (
    address === undefined || !last.every((field) => /^\d{1,15}$/.test(field))
  ) {
    return undefined;
  }
  const network = { ...address, prefix: width(address.family) };
  const [firstSeen, passed, expires, , accepted] = last.map(Number);
  return type === "GREY"
    ? { network, firstSeen, lastAccepted: undefined, accepted: 0 }
    : {
      network,
      firstSeen,
      lastAccepted: Math.max(passed, expires - WHITE_EXPIRES),
      accepted: Math.max(1, accepted),
    };
}

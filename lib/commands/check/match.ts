/**
 * `greylist check`: prefix lengths with which greylisting stops nobody, or keeps real
 * senders out.
 *
 * @module
 */

import type { PrefixLengths } from "../../address.ts";
import { type Finding, warn } from "./finding.ts";

/** The shortest prefixes that are probably meant: an IPv6 /32 is a whole provider. */
const SHORTEST = { ipv4: 16, ipv6: 32 } as const;

/** The longest for IPv6: a host may choose the rest (RFC 4291 section 2.5.4). */
const LONGEST = 64;

/** The findings about `match`; none if nothing is wrong. */
export function checkMatch(match: PrefixLengths): Finding[] {
  const findings: Finding[] = [];
  for (const field of ["ipv4", "ipv6"] as const) {
    const prefix = match[field];
    const least = SHORTEST[field];
    if (prefix >= least) continue;
    findings.push(warn(
      `match.${field} ${prefix}: all of a /${prefix} is one client, and one ` +
        `retry lets it in: is that meant? (expected ${least} or more)`,
    ));
  }
  if (match.ipv6 > LONGEST) {
    findings.push(warn(
      `match.ipv6 ${match.ipv6}: a sender that retries from another address ` +
        `of its /${LONGEST} is deferred again: is that meant? ` +
        `(expected ${LONGEST} or less)`,
    ));
  }
  return findings;
}

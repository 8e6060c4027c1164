import { assertEquals } from "@std/assert";
import { formatNetwork } from "../../../lib/address.ts";
import { readSpamdbLine } from "../../../lib/store/import/spamdb.ts";

const DAY = 86400;
const PASS = 1_700_000_000;

/** Network, first contact, last accepted mail, count. */
type Row = [string, number, number | undefined, number];

const LINES: Record<string, Row | "other" | undefined> = {
  // Last used ten days after it passed.
  [`WHITE|192.0.2.1|||1699998500|${PASS}|${PASS + 46 * DAY}|3|12`]: [
    "192.0.2.1/32",
    1699998500,
    PASS + 10 * DAY,
    12,
  ],
  // Not used since.
  [`WHITE|2001:db8::1|||1699998500|${PASS}|${PASS + 36 * DAY}|1|0`]: [
    "2001:db8::1/128",
    1699998500,
    PASS,
    1,
  ],
  // Under spamd -G 25:4:100 it expires sooner; it was let in then all the same.
  [`WHITE|192.0.2.2|||1699998500|${PASS}|${PASS + 4 * DAY}|1|0`]: [
    "192.0.2.2/32",
    1699998500,
    PASS,
    1,
  ],
  "GREY|192.0.2.3|mx.example|<a@example.org>|<b@example.net>|1699998500|1700012900|1700012900|2|0":
    ["192.0.2.3/32", 1699998500, undefined, 0],
  // As older versions wrote it.
  "GREY|192.0.2.3|<a@example.org>|<b@example.net>|1699998500|1700012900|1700012900|2|0":
    ["192.0.2.3/32", 1699998500, undefined, 0],
  // | is allowed in a local part (RFC 5321 section 4.1.2).
  "GREY|192.0.2.3|mx|<a|b@example.org>|<b@example.net>|1699998500|1|2|2|0": [
    "192.0.2.3/32",
    1699998500,
    undefined,
    0,
  ],
  "TRAPPED|192.0.2.4|1700000000": "other",
  "SPAMTRAP|trap@example.org": "other",
  "TRAPPED": undefined,
  "WHITE|192.0.2.1": undefined,
  "WHITE|192.0.2|||1|2|3|4|5": undefined,
  "WHITE|192.0.2.1|||1|2|x|4|5": undefined,
  "WHITE|192.0.2.1|||1|2|3x|4|5": undefined,
  "WHITE|192.0.2.1||1|2|3|4|5": undefined,
  "WHITE|192.0.2.1|||1|-2|3|4|5": undefined,
  "BLACK|192.0.2.1|||1|2|3|4|5": undefined,
  "{}": undefined,
};

for (const [line, expected] of Object.entries(LINES)) {
  Deno.test(`spamdb: ${line}`, () => {
    const found = readSpamdbLine(line);
    assertEquals(
      typeof found === "object"
        ? [
          formatNetwork(found.network),
          found.firstSeen,
          found.lastAccepted,
          found.accepted,
        ]
        : found,
      expected,
    );
  });
}

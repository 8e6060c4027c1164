/**
 * Under sslserver with UCSPI-TLS, descriptors 3 and up lead to the process that
 * speaks TLS: qmail-smtpd needs each of them as it was. tcpserver and a shell that
 * opens such descriptors stand in for sslserver.
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { BASE, clean, compile } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { writeFile } from "../harness/root.ts";
import { burst } from "../harness/smtp.ts";
import { tcpserver } from "../harness/way_in.ts";

/** The ways through the check that end in PROGRAM. */
const WAYS: Record<string, { config: Partial<Config>; known?: true }> = {
  "exempt": { config: { whitelist: { networks: ["127.0.0.0/8"] } } },
  "known": { config: {}, known: true },
  "a check that fails": { config: { baseDir: `${BASE}/none` } },
};

/** Opens the descriptors: for both directions, for reading, for writing. */
const OPENS = `exec 3<>"$0.control" 4<"$0" 5>>"$0.write"
read -r _ <&4
UCSPITLS= SSLCTLFD=3 SSLREADFD=4 SSLWRITEFD=5
export UCSPITLS SSLCTLFD SSLREADFD SSLWRITEFD
exec "$@"
`;

/** Says what the descriptors are: number, object, position and flags. */
const REPORTS = `for n in 3 4 5 6 7; do
  [ -e /proc/$$/fd/$n ] || continue
  echo "$n $(readlink /proc/$$/fd/$n)" $(head -n 2 /proc/$$/fdinfo/$n)
done
echo "$UCSPITLS $SSLCTLFD $SSLREADFD $SSLWRITEFD"
`;

for (const [name, { config, known }] of Object.entries(WAYS)) {
  e2e(
    `UCSPI-TLS: descriptors 3 and up arrive as they were: ${name}`,
    { programs: ["tcpserver"] },
    async () => {
      clean();
      if (known) makeEntry("127.0.0.0_24", 1, 60);
      const binary = await compile(config);
      const before = ["/bin/sh", writeFile("sslserver.sh", OPENS)];
      const next = ["/bin/sh", writeFile("report.sh", REPORTS)];
      const said = [];
      for (const line of [[next[0], next[1]], [binary, ...next]]) {
        const [program, ...rest] = [...before, ...line];
        const what = { binary: program, next: rest };
        await using server = await tcpserver.start(what);
        said.push(await burst(server.port, ""));
      }
      const [alone, behind] = said;
      assertMatch(alone, /^3 .*control pos: 0 flags: \d+2\n4 .* pos: [1-9]/);
      assertMatch(alone, /\n 3 4 5\n$/);
      assertEquals(behind, alone);
    },
  );
}

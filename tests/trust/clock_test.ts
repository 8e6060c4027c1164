import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { age, clientLines, compile, entries } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { bothWays } from "../harness/both_ways.ts";
import {
  assertDeferred,
  assertNext,
  connect,
  empty,
  HOUR,
  NAME,
  STATES,
  YEAR,
} from "../harness/fault.ts";
import { greeter } from "../harness/next_program.ts";
import { writeFile } from "../harness/root.ts";
import { Client } from "../harness/smtp.ts";

// A clock that is wrong, and one that jumps.

/**
 * Under faketime only the program's clock is wrong, while the kernel dates files
 * by the right one, so a year ahead its own new entry looks old to it.
 */
const UNPRUNED: Partial<Config> = { prune: { every: 0 } };

/**
 * Removes what programs under faketime that were killed have left: its names
 * have their process ids in them, and faketime does not begin where it finds
 * its own.
 */
function clearFaketime(): void {
  for (const { name } of Deno.readDirSync("/dev/shm")) {
    const pid = /^(?:sem\.faketime_sem_|faketime_shm_)(\d+)$/.exec(name)?.[1];
    if (pid === undefined || exists(`/proc/${pid}`)) continue;
    try {
      Deno.removeSync(`/dev/shm/${name}`);
    } catch {
      // The file belongs to another user.
    }
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

const JUMPS = { "1 h": HOUR, "1 year": YEAR };

for (const [what, distance] of Object.entries(JUMPS)) {
  for (const [where, jump] of [["ahead", distance], ["back", -distance]]) {
    bothWays(
      `the clock is ${what} ${where}: one wait more at most`,
      {},
      async (way, t) => {
        const binary = await compile(UNPRUNED);
        for (const accepted of [0, 3]) {
          await t.step(`${accepted} times accepted before`, async () => {
            empty();
            makeEntry(NAME, accepted, 10 + Number(jump));
            const first = await connect(binary, [], way);
            const known = accepted > 0;
            const passes = what === "1 h"
              ? known || where === "ahead"
              : known && where === "back";
            if (passes) {
              assertNext(first);
            } else {
              assertDeferred(first, "4.7.1");
              age(NAME, 61);
              assertNext(await connect(binary, [], way));
            }
            const left = passes ? accepted + 1 : 1;
            assertEquals(entries(), { [NAME]: left });
            for (const line of clientLines()) {
              assert(!line.includes(" error "), line);
            }
          });
        }
      },
    );
  }
}

bothWays("under a clock that is wrong all the time (faketime)", {
  programs: ["faketime"],
}, async (way, t) => {
  const binary = await compile(UNPRUNED);
  for (const jump of [HOUR, -HOUR, YEAR, -YEAR]) {
    await t.step(`${jump} s`, async () => {
      const before = [
        "env",
        "NO_FAKE_STAT=1",
        "faketime",
        "-f",
        `${jump > 0 ? "+" : ""}${jump}`,
      ];
      empty();
      clearFaketime();
      assertDeferred(await connect(binary, before, way), "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      // The entry as it would be if the kernel had this clock too.
      STATES.grey();
      age(NAME, -jump);
      assertNext(await connect(binary, before, way));
      assertEquals(entries(), { [NAME]: 1 });
      const lines = clientLines();
      assertEquals(lines.length, 2);
      for (const line of lines) {
        // This shows that faketime was loaded.
        const off = (Date.parse(line.split(" ")[0]) - Date.now()) / 1000 - jump;
        assert(Math.abs(off) < 600, line);
        assert(!line.includes(" error "), line);
      }
    });
  }
});

bothWays("the clock jumps while a client is being deferred (faketime)", {
  programs: ["faketime"],
}, async (way, t) => {
  const binary = await compile(UNPRUNED);
  const clock = writeFile("clock", "+0");
  const before = [
    "env",
    "FAKETIME_NO_CACHE=1",
    `FAKETIME_TIMESTAMP_FILE=${clock}`,
    ...["faketime", "--exclude-monotonic", "-f", "+0"],
    ...["/bin/sh", "-c", 'unset FAKETIME; exec "$@"', "sh"],
  ];
  for (const jump of [HOUR, -HOUR, YEAR, -YEAR]) {
    await t.step(`${jump} s`, async () => {
      empty();
      clearFaketime();
      writeFile("clock", "+0");
      const next = greeter();
      await using server = await way.start({ binary, before, next });
      using client = await Client.connect(server.port);
      assertMatch(await client.reply() ?? "", /^220 /);
      await client.send("HELO a\r\n");
      assertMatch(await client.reply() ?? "", /^250 /);
      writeFile("clock", `${jump > 0 ? "+" : ""}${jump}`);
      await client.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n");
      assertMatch(
        await client.rest(),
        /^250 [^\r]*\r\n451 4\.7\.1 [^\r]*\r\n221 [^\r]*\r\n$/,
      );
      await server.idle();
      assertEquals(entries(), { [NAME]: 0 });
      const [line, ...more] = clientLines();
      const off = (Date.parse(line.split(" ")[0]) - Date.now()) / 1000 - jump;
      assert(Math.abs(off) < 600, line);
      assertEquals(more, []);
    });
  }
});

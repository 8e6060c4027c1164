import { assertEquals } from "@std/assert";
import { content } from "../../../lib/commands/check/base_directory.ts";
import { Listing } from "../../../lib/store/listing.ts";
import { makeEntry } from "../../harness/entry.ts";
import "../../harness/libc.ts";
import { temporary } from "../../harness/temporary.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Listing("/").close();

const DAY = 86400;

Deno.test("check content: entries that are dated ahead of the clock", () => {
  using dir = temporary();
  const look = () =>
    content(dir.path, DAY).map(({ kind, text }) =>
      `${kind} ${text.replace(dir.path, "DIR")}`
    );
  // A clock that is a little ahead, and the program's own bookkeeping.
  makeEntry("192.0.2.0_24", 0, 60 - DAY, dir.path);
  makeEntry(".prune", 0, -365 * DAY, dir.path);
  assertEquals(look(), ["ok 1 entry in it, nothing else"]);
  makeEntry("198.51.100.0_24", 3, -60 - DAY, dir.path);
  assertEquals(look(), [
    "ok 2 entries in it, nothing else",
    "warn 1 entry in DIR is dated more than 24 h ahead of the clock, and not " +
    'removed before that date: if the clock is right, see "Forgetting" in ' +
    "greylist help verdict",
  ]);
  makeEntry("203.0.113.0_24", 0, -365 * DAY, dir.path);
  makeEntry("README", 0, -365 * DAY, dir.path);
  assertEquals(look(), [
    'fix 1 name in DIR that is no entry, such as "README": move them away',
    "warn 2 entries in DIR are dated more than 24 h ahead of the clock, and " +
    'not removed before that date: if the clock is right, see "Forgetting" in ' +
    "greylist help verdict",
  ]);
});

Deno.test("check content: no directory", () => {
  using dir = temporary();
  assertEquals(content(`${dir.path}/none`, DAY), [{
    kind: "fix",
    text: `${dir.path}/none: open: No such file or directory`,
  }]);
});

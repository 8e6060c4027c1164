import { assertEquals, assertMatch } from "@std/assert";
import {
  clock,
  clockFinding,
  secondsAhead,
} from "../../../lib/commands/check/clock.ts";
import { namesIn } from "../../harness/entry.ts";
import "../../harness/libc.ts";
import { temporary } from "../../harness/temporary.ts";

Deno.test("check clock: what counts as a difference", () => {
  assertEquals(secondsAhead(100.5, 100, 101), 0);
  assertEquals(secondsAhead(100, 100, 101), 0);
  assertEquals(secondsAhead(111, 100, 101), 10);
  assertEquals(secondsAhead(90, 100, 101), -10);
});

Deno.test("check clock: more than a quarter of the delay is to be mended", () => {
  const cases: [number, number, string, RegExp | string][] = [
    [0, 60, "ok", "clocks of baseDir and of this host: 0.0 s apart"],
    [15, 60, "ok", "clocks of baseDir and of this host: 15.0 s apart"],
    [-15, 60, "ok", "clocks of baseDir and of this host: 15.0 s apart"],
    [
      15.1,
      60,
      "fix",
      "clock of baseDir: 15.1 s ahead of this host's, more than a quarter of " +
      "timeouts.delay (15 s): keep both by NTP",
    ],
    [
      -600,
      60,
      "fix",
      "clock of baseDir: 600.0 s behind this host's, more than a quarter of " +
      "timeouts.delay (15 s): keep both by NTP",
    ],
    [15.1, 3600, "ok", "clocks of baseDir and of this host: 15.1 s apart"],
    // Without a delay the kernel's own steps are no difference.
    [-0.01, 0, "ok", "clocks of baseDir and of this host: 0.0 s apart"],
  ];
  for (const [ahead, delay, kind, text] of cases) {
    assertEquals(clockFinding(ahead, delay), { kind, text });
  }
});

Deno.test("check clock: the file is gone again", () => {
  const dir = Deno.makeTempDirSync({ prefix: "greylist-clock-" });
  try {
    assertEquals(clock(dir, 60)[0].kind, "ok");
    assertEquals(namesIn(dir), []);
    const [{ kind, text }] = clock(`${dir}/none`, 60);
    assertEquals(kind, "fix");
    assertEquals(text.includes("No such file"), true, text);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("check clock: the time of a file that is made now", () => {
  using dir = temporary();
  const { now } = Date;
  try {
    for (const [shift, where] of [[-3600, "ahead of"], [3600, "behind"]]) {
      Date.now = () => now() + 1000 * Number(shift);
      const [{ kind, text }] = clock(dir.path, 60);
      assertEquals(kind, "fix");
      assertMatch(
        text,
        new RegExp(`: 3(600|59\\d)\\.\\d s ${where} this host's`),
      );
    }
  } finally {
    Date.now = now;
  }
});

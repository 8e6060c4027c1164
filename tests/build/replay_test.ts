/** `deno task replay`: the senders that it plays, and the table in the manual. */

import { assert, assertEquals } from "@std/assert";
import { restamp } from "../../lib/build/replay/log.ts";
import { figuresOf, KINDS, play } from "../../lib/build/replay/senders.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";

const DAY = 86400;

Deno.test("attempts come in the order of their times, each mail as its kind", async () => {
  const seen: [string, number][] = [];
  const mails = await play(KINDS, 2, (address, time) => {
    seen.push([address, time]);
    return false;
  });
  for (const [i, [, time]] of seen.entries()) {
    assert(i === 0 || time >= seen[i - 1][1], `attempt ${i}`);
  }
  for (const kind of KINDS) {
    const octets = kind.networks === "new" ? 1 : Math.ceil(kind.networks / 256);
    const own = seen.filter(([address]) => {
      const octet = Number(address.split(".")[1]) - kind.octet;
      return octet >= 0 && octet < octets;
    });
    const { mails: count, stopped } = figuresOf(mails, kind);
    assertEquals(count, 2 * kind.mailsADay);
    assertEquals(stopped, count, "nothing was let in");
    assertEquals(own.length, count * (1 + kind.retries.length), kind.name);
    const networks = new Set(own.map(([ip]) => ip.replace(/\d+$/, "")));
    const expected = kind.networks === "new" ? count : kind.networks;
    // A sender with more networks than attempts cannot come from all of them.
    if (expected <= own.length) {
      assertEquals(networks.size, expected, kind.name);
    } else assert(networks.size > own.length / 2, kind.name);
    assert(kind.retries.every((time) => time < 5 * DAY), kind.name);
  }
});

Deno.test("each line of the log gets the time of its attempt", () => {
  const real = Date.parse("2026-11-28T12:00:00.000Z");
  const at = (ms: number) => new Date(real + ms).toISOString();
  const text = `${at(-5)} serve on=x\n${at(3)} defer a\n${at(4)} defer b\n` +
    `${at(12)} pass c\n`;
  const attempts = [
    { began: real, time: 60 },
    { began: real + 4, time: 86_400 },
    { began: real + 10, time: 86_401 },
  ];
  assertEquals(
    restamp(text, attempts),
    "2026-01-01T00:00:00.000Z serve on=x\n" +
      "2026-01-01T00:01:00.003Z defer a\n" +
      "2026-01-02T00:00:00.000Z defer b\n" +
      "2026-01-02T00:00:01.002Z pass c\n",
  );
  assertEquals(restamp("", attempts), "");
});

Deno.test("a mail that was let in is not tried again", async () => {
  const single = KINDS.find(({ name }) => name === "single server")!;
  const times: number[] = [];
  const [mail] = await play([{ ...single, mailsADay: 1 }], 1, (_, time) => {
    times.push(time);
    return times.length === 3;
  });
  // qmail: 400 n * n seconds after the first attempt.
  assertEquals(times.map((time) => time - mail.first), [0, 400, 1600]);
  const { atOnce, delayed, delays } = figuresOf([mail], mail.kind);
  assertEquals([atOnce, delayed, delays], [0, 1, [1600]]);
});

Deno.test("a pool that gives up after a day: its mail may never arrive", async () => {
  const kind = KINDS.find(({ name }) => name.endsWith("one day"))!;
  assert(kind.retries.every((time) => time < DAY), "no try after a day");
  // A network is let in if it comes again within a day.
  const seen = new Map<string, number>();
  const mails = await play([kind], 14, (address, time) => {
    const network = address.replace(/\d+$/, "");
    const letIn = time - (seen.get(network) ?? -Infinity) <= DAY;
    seen.set(network, letIn ? Infinity : time);
    return letIn;
  });
  const { stopped, delayed } = figuresOf(mails, kind);
  assert(stopped > 0 && delayed > 0, `${stopped} never, ${delayed} later`);
});

e2e("replay: the page has the table that the task prints", {}, async () => {
  const page = Deno.readTextFileSync(`${PROJECT}lib/manual/replay.md`);
  const shown = /^```replay\n([^]*?)^```$/m.exec(page)?.[1];
  const { code, stdout, stderr } = await run(
    [Deno.execPath(), "task", "replay"],
    // It compiles programs.
    { cwd: PROJECT, patience: 1200 },
  );
  assertEquals([code, stdout], [0, shown], stderr);
});

e2e("replay: what it is asked wrongly is one line", {}, async () => {
  for (
    const [arg, message] of [
      ["now", "now: expected an option, if anything"],
      ["--fast", "--fast: unknown option"],
      // Tried before the play, which takes minutes.
      ["--logs=/proc", "--logs: /proc: No such file or directory"],
      ["--logs=/dev/null", "--logs: /dev/null: File exists"],
    ]
  ) {
    const { code, stdout, stderr } = await run(
      [Deno.execPath(), "task", "replay", arg],
      { cwd: PROJECT },
    );
    assertEquals([code, stdout], [100, ""]);
    assert(stderr.endsWith(`greylist replay: ${message}\n`), stderr);
  }
});

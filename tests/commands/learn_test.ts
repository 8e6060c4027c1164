import { assert, assertEquals, assertMatch } from "@std/assert";
import { clean, compile, entries } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import {
  accepted,
  DAY,
  delivered,
  entry,
  follow,
  HOUR,
  learn,
  NOW,
  success,
  syslogStamp,
  tai64n,
} from "../harness/learn_command.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import { BASE, ROOT, writeFile } from "../harness/root.ts";

const LOG = [
  `${tai64n(3 * HOUR)} new msg 4711\n`,
  accepted("203.0.113.9", 3 * HOUR),
  accepted("203.0.113.200", 2 * HOUR),
  accepted("2001:db8::25", HOUR),
  accepted("198.51.100.1", 40 * DAY),
  accepted("192.0.2.1", -DAY),
  `${tai64n(60)} starting delivery 3: msg 4712 to local bob\n`,
  `${tai64n(60)} ${success("192.0.3.1")}`,
  // Its start is not in the log.
  `${tai64n(60)} ${success("192.0.5.1")}`,
  `${tai64n(60)} delivery 4: deferral: 192.0.4.1_failed_on_DATA_command./\n`,
].join("");

e2e("learn: networks of hosts that accepted mail", {}, async () => {
  const file = writeFile("send/current", LOG);
  const plan = "5 deliveries: would make 3 networks known, renew 0\n";
  clean();
  assertEquals(await learn(["--dry-run", file]), {
    code: 0,
    stdout: plan,
    stderr: "",
  });
  assertEquals(entries(), {});
  for (
    const [args, input] of [[[file], ""], [[], LOG], [["-"], LOG]] as const
  ) {
    clean();
    assertEquals(await learn([...args], { input }), {
      code: 0,
      stdout: plan.replace("would make", "made").replace("renew", "renewed"),
      stderr: "",
    });
    assertEquals(entries(), {
      "192.0.2.0_24": 1,
      "2001:db8::_64": 1,
      "203.0.113.0_24": 1,
    });
    assertEquals(entry("203.0.113.0_24"), [1, 2 * HOUR]);
    assertEquals(entry("2001:db8::_64"), [1, HOUR]);
    // Not later than now, by the clock of this host.
    const [, age] = entry("192.0.2.0_24");
    assert(age <= 0 && age > -600, `${age}`);
  }
});

e2e(
  "learn: the answer of a host that accepted our mail is let in",
  {},
  async () => {
    clean();
    await learn([], { input: accepted("203.0.113.9", 60) });
    const { code, stdout } = await run(
      [await compile(), "sh", "-c", "echo in"],
      {
        env: { TCPREMOTEIP: "203.0.113.77" },
      },
    );
    assertEquals([code, stdout], [0, "in\n"]);
  },
);

e2e("learn: nothing is taken away, and a write an hour", {}, async () => {
  const log = accepted("203.0.113.9", 2 * HOUR);
  const cases: [string, [number, number], [number, number]][] = [
    ["grey becomes known", [0, 30], [1, 2 * HOUR]],
    ["a count stays", [7, DAY], [7, 2 * HOUR]],
    ["a later use stays", [7, HOUR], [7, HOUR]],
    ["within the hour nothing is written", [7, 2 * HOUR + 1800], [
      7,
      2 * HOUR + 1800,
    ]],
    ["after the hour it is", [7, 3 * HOUR + 60], [7, 2 * HOUR]],
    ["expired becomes known again", [7, 40 * DAY], [7, 2 * HOUR]],
  ];
  for (const [name, [count, age], expected] of cases) {
    clean();
    makeEntry("203.0.113.0_24", count, age + Date.now() / 1000 - NOW);
    const before = snapshot();
    const { code } = await learn([], { input: log });
    assertEquals([code, ...entry("203.0.113.0_24")], [0, ...expected], name);
    if (age === expected[1]) assertEquals(snapshot(), before, name);
  }
});

e2e(
  "learn: a log through a syslog daemon, and one without stamps",
  {},
  async () => {
    clean();
    const stamp = `${syslogStamp(DAY)} mx qmail: ${NOW - DAY}.250000 `;
    const syslog = writeFile("send/syslog", delivered("203.0.113.9", stamp));
    const plain = writeFile("send/plain", delivered("192.0.2.9"));
    Deno.utimeSync(plain, NOW, NOW - 2 * DAY);
    assertEquals(
      (await learn([syslog, plain])).stdout,
      "2 deliveries: made 2 networks known, renewed 0\n",
    );
    assertEquals(entry("203.0.113.0_24"), [1, DAY]);
    assertEquals(entry("192.0.2.0_24"), [1, 2 * DAY]);
  },
);

e2e("learn: reports in which no host can be read", {}, async () => {
  clean();
  const start = `${tai64n(60)} starting delivery 3: msg 4711 to remote b@c\n`;
  const other = `${tai64n(60)} delivery 3: success: taken_by_203.0.113.9/\n`;
  const warning =
    "greylist learn: 2 remote deliveries, none with a host that " +
    "can be read: greylist help learn\n";
  const input = start + other + start + other;
  assertEquals(await learn([], { input }), {
    code: 0,
    stdout: "0 deliveries: made 0 networks known, renewed 0\n",
    stderr: warning,
  });
  const more = await learn([], { input: input + accepted("192.0.2.1", 60) });
  assertEquals(more.stderr, "");
  const file = writeFile("send/current", input);
  await using following = await follow([file]);
  await waitFor("the warning", () => following.stderr() === warning);
});

e2e("learn: what was read is written before an error ends it", {}, async () => {
  clean();
  const file = writeFile("send/current", accepted("203.0.113.9", 60));
  // At the position 0 of this file a process has no memory that could be read.
  const { code, stderr } = await learn(["-f", file, "/proc/self/mem"]);
  assertEquals([code, stderr], [
    111,
    "greylist learn: /proc/self/mem: Input/output error\n",
  ]);
  assertEquals(entries(), { "203.0.113.0_24": 1 });
});

e2e("learn: root makes entries of the owner", { root: true }, async () => {
  clean();
  Deno.chownSync(BASE, 65_500, 65_501);
  await learn([], { input: accepted("203.0.113.9", 60) });
  const { uid, gid } = Deno.lstatSync(`${BASE}/203.0.113.0_24`);
  assertEquals([uid, gid], [65_500, 65_501]);
});

e2e("learn: a file that is named twice is read once", {}, async () => {
  clean();
  const file = writeFile("learn-twice", accepted("203.0.113.9", 60));
  const { code, stdout, stderr } = await learn([file, file]);
  assertEquals(code, 0);
  assertEquals(stdout, "1 delivery: made 1 network known, renewed 0\n");
  assertEquals(stderr, `greylist learn: ${file}: named twice: read once\n`);
});

e2e("learn: an entry that cannot be written", {}, async () => {
  clean();
  Deno.mkdirSync(`${BASE}/203.0.113.0_24`);
  const { code, stdout, stderr } = await learn([], { input: LOG });
  assertEquals(code, 111);
  assertEquals(stdout, "5 deliveries: made 2 networks known, renewed 0\n");
  assertMatch(
    stderr,
    /^greylist learn: 1 entry not written: \S+\/203\.0\.113\.0_24: a directory: expected a regular file\n$/,
  );
});

e2e("learn: wrong use", {}, async () => {
  clean();
  const cases: [string[], RegExp][] = [
    [["-f"], /--follow: expected LOGFILE, not standard input/],
    [["--follow", "-"], /--follow: expected LOGFILE, not standard input/],
    [["-", "-"], /-: standard input can be read once only/],
    [[`${ROOT}/none`], /none: No such file or directory/],
    [["-f", `${ROOT}/none`], /none: No such file or directory/],
    [["-f", ROOT], /is a directory: expected a regular file \(.*\)/],
    [["-f", "/dev/stdin"], /is a FIFO: expected a regular file \(.*\)/],
    [[ROOT], /is a directory: expected a file/],
    [["-g"], /-g: unknown option/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await learn(args, { input: "" });
    assertEquals([code, stdout], [100, ""], args.join(" "));
    assertMatch(stderr, new RegExp(`^greylist learn: .*${message.source}\n$`));
  }
  assertEquals(
    (await learn([], { input: "" })).stdout,
    "0 deliveries: made 0 networks known, renewed 0\n",
  );
});

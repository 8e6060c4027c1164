import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, compile, entries } from "../harness/binary.ts";
import { makeEntry, snapshot } from "../harness/entry.ts";
import { NOBODY } from "../harness/fault.ts";
import { e2e } from "../harness/need.ts";
import { DEADLINE, run, type RunOptions, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";

const HOUR = 3600;
const DAY = 86400;
const NOW = Math.floor(Date.now() / 1000);

/** A TAI64N stamp as multilog writes it (2^62 + 10 at 1970). */
function tai64n(age: number): string {
  return `@4000000${(NOW - age + 10).toString(16).padStart(9, "0")}075bcd15`;
}

/** What qmail-remote reports if the host has accepted the message. */
function success(host: string): string {
  return `delivery 3: success: ${host}_accepted_message.` +
    "/Remote_host_said:_250_ok/\n";
}

/**
 * The two lines of a remote delivery.
 *
 * @param stamp what each line begins with
 */
function delivered(host: string, stamp = ""): string {
  return `${stamp}starting delivery 3: msg 4711 to remote b@c.example\n` +
    stamp + success(host);
}

/** The lines of a message that a host accepted so long ago. */
function accepted(host: string, age: number): string {
  return delivered(host, `${tai64n(age)} `);
}

/** Accepted count and age of an entry, in seconds before the test began. */
function entry(name: string): [number, number] {
  const { size, mtime } = Deno.lstatSync(`${BASE}/${name}`);
  return [size, NOW - Math.floor(mtime!.getTime() / 1000)];
}

/** A stamp as syslog daemons write it (RFC 3164), in local time. */
function syslogStamp(age: number): string {
  const time = new Date((NOW - age) * 1000);
  const [, month, , , clock] = time.toString().split(" ");
  return `${month} ${String(time.getDate()).padStart(2)} ${clock}`;
}

/**
 * Waits until a network was accepted once. The time of an entry is set after its
 * count.
 *
 * @param age the age of the entry, if the test goes on to look at it
 */
async function known(name: string, age?: number): Promise<void> {
  await waitFor(name, () => {
    if (entries()[name] !== 1) return false;
    return age === undefined || entry(name)[1] === age;
  });
}

/** How long `--follow` goes on at most, even if the tests have ended, in seconds. */
const LIFE = 2 * DEADLINE;

/**
 * Starts the command with `--follow`.
 *
 * @param before a program that starts it, and that program's arguments
 */
async function follow(
  paths: string[],
  before: string[] = [],
  config?: Partial<Config>,
) {
  const errors = writeFile("follow-stderr", "");
  const binary = await compile(config);
  const command = [...before, binary, "learn", "--follow", ...paths];
  const started = ["sh", "-c", 'exec "$@" 2>"$0"', errors, ...command];
  // It hands signals on, and the exit code back. Without --foreground it would hand
  // on a second SIGHUP no more.
  const child = new Deno.Command("timeout", {
    args: ["--foreground", String(LIFE), ...started],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const stderr = () => Deno.readTextFileSync(errors);
  return {
    stderr,
    hangUp: () => child.kill("SIGHUP"),
    async end(signal: "SIGINT" | "SIGTERM" = "SIGTERM") {
      child.kill(signal);
      const { code, stdout } = await child.output();
      return {
        code,
        stdout: new TextDecoder().decode(stdout),
        stderr: stderr(),
      };
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGTERM");
        await child.stdout.cancel();
      } catch {
        // It has ended already.
      }
      await child.status;
    },
  };
}

async function learn(args: string[], options?: RunOptions) {
  return await run([await compile(), "learn", ...args], options);
}

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

e2e(
  "learn: --follow goes on through a rotation, until SIGTERM",
  {},
  async () => {
    clean();
    const dir = emptyDir("follow");
    const path = `${dir}/current`;
    Deno.writeTextFileSync(path, accepted("203.0.113.9", HOUR));
    await using following = await follow([path]);
    const append = (text: string) =>
      Deno.writeTextFileSync(path, text, { append: true });
    await known("203.0.113.0_24");
    append(accepted("198.51.100.1", 60));
    await known("198.51.100.0_24");
    append(accepted("192.0.2.1", 60));
    // As multilog does, with a moment in which there is no such file.
    Deno.renameSync(path, `${dir}/${tai64n(0)}.s`);
    await known("192.0.2.0_24");
    append(accepted("2001:db8::1", 60));
    await known("2001:db8::_64", 60);
    const before = snapshot();
    append(accepted("2001:db8::2", 30));
    // Without a stamp, it is now.
    append(delivered("192.0.3.1"));
    await known("192.0.3.0_24");
    assertEquals(
      snapshot().filter((line) => line.includes("2001:db8")),
      before.filter((line) => line.includes("2001:db8")),
    );
    assertEquals(await following.end(), {
      code: 0,
      stdout: "6 deliveries: made 5 networks known, renewed 0\n",
      stderr: "",
    });
  },
);

e2e(
  "learn: --follow takes what is there to be as old as its file, until SIGINT",
  {},
  async () => {
    clean();
    const age = 390 * DAY;
    const plain = writeFile("send/plain", delivered("203.0.113.9"));
    Deno.utimeSync(plain, NOW, NOW - 2 * DAY);
    // By its month and day, it might be of this year.
    const syslog = writeFile(
      "send/syslog",
      delivered("192.0.2.9", `${syslogStamp(age)} mx qmail: `),
    );
    Deno.utimeSync(syslog, NOW, NOW - age);
    await using following = await follow([plain, syslog]);
    await known("203.0.113.0_24", 2 * DAY);
    Deno.writeTextFileSync(plain, delivered("198.51.100.9"), { append: true });
    await known("198.51.100.0_24");
    const [, later] = entry("198.51.100.0_24");
    assert(later <= 0, `${later}`);
    assertEquals(await following.end("SIGINT"), {
      code: 0,
      stdout: "3 deliveries: made 2 networks known, renewed 0\n",
      stderr: "",
    });
  },
);

e2e("learn: --follow waits for a new file that may not be read yet", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  clean();
  Deno.chownSync(BASE, 65_534, 65_534);
  const dir = emptyDir("follow");
  const path = `${dir}/current`;
  Deno.writeTextFileSync(path, accepted("203.0.113.9", 60));
  await using following = await follow([path], NOBODY);
  await known("203.0.113.0_24");
  const next = `${dir}/next`;
  Deno.writeTextFileSync(next, accepted("198.51.100.1", 60), { mode: 0o600 });
  Deno.writeTextFileSync(path, accepted("192.0.2.1", 60), { append: true });
  Deno.renameSync(next, path);
  const warning = `greylist learn: ${path}: Permission denied: tried again ` +
    "until it is read\n";
  await waitFor("the warning", () => following.stderr() === warning);
  assertEquals(Object.keys(entries()).sort(), [
    "192.0.2.0_24",
    "203.0.113.0_24",
  ]);
  Deno.chmodSync(path, 0o644);
  await known("198.51.100.0_24");
  assertEquals(await following.end(), {
    code: 0,
    stdout: "3 deliveries: made 3 networks known, renewed 0\n",
    stderr: warning,
  });
});

e2e(
  "learn: --follow reads the files of pools again at SIGHUP",
  {},
  async () => {
    clean();
    const pool = writeFile("learn-pool", "203.0.113.0/24\n") as Path;
    const path = writeFile("send/current", accepted("203.0.113.9", 60));
    await using following = await follow([path], [], {
      pools: [{ name: "cloudmail", files: [pool] }],
    });
    await known("@cloudmail");
    const append = (text: string) =>
      Deno.writeTextFileSync(path, text, { append: true });
    append(accepted("198.51.100.1", 60));
    await known("198.51.100.0_24");
    clean();
    Deno.writeTextFileSync(pool, "198.51.100.0/24\n192.0.2.0/24\nbad!\n");
    following.hangUp();
    // The rules are in force once their bad line is told.
    const bad = `greylist learn: ${pool}:3: "bad!": `;
    await waitFor("a warning", () => following.stderr().startsWith(bad));
    append(accepted("198.51.100.1", 60));
    await known("@cloudmail");
    // A file that is gone leaves its rules in force.
    clean();
    Deno.removeSync(pool);
    following.hangUp();
    const gone = `greylist learn: pools file ${pool}: No such file or ` +
      "directory: create it, or take it out of pools.files; until then the rules " +
      "read before stay in force\n";
    await waitFor("a warning", () => following.stderr().endsWith(gone));
    append(accepted("192.0.2.1", 60));
    await known("@cloudmail");
    assertEquals(Object.keys(entries()), ["@cloudmail"]);
    const { code, stdout } = await following.end();
    assertEquals([code, stdout], [
      0,
      "4 deliveries: made 4 networks known, renewed 0\n",
    ]);
  },
);

e2e("learn: --follow says that it cannot write, and tries again", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  clean();
  Deno.chownSync(BASE, 65_534, 65_534);
  Deno.chmodSync(BASE, 0o500);
  const path = `${emptyDir("follow")}/current`;
  const lines = accepted("203.0.113.9", 60) + accepted("198.51.100.1", 60);
  Deno.writeTextFileSync(path, lines);
  await using following = await follow([path], NOBODY);
  const warning = `greylist learn: ${BASE}/203.0.113.0_24: open: ` +
    "Permission denied: tried again once a minute\n";
  await waitFor("a warning", () => following.stderr() !== "");
  assertEquals(following.stderr(), warning);
  Deno.writeTextFileSync(path, accepted("192.0.2.1", 60), { append: true });
  Deno.chmodSync(BASE, 0o700);
  assertEquals(await following.end(), {
    code: 0,
    stdout: "3 deliveries: made 3 networks known, renewed 0\n",
    stderr: warning,
  });
  assertEquals(Object.keys(entries()).length, 3);
});

e2e("learn: a local delivery that two files share", {}, async () => {
  clean();
  const first = writeFile(
    "send/@1",
    `${tai64n(90)} starting delivery 3: msg 4712 to local bob\n`,
  );
  const line = `${tai64n(60)} ${success("203.0.113.9")}`;
  const second = writeFile("send/current", line);
  const { stdout } = await learn([second, first]);
  assertEquals(stdout, "0 deliveries: made 0 networks known, renewed 0\n");
});

e2e(
  "learn: a look at a file starts no delivery of an older one",
  {},
  async () => {
    clean();
    // Its start was in a file that is gone.
    const old = writeFile("send/@1", `${tai64n(90)} ${success("203.0.113.9")}`);
    const current = writeFile("send/current", accepted("192.0.2.1", 60));
    const { stdout } = await learn([old, current]);
    assertEquals(stdout, "1 delivery: made 1 network known, renewed 0\n");
  },
);

e2e("learn: --follow --dry-run counts a network once", {}, async () => {
  clean();
  const pool = writeFile("learn-pool", "bad!\n") as Path;
  const unread = delivered("mx.example", `${tai64n(60)} `);
  const path = writeFile("send/current", unread);
  await using following = await follow(["--dry-run", path], [], {
    pools: [{ name: "cloudmail", files: [pool] }],
  });
  const warnings = () => following.stderr().split("\n").length - 1;
  // The second one says that the file has been read.
  await waitFor("two warnings", () => warnings() === 2);
  const append = () =>
    Deno.writeTextFileSync(path, accepted("203.0.113.9", 60), { append: true });
  append();
  following.hangUp();
  // By now this delivery is counted.
  await waitFor("three warnings", () => warnings() === 3);
  append();
  const { code, stdout } = await following.end();
  assertEquals([code, stdout], [
    0,
    "2 deliveries: would make 1 network known, renew 0\n",
  ]);
  assertEquals(entries(), {});
});

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

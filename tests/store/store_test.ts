import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { networkOf, parseAddress, parseNetwork } from "../../lib/address.ts";
import type { Entry, Timeouts, Verdict } from "../../lib/store/policy.ts";
import { entryName, parseEntryName } from "../../lib/store/entry_name.ts";
import { Store, StoreError } from "../../lib/store/store.ts";
import { E } from "../../lib/system/constants.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { evaluate, evaluation, moduleUrl } from "../harness/evaluate.ts";
import { type Outcome, run, waitFor } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";
import { type FileTask, runNow } from "../../lib/system/file_task.ts";

const TIMEOUTS: Timeouts = { delay: 60, retryWindow: 3600, expireAfter: 86400 };
const NAME = "192.0.2.0_24";

/** A store with a function that runs before or after each look at an entry. */
class Meddled extends Store {
  meddle = (look: () => Entry | undefined) => look();

  // deno-lint-ignore require-yield -- its calls are run right here
  protected override *look(
    name: string,
    mayFail?: boolean,
  ): FileTask<Entry | undefined> {
    const look = super.look(name, mayFail);
    return this.meddle(() => runNow(look));
  }
}

/** A base directory that is gone when the test is over. */
class Place implements Disposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "greylist-store-" });
  readonly store = new Meddled(this.dir);
  readonly path = `${this.dir}/${NAME}`;

  /**
   * Seconds since 1970, a whole number, which no file's time rounds. Files are
   * written now, whatever this says.
   */
  readonly now = Math.ceil(Date.now() / 1000);

  decide(): string {
    return shown(this.store.decide(NAME, this.now, TIMEOUTS));
  }

  /** Puts an entry there that was last written so many seconds ago. */
  put(accepted: number, age: number): void {
    Deno.writeTextFileSync(this.path, "", { mode: 0o600 });
    Deno.truncateSync(this.path, accepted);
    Deno.utimeSync(this.path, this.now - age, this.now - age);
  }

  /** What stat says of the entry. */
  stat() {
    const { size, mode, blocks, mtime } = Deno.lstatSync(this.path);
    const age = this.now - mtime!.getTime() / 1000;
    // Files are stamped by a clock that is some milliseconds coarse.
    const written = Math.abs(age) < 30 ? "now" : Math.round(age);
    return { size, mode: mode! & 0o7777, blocks, written };
  }

  names(): string[] {
    return [...Deno.readDirSync(this.dir)].map(({ name }) => name).toSorted();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

function shown(verdict: Verdict): string {
  return verdict.action === "defer"
    ? `defer ${verdict.reason} ${verdict.wait}`
    : `pass ${verdict.reason} ${verdict.accepted}`;
}

Deno.test("store: the name of an entry", () => {
  const cases: [string, string][] = [
    ["192.0.2.17", "192.0.2.17"],
    ["192.0.2.17/32", "192.0.2.17"],
    ["192.0.2.0/24", "192.0.2.0_24"],
    ["0.0.0.0/0", "0.0.0.0_0"],
    ["0.0.0.0/1", "0.0.0.0_1"],
    ["192.0.2.16/31", "192.0.2.16_31"],
    ["2001:DB8::17", "2001:db8::17"],
    ["2001:db8:0:1::/64", "2001:db8:0:1::_64"],
    ["::/0", "::_0"],
    ["::1", "::1"],
    ["::", "::"],
    ["::ffff:192.0.2.17", "192.0.2.17"],
    ["::ffff:192.0.2.0/120", "192.0.2.0_24"],
  ];
  for (const [text, name] of cases) {
    const network = parseNetwork(text)!;
    assertEquals(entryName(network), name);
    assertEquals(parseEntryName(name), network, name);
  }
});

Deno.test("store: every prefix length has a name, and it means that", () => {
  for (
    const text of ["203.0.113.181", "2001:db8:5a5a:a5a5:dead:beef:1234:5b"]
  ) {
    const address = parseAddress(text)!;
    const names = new Set<string>();
    for (
      let prefix = 0;
      prefix <= (address.family === 4 ? 32 : 128);
      prefix++
    ) {
      const network = networkOf(address, prefix);
      const name = entryName(network);
      assertEquals(parseEntryName(name), network, name);
      assert(!names.has(name), name);
      assert(/^[0-9a-f.:_]+$/.test(name), name);
      names.add(name);
    }
  }
});

Deno.test("store: names that are no entries", () => {
  const names = [
    "",
    ".",
    "..",
    ".lock",
    "README",
    "lost+found",
    "192.0.2.17~",
    " 192.0.2.17",
    "192.0.2.17 ",
    "192.0.2.17\n",
    "192.0.2.17\0",
    "192.0.2",
    "192.0.2.0.24",
    "192.0.2.0-24",
    "192.0.2.0_",
    "_24",
    "192.0.2.0/24",
    "192.0.2.0_24_24",
    "192.0.2.0__24",
    "192.0.2.0_24/",
    "192.0.2.0_24 ",
    "192.0.2.0_33",
    "192.0.2.0_024",
    "192.0.2.0_+24",
    "192.0.2.0_-1",
    "192.0.2.256",
    "192.0.2.017",
    // Not the canonical name, so no connection would look for the file.
    "192.0.2.17_32",
    "192.0.2.17_24",
    "192.0.2.17/32",
    "2001:db8::17_128",
    "2001:db8::17/128",
    "2001:DB8::17",
    "2001:db8:0::17",
    "2001:db8:0:0:0:0:0:17",
    "2001:0db8::17",
    "2001:db8:0:1:0::_64",
    "2001:db8:0:1::17_64",
    "::ffff:192.0.2.17",
    "::ffff:c000:211",
    "::ffff:192.0.2.0_120",
    "::ffff:0:0_96",
    "::192.0.2.17",
    "::ffff:192.0.2.17_32",
    "fe80::1%eth0",
    "2001:db8::_129",
  ];
  for (const name of names) {
    assertEquals(parseEntryName(name), undefined, JSON.stringify(name));
  }
});

/** The entry before, the verdict, the entry afterwards. */
const ROWS: [
  string,
  [number, number] | undefined,
  string,
  [number, number | "now"],
][] = [
  ["none", undefined, "defer new 60", [0, "now"]],
  ["grey, early", [0, 40], "defer early 20", [0, 40]],
  ["grey, at the delay", [0, 60], "pass retried 1", [1, "now"]],
  ["grey, in the window", [0, 3599], "pass retried 1", [1, "now"]],
  ["grey, stale", [0, 3601], "defer stale 60", [0, "now"]],
  ["known", [1, 40], "pass known 2", [2, "now"]],
  ["known for long", [4711, 86399], "pass known 4712", [4712, "now"]],
  ["expired", [4711, 86401], "defer expired 60", [0, "now"]],
  ["grey, far ahead", [0, -90], "defer early 60", [0, "now"]],
  ["known, far ahead", [3, -90], "pass known 4", [4, "now"]],
];

Deno.test("store: every row of the table, as stat shows it", () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    assertEquals(place.decide(), verdict, name);
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
    assertEquals(place.names(), [NAME], name);
  }
});

Deno.test("store: the same with its calls in another thread", async () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    const store = new Store(place.dir);
    const later = store.decideLater(NAME, place.now, TIMEOUTS);
    assertEquals(shown(await later), verdict, name);
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
  }
});

Deno.test("store: the same for a store that serves many clients", () => {
  for (const [name, before, verdict, [size, written]] of ROWS) {
    using place = new Place();
    if (before !== undefined) place.put(...before);
    const store = new Store(place.dir);
    assertEquals(
      shown(store.decideNew(NAME, place.now, TIMEOUTS)),
      verdict,
      name,
    );
    const expected = { size, mode: 0o600, blocks: 0, written };
    assertEquals(place.stat(), expected, name);
  }
});

Deno.test("store: an error in another thread has its reason", async () => {
  using place = new Place();
  const store = new Store(`${place.dir}/none`);
  const { message } = await assertRejects(
    () => store.decideLater(NAME, place.now, TIMEOUTS),
    StoreError,
  );
  assertEquals(
    message,
    `${place.dir}/none/${NAME}: create: No such file or directory`,
  );
});

Deno.test("store: if nobody waits for the result, no more calls are made", async () => {
  using place = new Place();
  const store = new Store(place.dir);
  const late = store.decideLater(NAME, place.now, TIMEOUTS, () => true);
  await assertRejects(() => late, StoreError);
  assertEquals([...Deno.readDirSync(place.dir)], []);
  place.put(0, -90);
  const { size, mtime } = Deno.statSync(`${place.dir}/${NAME}`);
  const retried = store.decideLater(NAME, place.now, TIMEOUTS, () => true);
  await assertRejects(() => retried, StoreError);
  const after = Deno.statSync(`${place.dir}/${NAME}`);
  assertEquals([after.size, after.mtime], [size, mtime]);
});

Deno.test("store: an mtime far ahead is set by the clock of this host", () => {
  using place = new Place();
  place.put(0, -90);
  const { reason } = place.store.decide(NAME, place.now - 40, TIMEOUTS);
  assertEquals(reason, "early");
  const { mtime } = Deno.lstatSync(place.path);
  assertEquals(mtime!.getTime() / 1000, place.now - 40);
});

Deno.test("store: reading an entry", () => {
  using place = new Place();
  assertEquals(place.store.read(NAME), undefined);
  place.put(7, 100);
  const entry = place.store.read(NAME)!;
  assertEquals(entry.accepted, 7);
  assert(Math.abs(place.now - 100 - entry.mtime) < 0.01);
  // A whole address beside its network is another entry.
  assertEquals(place.store.read("192.0.2.0"), undefined);
});

Deno.test("store: a whole story on one clock", () => {
  using place = new Place();
  const story: [number, string][] = [
    [0, "defer new 60"],
    [0, "defer early 60"],
    [0, "defer early 60"],
    [61, "pass retried 1"],
    [0, "pass known 2"],
    [86000, "pass known 3"],
    [86401, "defer expired 60"],
    [30, "defer early 30"],
    [3601, "defer stale 60"],
    [60, "pass retried 1"],
  ];
  for (const [age, expected] of story) {
    // The clock of the file system cannot be moved, so the entry is made older.
    const time = place.now - age;
    if (expected !== "defer new 60") Deno.utimeSync(place.path, time, time);
    assertEquals(place.decide(), expected, `${age} s`);
  }
});

Deno.test("store: the mode is 0600 whatever the umask", () => {
  for (const umask of [0o000, 0o022, 0o077, 0o277, 0o777]) {
    const before = Deno.umask(umask);
    using place = new Place();
    try {
      Deno.chmodSync(place.dir, 0o700);
      assertEquals(place.decide(), "defer new 60");
    } finally {
      Deno.umask(before);
    }
    assertEquals(place.stat().mode, 0o600, umask.toString(8));
  }
});

/** Decides while the entry goes away between look and write. */
function decideVanishing(place: Place): string {
  place.store.meddle = (look) => {
    const entry = look();
    Deno.removeSync(place.path);
    return entry;
  };
  return place.decide();
}

Deno.test("store: an entry that vanishes between look and write", () => {
  // `prune` removes only expired entries, an administrator may remove any.
  const rows = ROWS.filter(([_, before]) => before !== undefined);
  for (const [name, before, verdict, [size, written]] of rows) {
    using place = new Place();
    place.put(...before!);
    assertEquals(decideVanishing(place), verdict, name);
    // If nothing was to be written, no entry is made.
    const wrote = written === "now";
    assertEquals(place.names(), wrote ? [NAME] : [], name);
    if (wrote) {
      assertEquals(
        place.stat(),
        { size, mode: 0o600, blocks: 0, written },
        name,
      );
    }
  }
});

Deno.test("store: an entry made anew is 0600 whatever the umask", () => {
  const before = Deno.umask(0o277);
  using place = new Place();
  Deno.umask(before);
  place.put(0, 100);
  Deno.umask(0o277);
  try {
    assertEquals(decideVanishing(place), "pass retried 1");
  } finally {
    Deno.umask(before);
  }
  assertEquals(place.stat().mode, 0o600);
});

Deno.test("store: an entry that vanishes after a lost race", () => {
  using place = new Place();
  let looks = 0;
  place.store.meddle = (look) => {
    // The first look comes before the winner's create, the second after
    // another process removed it.
    looks++;
    if (looks === 2) Deno.removeSync(place.path);
    const entry = look();
    if (looks === 1) place.put(0, 0);
    return entry;
  };
  assertEquals(place.decide(), "defer early 60");
  assertEquals(looks, 2);
});

Deno.test("store: the loser of a race reads the winner's entry", () => {
  const winners: [number, number, string][] = [
    [0, 0, "defer early 60"],
    [0, 100, "pass retried 1"],
    [1, 0, "pass known 2"],
  ];
  for (const [accepted, age, expected] of winners) {
    using place = new Place();
    let looks = 0;
    place.store.meddle = (look) => {
      const entry = look();
      if (++looks === 1) place.put(accepted, age);
      return entry;
    };
    assertEquals(place.decide(), expected);
  }
});

/**
 * Evaluates code in several processes.
 *
 * @param prepare what each does by itself
 * @param work what they begin at the same time
 */
async function atOnce(
  count: number,
  prepare: string,
  work: string,
): Promise<Outcome[]> {
  using dir = temporary();
  const start = `${dir.path}/start`;
  const code = `${prepare}
    Deno.writeTextFileSync(${JSON.stringify(dir.path)} + "/" + Deno.pid, "");
    while (true) {
      await new Promise((done) => setTimeout(done, 1));
      try {
        Deno.statSync(${JSON.stringify(start)});
        break;
      } catch {
        // Not yet.
      }
    }
    ${work}`;
  const outcomes = Promise.all(
    Array.from(
      { length: count },
      () => run(evaluation(code), { patience: 180 }),
    ),
  );
  const ready = () => [...Deno.readDirSync(dir.path)].length;
  await waitFor("all processes", () => ready() === count);
  Deno.writeTextFileSync(start, "");
  return await outcomes;
}

Deno.test("store: processes at once make one `new` a network", async () => {
  using place = new Place();
  const networks = 300;
  const prepare = `
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    const store = new Store(${JSON.stringify(place.dir)});
    const timeouts = ${JSON.stringify(TIMEOUTS)};`;
  const work = `
    let line = "";
    for (let i = 0; i < ${networks}; i++) {
      const { reason } = store.decide("2001:db8::" + i.toString(16), Date.now() / 1000, timeouts);
      line += reason + " ";
    }
    console.log(line.trim());`;
  const outcomes = await atOnce(3, prepare, work);
  const reasons = outcomes.map(({ code, stdout, stderr }) => {
    assertEquals([code, stderr], [0, ""]);
    return stdout.trim().split(" ");
  });
  for (let i = 0; i < networks; i++) {
    const got = reasons.map((of) => of[i]).toSorted();
    assertEquals(got, ["early", "early", "new"], `network ${i}`);
  }
  assertEquals(place.names().length, networks);
});

Deno.test("store: processes at once lose no pass", async () => {
  using place = new Place();
  place.put(0, 100);
  const prepare = `
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    const store = new Store(${JSON.stringify(place.dir)});
    const timeouts = ${JSON.stringify(TIMEOUTS)};`;
  const work = `
    let passes = 0;
    for (let i = 0; i < 100; i++) {
      const { action } = store.decide(${
    JSON.stringify(NAME)
  }, Date.now() / 1000, timeouts);
      if (action === "pass") passes++;
    }
    console.log(passes);`;
  const outcomes = await atOnce(2, prepare, work);
  const expected = { code: 0, stdout: "100\n", stderr: "" };
  assertEquals(outcomes, [expected, expected]);
  // A lost count is harmless, and a count that is too high would be wrong. With
  // both stopped at the worst moments, two of all the counts are left.
  const { size } = place.stat();
  assert(size >= 2 && size <= 200, `${size} accepted`);
});

/**
 * The kinds of files, besides a regular one, that can have an entry's name. For a
 * device see root_test.ts.
 */
const OTHERS: [string, (path: string) => Promise<unknown> | void][] = [
  ["a directory", (path) => Deno.mkdirSync(path)],
  ["a FIFO", (path) => run(["mkfifo", path])],
  ["a symbolic link", (path) => Deno.symlinkSync("/nonexistent", path)],
  ["a symbolic link", (path) => Deno.symlinkSync("/dev/null", path)],
  ["a symbolic link", (path) => Deno.symlinkSync(NAME, path)],
];

Deno.test("store: anything but a regular file is an error", async () => {
  for (const [kind, make] of OTHERS) {
    using place = new Place();
    await make(place.path);
    const before = Deno.lstatSync(place.path);
    for (
      const work of [() => place.decide(), () => place.store.read(NAME)]
    ) {
      const { message } = assertThrows(work, StoreError);
      assertEquals(message, `${place.path}: ${kind}: expected a regular file`);
    }
    const after = Deno.lstatSync(place.path);
    assertEquals([after.ino, after.mtime], [before.ino, before.mtime]);
    assertEquals(place.names(), [NAME]);
  }
});

Deno.test("store: a socket is no entry either", () => {
  using place = new Place();
  using _listener = Deno.listen({ transport: "unix", path: place.path });
  const { message } = assertThrows(() => place.decide(), StoreError);
  assertEquals(message, `${place.path}: a socket: expected a regular file`);
});

Deno.test("store: no symbolic link is followed, even one made meanwhile", () => {
  // The look sees a regular file, the write a link.
  for (const [accepted, age] of [[0, 100], [5, 100], [5, 90000], [0, 4000]]) {
    using place = new Place();
    using outside = new Place();
    outside.put(3, 12345);
    const target = Deno.lstatSync(outside.path);
    place.put(accepted, age);
    place.store.meddle = (look) => {
      const entry = look();
      Deno.removeSync(place.path);
      Deno.symlinkSync(outside.path, place.path);
      return entry;
    };
    assertThrows(
      () => place.decide(),
      StoreError,
      `${place.path}: open: Too many levels of symbolic links`,
    );
    assertEquals(Deno.lstatSync(outside.path), target);
  }
});

Deno.test("store: a dangling link makes no file outside", () => {
  using place = new Place();
  using outside = new Place();
  let looks = 0;
  place.store.meddle = (look) => {
    const entry = look();
    if (++looks === 1) Deno.symlinkSync(outside.path, place.path);
    return entry;
  };
  // Another process made the link between the look and the creation.
  assertThrows(() => place.decide(), StoreError, "a symbolic link");
  assertEquals(outside.names(), []);
});

Deno.test("store: a FIFO in the entry's place never blocks", async () => {
  using place = new Place();
  place.put(5, 100);
  const fifo = `${place.dir}/fifo`;
  await run(["mkfifo", fifo]);
  place.store.meddle = (look) => {
    const entry = look();
    Deno.renameSync(fifo, place.path);
    return entry;
  };
  assertThrows(() => place.decide(), StoreError, place.path);
});

Deno.test("store: a base directory that is missing, or is no directory", () => {
  const cases: [string, string][] = [
    ["/nonexistent/greylist", "create: No such file or directory"],
    ["/dev/null", "statx: Not a directory"],
  ];
  for (const [dir, problem] of cases) {
    const { message } = assertThrows(
      () => new Store(dir).decide(NAME, 0, TIMEOUTS),
      StoreError,
    );
    assertEquals(message, `${dir}/${NAME}: ${problem}`);
  }
});

Deno.test("store: a base directory with a quote and a blank in its name", () => {
  using place = new Place();
  const dir = `${place.dir}/it's a 'base: dir'`;
  const missing = new Store(dir);
  const { message } = assertThrows(
    () => missing.decide(NAME, 0, TIMEOUTS),
    StoreError,
  );
  assertEquals(message, `${dir}/${NAME}: create: No such file or directory`);
  Deno.mkdirSync(dir);
  const { reason } = missing.decide(NAME, 0, TIMEOUTS) as Verdict;
  assertEquals(reason, "new");
});

Deno.test("store: no descriptor is left behind, whatever is written", () => {
  using place = new Place();
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = count();
  for (let i = 0; i < 50; i++) {
    const name = `192.0.2.${i}`;
    const writes = (...seconds: number[]) =>
      seconds.map((later) =>
        place.store.decide(name, place.now + later, TIMEOUTS).write
      );
    assertEquals(writes(0, 0, 3700), ["create", "none", "touch"]);
    Deno.truncateSync(`${place.dir}/${name}`, 3);
    assertEquals(writes(61, 90_000), ["accept", "reset"]);
  }
  assertEquals(count(), before);
});

Deno.test("store: which errors may pass", () => {
  const passes = (cause: unknown) =>
    new StoreError("/x", "broken", { cause }).isPassing;
  for (const code of [E.EIO, E.ESTALE, E.ENOSPC]) {
    assertEquals(passes(new LibcError("statx", code)), true, `${code}`);
  }
  for (const code of [E.ENOENT, E.EACCES]) {
    assertEquals(passes(new LibcError("statx", code)), false, `${code}`);
  }
  assertEquals(passes(new Error("broken")), false);
  assertEquals(passes(undefined), false);
});

/** Evaluates code that has a place, NETWORK and a file size limit at hand. */
function evaluateLimited(place: Place, code: string) {
  return evaluate(`
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    import { ignoreFileSizeSignal } from ${
    JSON.stringify(moduleUrl("lib/system/signals.ts"))
  };
    const store = new Store(${JSON.stringify(place.dir)});
    const decide = () =>
      store.decide(${JSON.stringify(NAME)}, Date.now() / 1000, ${
    JSON.stringify(TIMEOUTS)
  });
    const libc = Deno.dlopen("libc.so.6", {
      // int setrlimit(int resource, const struct rlimit *rlim);
      setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    });
    const RLIMIT_FSIZE = 1;
    const limit = (bytes) =>
      libc.symbols.setrlimit(
        RLIMIT_FSIZE,
        new Uint8Array(new BigUint64Array([bytes, 2n ** 64n - 1n]).buffer),
      );
    ignoreFileSizeSignal();
    ${code}`);
}

Deno.test("store: a file size limit stops the count, not the mail", async () => {
  using place = new Place();
  place.put(1, 100);
  const { code, stdout, stderr } = await evaluateLimited(
    place,
    `
    limit(0n);
    const { action, reason } = decide();
    limit(2n ** 64n - 1n);
    console.log(action, reason);`,
  );
  assertEquals([code, stdout, stderr], [0, "pass known\n", ""]);
  assertEquals(place.stat(), {
    size: 1,
    mode: 0o600,
    blocks: 0,
    written: "now",
  });
});

Deno.test("store: a retry that cannot be written is an error", async () => {
  using place = new Place();
  place.put(0, 100);
  const { code, stdout, stderr } = await evaluateLimited(
    place,
    `
    limit(0n);
    let text;
    try {
      text = decide().action;
    } catch (error) {
      text = error.name + " " + error.message;
    }
    limit(2n ** 64n - 1n);
    console.log(text);`,
  );
  assertEquals([code, stdout, stderr], [
    0,
    `StoreError ${place.path}: ftruncate: File too large\n`,
    "",
  ]);
  assertEquals(place.stat().size, 0);
});

Deno.test("store: a new entry needs no disk block", async () => {
  using place = new Place();
  const { code, stdout } = await evaluateLimited(
    place,
    `
    limit(0n);
    const { reason } = decide();
    limit(2n ** 64n - 1n);
    console.log(reason);`,
  );
  assertEquals([code, stdout], [0, "new\n"]);
});

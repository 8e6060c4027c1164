import { assert, assertEquals } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { clean, entries } from "../harness/binary.ts";
import { snapshot } from "../harness/entry.ts";
import { NOBODY } from "../harness/fault.ts";
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
import { waitFor } from "../harness/process.ts";
import { BASE, emptyDir, writeFile } from "../harness/root.ts";

/**
 * Waits until a network was accepted once. The time of an entry is set after its
 * count.
 *
 * @param age the age of the entry, if the test goes on to look at it
 */
export async function known(name: string, age?: number): Promise<void> {
  await waitFor(name, () => {
    if (entries()[name] !== 1) return false;
    return age === undefined || entry(name)[1] === age;
  });
}

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

e2e(
  "learn: --follow goes on after a clock that was not set yet",
  {},
  async () => {
    clean();
    const line = (host: string, age: number) =>
      delivered(host, `${syslogStamp(age)} mx qmail: `);
    const log = writeFile("send/unset", line("192.0.2.9", 60));
    // qmail-send was started at the boot of a machine that has no clock.
    Deno.utimeSync(log, 20, 20);
    await using _following = await follow([log]);
    await waitFor("the old line to be read", () => {
      Deno.writeTextFileSync(log, line("203.0.113.9", 0), { append: true });
      return "203.0.113.0_24" in entries();
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

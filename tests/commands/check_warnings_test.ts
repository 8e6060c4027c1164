// What `greylist check` warns of, though it may be meant.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import {
  assertFindings,
  binary,
  check,
  FILE,
  setUp,
} from "../harness/check_command.ts";
import { loopObstacle } from "../harness/loop.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { BASE, ROOT, writeFile } from "../harness/root.ts";

e2e(
  "check: whitelist lines that exempt too many are warned of",
  {},
  async () => {
    setUp();
    writeFile("check-whitelist", "10.0.0.0/8\n.com\n0.0.0.0/0\nlocalhost\n");
    const outcome = await check();
    assertFindings(outcome);
    assert(
      outcome.stdout.includes(
        `\nwarn ${FILE}:2: ".com": exempts every name that ends in .com: is ` +
          "that meant? (2 lines like that in all)\n",
      ),
      outcome.stdout,
    );
  },
);

e2e(
  "check: values that are probably a mistake, and mode observe",
  {},
  async () => {
    clean();
    const there = await compile({
      match: { ipv4: 8 },
      timeouts: { delay: 60, retryWindow: 1440, expireAfter: 36 },
      storeTimeout: 2000,
      mode: "observe",
      whitelist: { env: ["TCPREMOTEIP"], localPorts: [25] },
      serve: undefined,
    });
    const outcome = await run([there, "check"]);
    assertFindings(outcome);
    const lines = [
      'note mode "observe": every client is let in\n',
      "warn timeouts.retryWindow 24 min: ",
      "warn timeouts.expireAfter 36 s: ",
      "warn storeTimeout 33 min: ",
      "warn match.ipv4 8: ",
      'warn whitelist.env[0]: "TCPREMOTEIP": ',
      "warn whitelist.localPorts[0]: 25: ",
    ];
    for (const text of lines) {
      assert(outcome.stdout.includes(`\n${text}`), outcome.stdout);
    }
  },
);

e2e("check: a clock that is ahead, and one that is behind", {
  programs: ["faketime"],
}, async () => {
  setUp();
  const path = await binary();
  const look = (shift: string) => run(["faketime", "-f", shift, path, "check"]);
  // The fake clock is this host's, the real one the file system's.
  assertFindings(
    await look("-600"),
    /^FIX {2}clock of baseDir: (?:600|59\d)\.\d s ahead of this host's, more than a quarter of timeouts\.delay \(15 s\): keep both by NTP$/,
  );
  assertFindings(await look("+600"), /^FIX {2}clock of baseDir: .* s behind /);
  const outcome = await look("+14");
  assertFindings(outcome);
  const [, apart] = /\nok {3}clocks of baseDir and .*: (\d+\.\d) s /
    .exec(outcome.stdout)!;
  // A machine that stalls between the two clocks brings them nearer.
  assert(Number(apart) > 4 && Number(apart) <= 14.1, apart);
});

e2e("check: file systems that lose entries, and one that takes none", {
  programs: ["unshare", "mount"],
  mounts: true,
}, async () => {
  setUp();
  const path = await binary();
  const look = (options: string) =>
    run([
      ...["unshare", "--mount", "sh", "-c"],
      `mount -t tmpfs -o mode=0700,${options} x ${BASE}; exec ${path} check`,
    ]);
  const outcome = await look("nr_inodes=1000");
  assertFindings(outcome);
  assertMatch(outcome.stdout, /\nwarn baseDir is on tmpfs: it is empty after /);
  assertMatch(outcome.stdout, /\nwarn inodes: 999 of 1,000 left; /);
  assertFindings(
    await look("ro"),
    /^FIX {2}baseDir is on tmpfs, mounted read-only$/,
  );
});

e2e("check: a file system that ends in 2038", {
  programs: ["unshare", "mount", "mkfs.ext4"],
  mounts: true,
  kernel: loopObstacle,
}, async () => {
  setUp();
  const image = writeFile("image", "");
  Deno.truncateSync(image, 4e6);
  const made = await run(["mkfs.ext4", "-q", "-I", "128", image]);
  assertEquals(made.code, 0, made.stderr);
  const outcome = await run([
    ...["unshare", "--mount", "sh", "-c"],
    `mount -o loop ${image} ${BASE} && chmod 0700 ${BASE} &&
      rmdir ${BASE}/lost+found && exec ${await binary()} check`,
  ]);
  assertFindings(outcome);
  const warning = /\nwarn baseDir: .* keeps no time after 2038-01-19: /;
  assertMatch(outcome.stdout, warning);
});

e2e(
  "check: the files of only and of pools, and names for them",
  {},
  async () => {
    setUp();
    const missing = `${ROOT}/check/no-such-file` as Path;
    const bad = writeFile("check/bad-pool", "com\nno rule!\n") as Path;
    const there = await compile({
      only: { files: [missing] },
      pools: [{ name: "a", files: [bad], networks: ["0.0.0.0/0"] }],
      serve: undefined,
    });
    const outcome = await run([there, "check", "greylist-is-not-here"]);
    assertFindings(
      outcome,
      new RegExp(
        `^FIX  only file ${missing}: .*, or take it out of only\\.files$`,
      ),
      new RegExp(
        `^FIX  ${bad}:2: "no rule!": expected .* \\(1 bad line in all`,
      ),
      /^FIX {2}greylist-is-not-here: no program/,
    );
    for (
      const line of ['pools[0].networks[0]: "0.0.0.0/0"', `${bad}:1: "com"`]
    ) {
      assert(
        outcome.stdout.includes(`\nwarn ${line}: one retry lets in `),
        outcome.stdout,
      );
    }
    assertMatch(outcome.stdout, /\nnote host names in lists count only if /);
  },
);

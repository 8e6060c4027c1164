import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import {
  age,
  clean,
  clientLines,
  compile,
  entries,
} from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { run } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { burstFrom } from "../harness/smtp.ts";

const FILE = `${ROOT}/pool` as Path;

const POOLS: Partial<Config> = {
  pools: [
    { name: "big", networks: ["127.0.1.0/24"], files: [FILE] },
    { name: "other", networks: ["127.0.0.0/16"] },
  ],
  // Every address is a client of its own, except in pools.
  match: { ipv4: 32 },
};

bothWays(
  "pools: deferred in one network, let in from another",
  {},
  async (way) => {
    clean();
    writeFile("pool", "127.0.2.0/24 # spf\n127.0.3.0/24\n");
    const binary = await compile(POOLS);
    await using server = await way.start({ binary, next: greeter() });
    const contact = async (from: string) => {
      const text = await burstFrom(from, server.port, "QUIT\r\n");
      await server.idle();
      const line = clientLines().at(-1)!.replace(/^\S+Z /, "");
      assertEquals(text.split("\r\n")[0] === NEXT, line.startsWith("pass "));
      return line.replace(/ (wait|age)=\d+/g, "");
    };
    assertEquals(
      await contact("127.0.1.1"),
      "defer ip=127.0.1.1 net=@big reason=new",
    );
    assertEquals(
      await contact("127.0.2.2"),
      "defer ip=127.0.2.2 net=@big reason=early",
    );
    assertEquals(entries(), { "@big": 0 });
    age("@big", 100);
    assertEquals(
      await contact("127.0.3.3"),
      "pass ip=127.0.3.3 net=@big reason=retried accepted=1",
    );
    assertEquals(
      await contact("127.0.1.9"),
      "pass ip=127.0.1.9 net=@big reason=known accepted=2",
    );
    // The second pool gets only clients that are not in the first.
    assertEquals(
      await contact("127.0.9.1"),
      "defer ip=127.0.9.1 net=@other reason=new",
    );
    assertEquals(
      await contact("127.1.0.1"),
      "defer ip=127.1.0.1 net=127.1.0.1/32 reason=new",
    );
    assertEquals(entries(), { "127.1.0.1": 0, "@big": 2, "@other": 0 });
  },
);

e2e("pools: explain, info, prune and import know them", {}, async () => {
  clean();
  writeFile("pool", "127.0.2.0/24\n");
  const binary = await compile(POOLS);
  const greylist = async (...args: string[]) => {
    const { code, stdout, stderr } = await run([binary, ...args]);
    assertEquals(code, 0, stderr);
    return stdout;
  };
  makeEntry("@big", 3, 100);
  makeEntry("@other", 0, 2 * 86400);
  makeEntry("192.0.2.7", 1, 50);

  const explained = await greylist("explain", "127.0.2.9");
  assertMatch(explained, /^client {5}127\.0\.2\.9, counts as @big\n/);
  assert(explained.includes(`\nentry      ${BASE}/@big: known, accepted 3 `));
  assertMatch(explained, /\nverdict {4}pass, known: /);

  const listed = await greylist("info", "--sort", "address");
  assertMatch(listed, /\n@big +known +3 /);
  assertMatch(listed, /\n@other +expired +0 /);
  assertMatch(listed, /\n3 entries: 0 grey, 2 known, 1 expired; 0 not ours\n$/);
  assert(listed.indexOf("@other") < listed.indexOf("192.0.2.7"), listed);
  // No network holds a pool.
  const within = await greylist("info", "--network=0.0.0.0/0");
  assertMatch(within, /\n1 entry: 0 grey, 1 known, 0 expired; 0 not ours\n$/);

  const backup = writeFile("backup.json", await greylist("info", "--json"));
  assertEquals(await greylist("prune"), "removed 1 of 3 entries\n");
  assertEquals(entries(), { "192.0.2.7": 1, "@big": 3 });

  emptyDir("base", 0o700);
  await greylist("import", backup);
  assertEquals(entries(), { "192.0.2.7": 1, "@big": 3 });
});

bothWays(
  "pools: files that are missing or have bad lines, told once each",
  {},
  async (way) => {
    clean();
    writeFile("pool", "no rule!\n127.0.0.0/24\n");
    const gone = `${ROOT}/no-such-pool` as Path;
    const pools = [{ name: "a", files: [gone] }, { name: "b", files: [FILE] }];
    const binary = await compile({ pools });
    await using server = await way.start({ binary, next: greeter() });
    await burstFrom(undefined, server.port, "QUIT\r\n");
    await server.idle();
    const [missing, bad, line, ...more] = clientLines().map((line) =>
      line.replace(/^\S+Z /, "")
    );
    assertEquals(more, []);
    assertEquals(
      missing,
      `warn pools what="pools file ${gone}: No such file or directory: create ` +
        'it, or take it out of pools.files"',
    );
    assertMatch(bad, /^warn pools what=".*\/pool:1: 'no rule!': expected /);
    assertMatch(line, /^defer ip=127\.0\.0\.1 net=@b reason=new /);
  },
);

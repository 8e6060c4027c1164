// The logs that `greylist report` reads: compressed, rotated, of several hosts.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Report } from "../../lib/report/report.ts";
import { compile } from "../harness/binary.ts";
import { run, type RunOptions } from "../harness/process.ts";
import {
  DAY,
  FIRST,
  gzip,
  json,
  line,
  report,
  SECOND,
} from "../harness/report_command.ts";
import { ROOT, writeFile } from "../harness/root.ts";

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

Deno.test("report: gzip, by what is in the file", async () => {
  const first = await gzip(FIRST);
  const second = await gzip(SECOND);
  const file = writeFile("log/both", joined(first, second));
  const found = await json([file]);
  assertEquals([found.connections, found.delay.worst], [2, 300]);
  assertEquals((await json(["-"], { input: first })).connections, 1);
  const plain = writeFile("log/plain.gz", FIRST);
  assertEquals((await json([plain])).connections, 1);
});

Deno.test("report: what another program has compressed", async () => {
  const heads = { xz: "\xfd7zXZ\0", zstd: "\x28\xb5\x2f\xfd", bzip2: "BZh9" };
  for (const [name, head] of Object.entries(heads)) {
    const bytes = Uint8Array.from(head, (byte) => byte.charCodeAt(0));
    const file = writeFile("log/other", bytes);
    const { code, stderr } = await report([file]);
    assertEquals(code, 100);
    assertEquals(
      stderr,
      `greylist report: ${file}: compressed with ${name}: expected text or ` +
        `gzip (${name} -dc FILE | greylist ...)\n`,
    );
  }
});

Deno.test("report: gzip that ends early is read up to there", async () => {
  let text = "";
  for (let i = 0; i < 20_000; i++) {
    text += line(i * Math.PI, FIRST.slice(25, -1));
  }
  const whole = await gzip(text);
  const file = writeFile("log/cut", whole.subarray(0, whole.length - 1000));
  const { code, stdout, stderr } = await report(["--json", file]);
  assertEquals(code, 0);
  assertEquals(
    stderr,
    `greylist report: ${file}: damaged gzip data, read up to there\n`,
  );
  const { connections, damaged } = JSON.parse(stdout) as Report;
  assert(connections > 1000 && connections < 20_000, `${connections}`);
  assertEquals(damaged, [file]);
  // Nobody may see the standard error of a page from cron.
  for (const args of [[file], ["--html=-", file]]) {
    const { code, stdout } = await report(args);
    assertEquals(code, 0);
    assertMatch(
      stdout.replaceAll(/\s+/g, " "),
      /The gzip data of \S+ is damaged/,
    );
  }
});

Deno.test("report: files in the order of their first lines", async () => {
  const files = [
    writeFile("log/a", await gzip("garbage\n" + SECOND)),
    writeFile("log/b", FIRST),
  ];
  for (const order of [files, files.toReversed()]) {
    const found = await json(order);
    assertEquals(found.delay.worst, 300);
    assertEquals(found.networks.accepted, 1);
    assertEquals(found.lines.unreadable, 1);
  }
});

Deno.test("report: a file that is named twice is read once", async () => {
  const file = writeFile("log/twice", FIRST + SECOND);
  const link = `${ROOT}/log/link`;
  Deno.symlinkSync(file, link);
  const copy = writeFile("log/copy", FIRST);
  const said = (name: string, what = `the same file as ${file}`) =>
    `greylist report: ${name}: ${what}: read once\n`;
  // A --host comes first.
  const found = await report(["--json", file, link, copy, `--host=a=${file}`]);
  assertEquals(found.code, 0);
  assertEquals(found.stderr, said(file, "named twice") + said(link));
  assertEquals(JSON.parse(found.stdout).connections, 3);

  const shell = ["sh", "-c", 'exec "$0" report --json "$1" - <"$1"'];
  const stdin = await run([...shell, await compile(), file]);
  assertEquals([stdin.code, stdin.stderr], [0, said("-")]);
  assertEquals(JSON.parse(stdin.stdout).connections, 2);
});

Deno.test("report: logs of two hosts that share a database", async () => {
  // Deferred at one host and let in at the other, in both directions; each file
  // begins before the other ends.
  const of = (name: string) => `ip=${name}.1 net=${name}.0/24`;
  const a = of("192.0.2");
  const b = of("198.51.100");
  const one = [
    line(0, `defer ${a} reason=new wait=60`),
    line(400, `pass ${b} reason=retried age=300 accepted=1`),
    line(DAY, `pass ${b} reason=known age=1 accepted=2`),
  ];
  const two = [
    line(100, `defer ${b} reason=new wait=60`),
    line(300, `pass ${a} reason=retried age=300 accepted=1`),
    line(DAY, `pass ${a} reason=known age=1 accepted=2`),
  ];
  const mx1 = writeFile("log/mx1", one.join(""));
  const mx2 = writeFile("log/mx2", await gzip(two.join("")));
  const frame = (host: string, lines: string[]) =>
    lines.map((line) => line.replace(" ", ` ${host} greylist[1]: `));
  const central = [...frame("mx1", one), ...frame("mx2", two)].sort();
  const ways: [string[], RunOptions?][] = [
    [[`--host=mx1=${mx1}`, `--host=mx2=${mx2}`]],
    [["--host", `mx2=${mx2}`, "--host", `mx1=${mx1}`]],
    [["-"], { input: central.join("") }],
  ];
  for (const [args, options] of ways) {
    const found = await json(args, options);
    assertEquals(found.networks.deferred, 2);
    assertEquals(found.networks.accepted, 2, "as one log, by time");
    assertEquals([found.delay.count, found.delay.worst], [2, 300]);
    const counts = { deferred: 1, wouldDefer: 0, passed: 2, retried: 1 };
    const rest = { elsewhere: 1, warnings: 0, errors: 0 };
    assertEquals(found.hosts, [
      { host: "mx1", ...counts, ...rest },
      { host: "mx2", ...counts, ...rest },
    ]);
  }
  const unnamed = await json([mx1, mx2]);
  assertEquals([unnamed.networks.accepted, unnamed.hosts], [2, []]);
  const { stdout } = await report(ways[0][0]);
  assertMatch(stdout, /^By host$[^]*^ {2}mx1 .*^ {2}mx2 /ms);
});

Deno.test("report: long logs are merged line by line", async () => {
  // Each network is deferred in one file and let in by the next line of the
  // other, some megabytes long.
  const files: string[][] = [[], []];
  const count = 20_000;
  for (let i = 0; i < count; i++) {
    const net = `net=2001:db8:${(i >> 8).toString(16)}:${i & 255}::/64`;
    files[i % 2].push(line(i, `defer ip=x ${net} reason=new wait=1`));
    files[1 - i % 2].push(
      line(i + 0.5, `pass ip=x ${net} reason=retried age=0 accepted=1`),
    );
  }
  const names = files.map((lines, i) =>
    writeFile(`log/long${i}`, lines.join(""))
  );
  const found = await json(names);
  assertEquals(found.networks.deferred, count);
  assertEquals([found.networks.accepted, found.delay.count], [count, count]);
});

// `deno task spf`: what it prints, and how it is called.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { parseRule, searchFile } from "../../lib/whitelist/file.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir } from "../harness/root.ts";
import { NEEDS, networks, SPECIAL, spf, ZONE } from "../harness/spf_task.ts";
import { startUnbound } from "../harness/unbound.ts";

e2e("spf: a file that the whitelist can read", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const dir = emptyDir("spf");
  const file = `${dir}/pools`;
  const made = await spf(
    "Good.spf.example.",
    "other.spf.example",
    "good.spf.example",
    `--output=${file}`,
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals([made.code, made.stdout], [0, ""], made.stderr);
  assertEquals(made.told, [
    "greylist spf: good.spf.example: 4 networks (3 of 10 look-ups)",
    "greylist spf: other.spf.example: 1 network (1 of 10 look-ups)",
  ]);
  const text = Deno.readTextFileSync(file);
  const good = "good.spf.example >";
  const pool = `${good} include:pool.spf.example > ip4`;
  const other = "other.spf.example > redirect=alias.spf.example > ip4";
  assertEquals(networks(text), [
    `192.0.2.0/24  # ${pool}; ${good} a; ${other}`,
    `198.51.100.0/24  # ${good} mx/24//64 (mx1.spf.example); ` +
    `${good} mx/24//64 (mx2.spf.example)`,
    `2001:db8:0:1::/64  # ${good} mx/24//64 (mx1.spf.example)`,
    `2001:db8:ffff::/48  # ${good} ip6`,
  ]);
  const header = text.split("\n").filter((line) => line.startsWith("#"));
  assertEquals(
    header[0],
    '# Made by "deno task spf Good.spf.example. other.spf.example ' +
      `good.spf.example --output=${file} --server=127.0.0.1:${dns.port}"`,
  );
  assertMatch(header[1], /^# on \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\. /);
  assertMatch(header[2], /whitelist\.files/);
  assertEquals(header.slice(3), [
    "# good.spf.example: 4 networks (3 of 10 look-ups)",
    "# other.spf.example: 1 network (1 of 10 look-ups)",
    "# In all: 4 networks",
  ]);

  // The wrapper's own reader takes every line.
  for (const line of networks(text)) {
    assert(!("fault" in parseRule(line.split("#", 1)[0].trim())), line);
  }
  const find = (address: string) =>
    searchFile(text, { address: parseAddress(address), host: undefined });
  assertEquals(find("192.0.2.255"), { line: header.length + 1, bad: [] });
  assertEquals(find("2001:db8:ffff::1"), { line: header.length + 4, bad: [] });
  assertEquals(find("192.0.3.0"), { line: undefined, bad: [] });

  assertEquals(Deno.statSync(file).mode! & 0o777, 0o644);
  assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["pools"]);
});

e2e(
  "spf: standard output, IPv6 server, long and split records",
  NEEDS,
  async () => {
    await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
    const server = `--server=[::1]:${dns.port}`;
    const made = await spf("long.spf.example", "split.spf.example", server);
    assertEquals(made.code, 0, made.stderr);
    const lines = networks(made.stdout);
    assertEquals(lines.length, 121);
    assertEquals(lines[119], "10.119.0.0/17  # long.spf.example > ip4");
    assertEquals(lines[120], "203.0.113.0/24  # split.spf.example > ip4");

    const vague = await spf("vague.spf.example", "chain10.spf.example", server);
    assertEquals(vague.code, 0, vague.stderr);
    const left =
      "vague.spf.example: ptr: left out: cannot be turned into networks";
    const macro = left.replace("ptr", "exists:%{i}.spf.example");
    assertEquals(vague.told, [
      `greylist spf: ${left}`,
      `greylist spf: ${macro}`,
      "greylist spf: vague.spf.example: 1 network (2 of 10 look-ups)",
      "greylist spf: chain10.spf.example: 1 network (10 of 10 look-ups)",
    ]);
    assert(vague.stdout.includes(`# ${left}\n# ${macro}\n`), vague.stdout);

    const without = await spf("without.spf.example", server);
    const unknown = "without.spf.example: -exists:%{i}.spf.example: " +
      "not looked up: what it refuses may be listed all the same";
    assertEquals(without.code, 0, without.stderr);
    assertEquals(without.told, [
      `greylist spf: ${unknown}`,
      "greylist spf: without.spf.example: 1 network (1 of 10 look-ups)",
    ]);
    assert(without.stdout.includes(`# ${unknown}\n`), without.stdout);
    assertEquals(networks(without.stdout), [
      "203.0.113.2/32  # without.spf.example > ip4 " +
      "(although -exists:%{i}.spf.example)",
    ]);
  },
);

e2e("spf: what standard error does not take is dropped", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const file = `${emptyDir("spf")}/pools`;
  const { code } = await run([
    "sh",
    "-c",
    'exec "$@" 2>/dev/full',
    "sh",
    ...[Deno.execPath(), "task", "--quiet", "spf", "pool.spf.example"],
    `--output=${file}`,
    `--server=127.0.0.1:${dns.port}`,
  ], { cwd: PROJECT });
  assertEquals(code, 0);
  assertEquals(networks(Deno.readTextFileSync(file)).length, 1);
});

e2e("spf: a command line that is wrong", {}, async () => {
  const help = "deno task spf --help tells more";
  const domain = "expected a domain such as example.com";
  const cases: [string[], string][] = [
    [[], `expected a DOMAIN; ${help}`],
    [["a.example", "--quick"], "--quick: unknown option"],
    [["a.example", "--output="], "--output: expected "],
    [["a.example", "--server="], "--server: expected "],
    [["a.example", "--server=::1:x"], "--server: ::1:x: expected HOST"],
    [["a.example", "--server=h:65536"], "--server: h:65536: expected HOST"],
    [["localhost"], `localhost: ${domain}`],
    [["192.0.2.1"], `192.0.2.1: ${domain}`],
    [["user@a.example"], `user@a.example: ${domain}`],
    [[`${"a".repeat(64)}.example`], domain],
    [["a\x1b.example"], `a\\027.example: ${domain}`],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, told } = await spf(...args);
    assertEquals([code, stdout, told.length], [100, "", 1], told.join("\n"));
    assert(told[0].startsWith("greylist spf: "), told[0]);
    assert(told[0].includes(message), told[0]);
  }
  const shown = await spf("--help");
  assertEquals([shown.code, shown.told], [0, []]);
  assertMatch(shown.stdout, /^NAME\n {4}deno task spf - /);
  for (const line of shown.stdout.split("\n")) assert(line.length <= 80, line);
});

/**
 * `deno task spf` against unbound, with each fault that a DNS can have.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { DnsResolver, parseServer, systemServers } from "../../lib/spf/dns.ts";
import { TempError } from "../../lib/spf/resolver.ts";
import { parseRule, searchFile } from "../../lib/whitelist/file.ts";
import { e2e } from "../harness/need.ts";
import { freePort, type Outcome, run } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { startUnbound } from "../harness/unbound.ts";

const NEEDS = { programs: ["unbound"] };

/** The strings of a TXT record with 120 networks, far above 512 bytes. */
function longRecord(): string {
  const terms = Array.from({ length: 120 }, (_, i) => `ip4:10.${i}.0.0/17`);
  const text = `v=spf1 ${terms.join(" ")} -all`;
  // Cut anywhere, as tools that publish keys and records do.
  return text.match(/.{1,200}/g)!.map((part) => `"${part}"`).join(" ");
}

function chain(length: number): string {
  const links = Array.from(
    { length: length - 1 },
    (_, i) =>
      `n${length}-${i + 1} TXT "v=spf1 include:n${length}-${
        i + 2
      }.spf.example -all"`,
  );
  return [
    `chain${length} TXT "v=spf1 include:n${length}-1.spf.example -all"`,
    ...links,
    `n${length}-${length} TXT "v=spf1 ip4:192.0.2.1 -all"`,
  ].join("\n");
}

/** Names that are refused, and names that are not answered. */
const SPECIAL = [
  'local-zone: "refused.example." refuse',
  'local-zone: "dropped.example." deny',
];

const ZONE = `$ORIGIN spf.example.
$TTL 60
@ SOA ns.spf.example. hostmaster.spf.example. 1 3600 600 86400 60
@ NS ns.spf.example.
ns A 127.0.0.1

good TXT "v=spf1 a mx/24//64 include:pool.spf.example ip6:2001:db8:ffff::/48 ~all"
good TXT "site-verification=1"
good A 192.0.2.129
good MX 10 mx1.spf.example.
good MX 20 mx2.spf.example.
mx1 A 198.51.100.7
mx1 AAAA 2001:db8:0:1::7
mx2 CNAME mx3
mx3 A 198.51.100.8
pool TXT "v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/26 ip4:192.0.2.192/26 -all"
other TXT "v=spf1 redirect=alias.spf.example"
alias CNAME pool
split TXT "v=spf1 ip4:203.0" ".113.0/24 -a" "ll"
long TXT ${longRecord()}
without TXT "v=spf1 -exists:%{i}.spf.example ip4:203.0.113.2 -all"
vague TXT "v=spf1 ip4:203.0.113.1 ptr exists:%{i}.spf.example -all"

none A 192.0.2.1
two TXT "v=spf1 -all"
two TXT "v=spf1 ip4:192.0.2.1 -all"
closed TXT "v=spf1 -all"
bare TXT "v=spf1"
asks TXT "v=spf1 exists:%{i}.spf.example -all"
garbage TXT "v=spf1 \\255\\027[2J\\010ip4 -all"
loop TXT "v=spf1 include:loop2.spf.example -all"
loop2 TXT "v=spf1 redirect=loop.spf.example"
void TXT "v=spf1 a:v1.spf.example mx:v2.spf.example a:none.nowhere.spf.example -all"
v1 TXT "a name without an address"
world TXT "v=spf1 +all"
halves TXT "v=spf1 include:zero.spf.example ip4:128.0.0.0/1 -all"
zero TXT "v=spf1 ip4:0.0.0.0/1 -all"
six TXT "v=spf1 ip6:2000::/15 -all"
eights TXT "v=spf1 include:eights2.spf.example ip4:12.0.0.0/8 -all"
eights2 TXT "v=spf1 ip4:10.0.0.0/8 -all"
ten TXT "v=spf1 ip4:10.0.0.0/8 -all"
eleven TXT "v=spf1 ip4:11.0.0.0/8 -all"
toservfail TXT "v=spf1 include:x.servfail.example -all"
torefused TXT "v=spf1 a:x.refused.example -all"
todropped TXT "v=spf1 redirect=x.dropped.example"
${chain(10)}
${chain(11)}
`;

interface Result extends Outcome {
  /** The command's own lines on standard error. */
  readonly told: readonly string[];
}

/** A file that the task made before. */
const OLD = '# Made by "deno task spf old.example"\n192.0.2.1\n';

/** Runs `deno task spf`. */
function spf(...args: string[]): Promise<Result> {
  return spfBehind([], ...args);
}

/** The same, started by another program. */
async function spfBehind(before: string[], ...args: string[]): Promise<Result> {
  const outcome = await run(
    [...before, Deno.execPath(), "task", "--quiet", "spf", ...args],
    { cwd: PROJECT },
  );
  // The line on where @std comes from is the task's.
  const told = outcome.stderr.split("\n")
    .filter((line) => line !== "" && !line.startsWith("@std comes"));
  return { ...outcome, told };
}

/** The lines of a whitelist file that are no comments. */
function networks(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && line[0] !== "#");
}

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

const WORLD = "would whitelist too much of the Internet: more addresses than ";

/** Each fault: the domain, the exit code, the line after the domain. */
const FAULTS: [string, 100 | 111, string][] = [
  ["nowhere.spf.example", 100, "no such domain"],
  ["none.spf.example", 100, "no SPF record"],
  ["two.spf.example", 100, "2 SPF records, expected one"],
  ["closed.spf.example", 100, "no networks"],
  ["bare.spf.example", 100, "no networks"],
  [
    "garbage.spf.example",
    100,
    "\\255\\027[2J\\010ip4: unknown mechanism",
  ],
  [
    "loop.spf.example",
    100,
    "loop.spf.example > loop2.spf.example > loop.spf.example: a loop",
  ],
  [
    "chain11.spf.example",
    100,
    "n11-10.spf.example: more than 10 terms that need DNS look-ups",
  ],
  [
    "void.spf.example",
    100,
    "none.nowhere.spf.example: more than 2 look-ups that found nothing",
  ],
  [
    "world.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 0.0.0.0/0 ` +
    "(world.spf.example > +all)",
  ],
  [
    "halves.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 0.0.0.0/0 ` +
    "(halves.spf.example > include:zero.spf.example > ip4)",
  ],
  [
    "six.spf.example",
    100,
    `${WORLD}an IPv6 /16 has; the widest network is 2000::/15 ` +
    "(six.spf.example > ip6)",
  ],
  [
    "eights.spf.example",
    100,
    `${WORLD}an IPv4 /8 has; the widest network is 10.0.0.0/8 ` +
    "(eights.spf.example > include:eights2.spf.example > ip4)",
  ],
  ["servfail.example", 111, "servfail.example TXT: SERVER: SERVFAIL"],
  ["toservfail.spf.example", 111, "x.servfail.example TXT: SERVER: SERVFAIL"],
  ["torefused.spf.example", 111, "x.refused.example A: SERVER: REFUSED"],
  [
    "todropped.spf.example",
    111,
    "x.dropped.example TXT: SERVER: it closed the connection",
  ],
];

e2e("spf: each fault is one line, and the old file stays", NEEDS, async (t) => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const file = writeFile("spf/old", OLD);
  const { ino } = Deno.statSync(file);
  const server = `127.0.0.1:${dns.port}`;
  const options = [`--output=${file}`, `--server=${server}`];
  const untouched = () => {
    assertEquals(Deno.readTextFileSync(file), OLD);
    assertEquals(Deno.statSync(file).ino, ino);
    const names = [...Deno.readDirSync(`${ROOT}/spf`)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith(".")), []);
  };
  const line = ([domain, , message]: typeof FAULTS[number]) =>
    `greylist spf: ${domain}: ${message.replace("SERVER", server)}`;

  for (const kind of [100, 111] as const) {
    await t.step(`exit ${kind}`, async () => {
      const faults = FAULTS.filter(([, code]) => code === kind);
      const domains = faults.map(([domain]) => domain);
      const failed = await spf("good.spf.example", ...domains, ...options);
      assertEquals([failed.code, failed.stdout], [kind, ""], failed.stderr);
      assertEquals(failed.told, [
        "greylist spf: good.spf.example: 4 networks (3 of 10 look-ups)",
        ...faults.map(line),
      ]);
      untouched();
    });
  }

  await t.step(
    "exit 100 if trying again helps with only one of two domains",
    async () => {
      const names = ["toservfail.spf.example", "two.spf.example"];
      const failed = await spf(...names, ...options);
      assertEquals(failed.code, 100, failed.stderr);
      assertEquals(failed.told.length, 2);
      untouched();
    },
  );

  await t.step("two domains whose lists together are too large", async () => {
    const names = ["ten.spf.example", "eleven.spf.example"];
    const failed = await spf(...names, ...options);
    assertEquals(failed.code, 100, failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: ten.spf.example: 1 network (0 of 10 look-ups)",
      "greylist spf: eleven.spf.example: 1 network (0 of 10 look-ups)",
      `greylist spf: all domains together: ${WORLD}an IPv4 /8 has; the ` +
      "widest network is 10.0.0.0/7 (ten.spf.example > ip4)",
    ]);
    untouched();
  });

  await t.step("a domain without networks, after its warnings", async () => {
    const failed = await spf("asks.spf.example", ...options);
    assertEquals([failed.code, failed.stdout], [100, ""], failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: asks.spf.example: exists:%{i}.spf.example: left out: " +
      "cannot be turned into networks",
      "greylist spf: asks.spf.example: no networks",
    ]);
    untouched();
  });

  await t.step("no server listens there", async () => {
    const dead = `127.0.0.1:${freePort()}`;
    const failed = await spf(
      "good.spf.example",
      `--output=${file}`,
      `--server=${dead}`,
    );
    assertEquals(failed.code, 111, failed.stderr);
    assertEquals(failed.told, [
      "greylist spf: good.spf.example: good.spf.example TXT: " +
      `${dead}: connection refused`,
    ]);
    untouched();
  });
});

e2e("spf: the file is replaced, its mode, owner and link stay", {
  ...NEEDS,
  root: true,
}, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const file = writeFile("spf/real", OLD, 0o640);
  Deno.chownSync(file, 65534, 12345);
  const { ino } = Deno.statSync(file);
  const link = `${ROOT}/spf/link`;
  Deno.symlinkSync(file, link);
  const made = await spf(
    "pool.spf.example",
    `--output=${link}`,
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals(made.code, 0, made.stderr);
  assertEquals(Deno.readLinkSync(link), file);
  const { mode, uid, gid, ino: now } = Deno.statSync(file);
  assertEquals([mode! & 0o777, uid, gid], [0o640, 65534, 12345]);
  // In one step: another file has taken the place, nothing was written over.
  assert(now !== ino);
  assertEquals(networks(Deno.readTextFileSync(file)), [
    "192.0.2.0/24  # pool.spf.example > ip4",
  ]);
});

e2e("spf: 111 on a full disk, and the old file stays", {
  programs: [...NEEDS.programs, "mount", "unshare"],
  mounts: true,
}, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const directory = emptyDir("spf/full");
  const script = `mount -t tmpfs -o size=8k tmpfs "$0" || exit 1
printf '${OLD}' >"$0/file"
dd if=/dev/zero of="$0/filler" 2>/dev/null
"$@"
code=$?
ls -A "$0"
cat "$0/file"
exit $code`;
  const before = ["unshare", "--mount", "sh", "-c", script, directory];
  const output = `--output=${directory}/file`;
  const failed = await spfBehind(
    before,
    "pool.spf.example",
    output,
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals([failed.code, failed.stdout], [111, `file\nfiller\n${OLD}`]);
  assertEquals(
    failed.told.at(-1),
    `greylist spf: --output: ${directory}/file: No space left on device`,
  );
});

e2e("spf: an output where no file can be", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const dir = emptyDir("spf/directory");
  const cases: [string, string][] = [
    [dir, "not a regular file"],
    ["/dev/full", "not a regular file"],
    [`${dir}/missing/file`, "No such file or directory"],
    [`${writeFile("spf/plain", "")}/file`, "Not a directory"],
  ];
  for (const [output, why] of cases) {
    const failed = await spf(
      "pool.spf.example",
      `--output=${output}`,
      `--server=127.0.0.1:${dns.port}`,
    );
    assertEquals(failed.code, 100, failed.stderr);
    assertEquals(
      failed.told.at(-1),
      `greylist spf: --output: ${output}: ${why}`,
    );
  }
});

e2e("spf: a file that it did not make stays", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const server = `--server=127.0.0.1:${dns.port}`;
  emptyDir("spf");
  const kept = "# our friends\n# Made by us\n192.0.2.1\n";
  const file = writeFile("spf/whitelist", kept);
  const refused = await spf("pool.spf.example", `--output=${file}`, server);
  assertEquals([refused.code, refused.stdout], [100, ""], refused.stderr);
  // Nothing was looked up.
  assertEquals(refused.told, [
    `greylist spf: --output: ${file}: not made by deno task spf or pools: ` +
    "expected another file",
  ]);
  assertEquals(Deno.readTextFileSync(file), kept);

  const empty = writeFile("spf/empty", "");
  // The second time, it replaces what it has made.
  for (const domain of ["pool.spf.example", "split.spf.example"]) {
    const made = await spf(domain, `--output=${empty}`, server);
    assertEquals(made.code, 0, made.stderr);
    assertEquals(networks(Deno.readTextFileSync(empty)).length, 1);
  }
});

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

Deno.test("spf: --server's forms", () => {
  const cases: [string, string, number][] = [
    ["192.0.2.1", "192.0.2.1", 53],
    ["192.0.2.1:5353", "192.0.2.1", 5353],
    ["::1", "::1", 53],
    ["[::1]", "::1", 53],
    ["[2001:db8::1]:65535", "2001:db8::1", 65535],
    ["localhost:53", "localhost", 53],
  ];
  for (const [text, host, port] of cases) {
    assertEquals(parseServer(text), { host, port }, text);
  }
  for (
    const text of [
      "",
      ":53",
      "host:",
      "host:0",
      "host:65536",
      "host:053",
      "[::1",
      "[192.0.2.1]:53",
      "[host]:53",
      "1.2.3:53",
      "::1:x",
    ]
  ) assertEquals(parseServer(text), undefined, text);
});

Deno.test("spf: resolv.conf's servers", () => {
  const text = "# nameserver 192.0.2.9\nsearch example\n" +
    "nameserver 192.0.2.1\nnameserver\t2001:db8::1 \noptions rotate\n";
  assertEquals(systemServers(text), [
    { host: "192.0.2.1", port: 53 },
    { host: "2001:db8::1", port: 53 },
  ]);
  assertEquals(systemServers("options rotate\n"), [
    { host: "127.0.0.1", port: 53 },
  ]);
});

e2e(
  "spf: if a server does not answer, the next is asked",
  NEEDS,
  async () => {
    await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const servers = [silent.addr.port, freePort(), dns.port]
      .map((port) => ({ host: "127.0.0.1", port }));
    const name = "pool.spf.example";

    const found = await new DnsResolver(servers, 5000).txt(name);
    assertMatch(found.records.join(), /^v=spf1 ip4:192\.0\.2\.0\/25 /);
    // NXDOMAIN is an answer, so no other server is asked.
    const none = await new DnsResolver(servers.reverse(), 5000)
      .txt("nowhere.spf.example");
    assertEquals(none, { exists: false, records: [] });
    assertEquals(await new DnsResolver([], 500).txt("a..example"), none);

    const alone = new DnsResolver([servers[2]], 100);
    const error = await assertRejects(() => alone.txt(name), TempError);
    const { port } = silent.addr;
    assertEquals(
      error.message,
      `${name} TXT: 127.0.0.1:${port}: no answer in 0.1 s`,
    );
  },
);

Deno.test("spf: the server that answered is asked first from then on", async () => {
  using dead = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const servers = [dead, first]
    .map(({ addr: { port } }) => ({ host: "127.0.0.1", port }));
  const resolver = new DnsResolver(servers, 200);
  // No record, from a server that resolves names of others.
  const none = (query: Uint8Array) => [
    ...query.slice(0, 2),
    0x81,
    0x80,
    ...query.slice(4),
  ];
  let askedInVain = 0;
  const refusing = (async () => {
    for await (const connection of dead) {
      askedInVain++;
      connection.close();
    }
  })();
  for (const name of ["a.example", "b.example", "c.example"]) {
    const served = answer(first, none);
    assertEquals(await resolver.txt(name), { exists: true, records: [] });
    await served;
  }
  assertEquals(askedInVain, 1);
  // If it goes away, the others are asked again.
  first.close();
  await assertRejects(() => resolver.txt("d.example"), TempError);
  assertEquals(askedInVain, 2);
  dead.close();
  await refusing;
});

/** Serves one connection: a reply made from the query's bytes. */
async function answer(
  listener: Deno.TcpListener,
  reply: (query: Uint8Array) => number[],
): Promise<void> {
  using connection = await listener.accept();
  const bytes = new Uint8Array(512);
  const length = await connection.read(bytes) ?? 0;
  const message = reply(bytes.slice(2, length));
  const framed = [message.length >> 8, message.length & 0xff, ...message];
  await connection.write(Uint8Array.from(framed));
}

Deno.test("spf: a reply to another question is no answer", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = { host: "127.0.0.1", port: listener.addr.port };
  const resolver = new DnsResolver([server], 5000);
  const flags = (query: Uint8Array, high: number, low: number) => [
    ...query.slice(0, 2),
    high,
    low,
    ...query.slice(4),
  ];
  const other = "its answer is not to what was asked";
  const cases: [(query: Uint8Array) => number[], string][] = [
    [(q) => [q[0] ^ 1, ...flags(q, 0x81, 0x80).slice(1)], other],
    [(q) => flags(q, 0x81, 0x80).with(13, 0x62), other],
    [(q) => flags(q, 0x81, 0x80).with(q.length - 3, 1), other],
    [(q) => flags(q, 0x83, 0x80), other],
    [(q) => flags(q, 0x81, 0x00), "does not resolve names of others"],
    [(q) => flags(q, 0x81, 0x81), "FORMERR"],
    [(q) => flags(q, 0x81, 0x89), "response code 9"],
    [(q) => [...q], "its answer cannot be read: a query, not a reply"],
    [() => [], "its answer cannot be read: cut short"],
  ];
  for (const [reply, message] of cases) {
    const served = answer(listener, reply);
    const error = await assertRejects(
      () => resolver.txt("a.example"),
      TempError,
    );
    await served;
    const { host, port } = server;
    assertEquals(error.message, `a.example TXT: ${host}:${port}: ${message}`);
  }
  const served = answer(listener, (q) => flags(q, 0x81, 0x80));
  assertEquals(await resolver.txt("A.example"), { exists: true, records: [] });
  await served;
});

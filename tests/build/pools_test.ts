/**
 * `deno task pools` against unbound, with records of the shapes that the large
 * senders have.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SENDERS } from "../../lib/build/spf/senders.ts";
import { isName } from "../../lib/spf/message.ts";
import { searchFile } from "../../lib/whitelist/file.ts";
import { parseAddress } from "../../lib/address.ts";
import { e2e } from "../harness/need.ts";
import { type Outcome, run } from "../harness/process.ts";
import { PROJECT } from "../harness/project.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { startUnbound } from "../harness/unbound.ts";

const NEEDS = { programs: ["unbound"] };

/** A record too long for one string, as spf.protection.outlook.com has it. */
const LONG = Array.from({ length: 60 }, (_, i) => `ip4:10.1.${i}.0/25`);

/** The names of each record are those in use, the addresses are not. */
const RECORDS: Record<string, string> = {
  // Includes of includes, by family.
  "_spf.google.com": "v=spf1 include:_netblocks.google.com " +
    "include:_netblocks2.google.com include:_netblocks3.google.com ~all",
  "_netblocks.google.com": "v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 ~all",
  "_netblocks2.google.com": "v=spf1 ip6:2001:db8:4000::/36 ~all",
  "_netblocks3.google.com": "v=spf1 ip4:198.51.100.0/24 ~all",
  "spf.protection.outlook.com": `v=spf1 ${LONG.join(" ")} ` +
    "include:spfd.protection.outlook.com -all",
  "spfd.protection.outlook.com": "v=spf1 ip6:2001:db8:111::/48 -all",
  "outlook.com": "v=spf1 ip4:10.1.0.128/25 include:_spf.outlook.com ~all",
  "_spf.outlook.com": "v=spf1 ip4:10.2.0.0/16 -all",
  // A redirect to names instead of networks.
  "yahoo.com": "v=spf1 redirect=_spf.mail.yahoo.com",
  "_spf.mail.yahoo.com": "v=spf1 ptr:yahoo.com ptr:yahoo.net ?all",
  // A macro beside networks.
  "sendgrid.net": "v=spf1 ip4:203.0.113.0/24 exists:%{i}._s.sendgrid.net ~all",
  // Ten look-ups.
  "_netblocks.mimecast.com": "v=spf1 " +
    Array.from(
      { length: 10 },
      (_, i) => `include:r${i}._netblocks.mimecast.com`,
    )
      .join(" ") +
    " ~all",
  ...Object.fromEntries(Array.from({ length: 10 }, (_, i) => [
    `r${i}._netblocks.mimecast.com`,
    `v=spf1 ip4:10.3.${2 * i}.0/24 ~all`,
  ])),
  // A record with hosts.
  "mx.ovh.com": "v=spf1 mx a:out.mx.ovh.com/28 ~all",
  // One that has become too long, and one that would be the whole world.
  "amazonses.com": "v=spf1 " +
    Array.from({ length: 11 }, (_, i) => `a:h${i}.amazonses.com`).join(" ") +
    " -all",
  "mailgun.org": "v=spf1 ip4:192.0.2.1 +all",
  // Only a macro: nothing that a file could list.
  "spf.mailjet.com": "v=spf1 exists:%{i}._s.mailjet.com -all",
};

/** A zone of all names: what is not in it does not exist. */
function zone(records: Record<string, string>): string {
  const txt = Object.entries(records).map(([name, record]) => {
    const strings = record.match(/.{1,200}/g)!.map((part) => `"${part}"`);
    return `${name}. TXT ${strings.join(" ")}\n`;
  });
  return `$TTL 60
. SOA ns. hostmaster. 1 3600 600 86400 60
. NS ns.
ns. A 127.0.0.1
mx.ovh.com. MX 10 mx1.mx.ovh.com.
mx1.mx.ovh.com. A 203.0.113.200
out.mx.ovh.com. A 203.0.113.17
${
    Array.from({ length: 11 }, (_, i) => `h${i}.amazonses.com. A 10.9.0.${i}\n`)
      .join("")
  }${txt.join("")}`;
}

interface Result extends Outcome {
  /** The command's own lines on standard error. */
  readonly told: readonly string[];
}

/** A file that the task made before. */
const OLD = '# Made by "deno task pools"\n192.0.2.77/32\n';

/** Runs `deno task pools`. */
async function pools(...args: string[]): Promise<Result> {
  const outcome = await run(
    [Deno.execPath(), "task", "--quiet", "pools", ...args],
    { cwd: PROJECT },
  );
  const told = outcome.stderr.split("\n")
    .filter((line) => line !== "" && !line.startsWith("@std comes"))
    .map((line) => {
      assertMatch(line, /^greylist pools: /);
      return line.slice("greylist pools: ".length);
    });
  return { ...outcome, told };
}

function networks(path: string): string[] {
  return Deno.readTextFileSync(path).split("\n")
    .filter((line) => line !== "" && line[0] !== "#")
    .map((line) => line.replace(/ {2}#.*/, ""));
}

Deno.test("pools: the list of senders is in order", () => {
  assert(SENDERS.length >= 30, `${SENDERS.length}`);
  const names = SENDERS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  const domains = SENDERS.flatMap(({ domains }) => domains);
  assertEquals(new Set(domains).size, domains.length);
  for (const { name, description, domains, hosts = [] } of SENDERS) {
    assertMatch(name, /^[a-z0-9][a-z0-9.-]{0,15}$/);
    assertMatch(description, /^.{3,50}$/, name);
    assert(domains.length > 0, name);
    for (const domain of domains) {
      assert(isName(domain) && domain === domain.toLowerCase(), domain);
    }
    for (const host of hosts) assertMatch(host, /^\.[a-z0-9.-]+$/);
  }
});

e2e(
  "pools: a file each, and the lines of the configuration",
  NEEDS,
  async () => {
    await using dns = await startUnbound({ "": zone(RECORDS) });
    const dir = emptyDir("pools");
    const only = "--only=yahoo,google,microsoft,mimecast,ovh,sendgrid";
    const server = `--server=127.0.0.1:${dns.port}`;
    const made = await pools(`--output=${dir}`, only, server);
    assertEquals(made.code, 0, made.stderr);
    assertEquals(made.told, [
      "google: 3 networks, a new file",
      "microsoft: 62 networks, a new file",
      "sendgrid: sendgrid.net: exists:%{i}._s.sendgrid.net: left out: cannot be " +
      "turned into networks",
      "sendgrid: 1 network, a new file",
      "mimecast: 10 networks, a new file",
      "ovh: 2 networks, a new file",
    ]);
    assertEquals(
      made.stdout,
      `  pools: [
    // Gmail, Google Workspace
    { name: "google", files: ["${dir}/pool-google"] },
    // Outlook.com, Microsoft 365
    { name: "microsoft", files: ["${dir}/pool-microsoft"] },
    // Yahoo Mail, AOL
    { name: "yahoo", hosts: [".yahoo.com"] },
    // Twilio SendGrid
    { name: "sendgrid", files: ["${dir}/pool-sendgrid"] },
    // Mimecast, gateway
    { name: "mimecast", files: ["${dir}/pool-mimecast"] },
    // OVHcloud, mail of hosted domains
    { name: "ovh", files: ["${dir}/pool-ovh"] },
  ],
`,
    );
    assertEquals(networks(`${dir}/pool-google`), [
      "192.0.2.0/24",
      "198.51.100.0/24",
      "2001:db8:4000::/36",
    ]);
    assertEquals(networks(`${dir}/pool-ovh`), [
      "203.0.113.16/28",
      "203.0.113.200/32",
    ]);
    const text = Deno.readTextFileSync(`${dir}/pool-microsoft`);
    const lines = text.split("\n");
    assertEquals(lines[0], '# Made by "deno task pools"');
    assertMatch(lines[1], /^# on \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\. /);
    assertEquals(lines.slice(2, 6), [
      "# It counts when pools in greylist.config.ts names it.",
      "# spf.protection.outlook.com: 61 networks (1 of 10 look-ups)",
      "# outlook.com: 2 networks (1 of 10 look-ups)",
      "# In all: 62 networks",
    ]);
    // The wrapper's own reader takes every line.
    const client = { address: parseAddress("10.2.3.4"), host: undefined };
    assertEquals(searchFile(text, client).bad, []);
    assert(searchFile(text, client).line !== undefined);
    assertEquals(
      [...Deno.readDirSync(dir)].map(({ name }) => name).sort(),
      ["google", "microsoft", "mimecast", "ovh", "sendgrid"]
        .map((name) => `pool-${name}`),
    );
  },
);

e2e("pools: what has changed is told, and nothing else", NEEDS, async (t) => {
  const dir = emptyDir("pools-changed");
  const file = `${dir}/pool-google`;
  const again = async (records: Record<string, string>) => {
    await using dns = await startUnbound({ "": zone(records) });
    const server = `--server=127.0.0.1:${dns.port}`;
    return await pools(`--output=${dir}`, "--only=google", server);
  };
  await again(RECORDS);
  const { ino } = Deno.statSync(file);

  await t.step("nothing has", async () => {
    const { code, told, stdout } = await again(RECORDS);
    assertEquals([code, told], [0, []]);
    assert(stdout.includes(`files: ["${file}"]`), stdout);
    assertEquals(Deno.statSync(file).ino, ino);
  });

  await t.step("networks are new, and one is gone", async () => {
    const more = Array.from({ length: 7 }, (_, i) => `ip4:10.4.${2 * i}.0/24`);
    const { code, told } = await again({
      ...RECORDS,
      "_netblocks3.google.com": `v=spf1 ${more.join(" ")} ~all`,
    });
    assertEquals(code, 0);
    assertEquals(told, [
      "google: 9 networks, new 10.4.0.0/24 10.4.2.0/24 10.4.4.0/24 " +
      "10.4.6.0/24 10.4.8.0/24 and 2 more, gone 198.51.100.0/24",
    ]);
    assertEquals(networks(file).length, 9);
  });

  await t.step("only the terms have", async () => {
    await again(RECORDS);
    const { code, told } = await again({
      ...RECORDS,
      "_netblocks.google.com": "v=spf1 ip4:192.0.2.0/24 ~all",
      "_netblocks3.google.com": "v=spf1 ip4:198.51.100.0/24 exists:%{i}.x ~all"
        .replace("%{i}.x", "%{i}.x.google.com"),
    });
    assertEquals(code, 0);
    assertEquals(told, [
      "google: _spf.google.com: _netblocks3.google.com: " +
      "exists:%{i}.x.google.com: left out: cannot be turned into networks",
      "google: 3 networks, the same, in other words",
    ]);
  });
});

e2e(
  "pools: a sender that fails keeps its file, and the others get theirs",
  NEEDS,
  async (t) => {
    await using dns = await startUnbound({ "": zone(RECORDS) }, [
      'local-zone: "outlook.com." refuse',
    ]);
    const server = `--server=127.0.0.1:${dns.port}`;
    const dir = emptyDir("pools-failed");
    for (const name of ["microsoft", "amazonses"]) {
      writeFile(`pools-failed/pool-${name}`, OLD);
    }
    const untouched = () => {
      assertEquals(networks(`${dir}/pool-microsoft`), ["192.0.2.77/32"]);
      assertEquals(networks(`${dir}/pool-amazonses`), ["192.0.2.77/32"]);
    };

    await t.step("exit 100", async () => {
      const only =
        "--only=google,microsoft,apple,mailjet,mailgun,amazonses,namecheap";
      const failed = await pools(`--output=${dir}`, only, server);
      assertEquals(failed.code, 100, failed.stderr);
      assertEquals(failed.told, [
        "google: 3 networks, a new file",
        "microsoft: spf.protection.outlook.com: spf.protection.outlook.com TXT: " +
        `127.0.0.1:${dns.port}: REFUSED; the old file stays`,
        "apple: icloud.com: no such domain; no file is made",
        "mailjet: spf.mailjet.com: no networks; no file is made",
        "mailgun: mailgun.org: would whitelist too much of the Internet: more " +
        "addresses than an IPv4 /8 has; the widest network is 0.0.0.0/0 " +
        "(mailgun.org > +all); no file is made",
        "namecheap: spf.efwd.registrar-servers.com: no such domain; no file is " +
        "made",
        "amazonses: amazonses.com: amazonses.com: more than 10 terms that need " +
        "DNS look-ups; the old file stays",
      ]);
      // The old files are of use, those that are not there are not.
      assertEquals(
        [...failed.stdout.matchAll(/name: "([^"]*)"/g)].map(([, name]) => name),
        ["google", "microsoft", "amazonses"],
      );
      untouched();
    });

    await t.step("exit 111: trying again may help", async () => {
      const only = "--only=google,microsoft";
      const failed = await pools(`--output=${dir}`, only, server);
      assertEquals([failed.code, failed.told.length], [111, 1], failed.stderr);
      untouched();
    });
  },
);

e2e("pools: a sender whose records list names now", NEEDS, async () => {
  await using dns = await startUnbound({ "": zone(RECORDS) });
  const dir = emptyDir("pools-names");
  const file = writeFile("pools-names/pool-yahoo", OLD);
  const args = [
    `--output=${dir}`,
    "--only=yahoo",
    `--server=127.0.0.1:${dns.port}`,
  ];
  const line = '{ name: "yahoo", hosts: [".yahoo.com"] },';
  const made = await pools(...args);
  assertEquals(made.code, 0, made.stderr);
  assertEquals(made.told, [
    "yahoo: its records have no networks any more: take its new line into " +
    `greylist.config.ts, then remove ${file}`,
  ]);
  assert(made.stdout.includes(line), made.stdout);
  assertEquals(networks(file), ["192.0.2.77/32"]);
  Deno.removeSync(file);
  const after = await pools(...args);
  assertEquals([after.code, after.told], [0, []]);
});

e2e("pools: a file that cannot be written, and the others", NEEDS, async () => {
  await using dns = await startUnbound({ "": zone(RECORDS) });
  const dir = emptyDir("pools-in-the-way");
  Deno.mkdirSync(`${dir}/pool-google`);
  const kept = writeFile("pools-in-the-way/pool-sendgrid", "192.0.2.77/32\n");
  const failed = await pools(
    `--output=${dir}`,
    "--only=google,sendgrid,ovh",
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals(failed.code, 100, failed.stderr);
  assertEquals(failed.told, [
    `google: --output: ${dir}/pool-google: not a regular file; no file is made`,
    `sendgrid: --output: ${kept}: not made by deno task spf or pools: expected ` +
    "another file; the old file stays",
    "ovh: 2 networks, a new file",
  ]);
  assertEquals(networks(`${dir}/pool-ovh`).length, 2);
  assertEquals(Deno.readTextFileSync(kept), "192.0.2.77/32\n");
  assertEquals(
    failed.stdout,
    `  pools: [
    // Twilio SendGrid
    { name: "sendgrid", files: ["${dir}/pool-sendgrid"] },
    // OVHcloud, mail of hosted domains
    { name: "ovh", files: ["${dir}/pool-ovh"] },
  ],
`,
  );
});

e2e("pools: a disk that is full", {
  mounts: true,
  programs: ["unbound", "mount"],
}, async () => {
  // More than the one page that is free.
  const more = LONG.map((term) => term.replace(":10.1.", ":10.5."));
  const records = {
    ...RECORDS,
    "_spf.outlook.com": `v=spf1 ${more.join(" ")}`,
  };
  await using dns = await startUnbound({ "": zone(records) });
  const dir = emptyDir("pools-full");
  const mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", dir];
  assertEquals((await run(mount)).code, 0);
  try {
    Deno.writeTextFileSync(`${dir}/pool-microsoft`, OLD);
    const failed = await pools(
      `--output=${dir}`,
      "--only=microsoft,ovh",
      `--server=127.0.0.1:${dns.port}`,
    );
    assertEquals(failed.code, 111, failed.stderr);
    assertEquals(failed.told, [
      `microsoft: --output: ${dir}/pool-microsoft: No space left on device; ` +
      "the old file stays",
      "ovh: 2 networks, a new file",
    ]);
    assertEquals(networks(`${dir}/pool-microsoft`), ["192.0.2.77/32"]);
    assertEquals(networks(`${dir}/pool-ovh`).length, 2);
    assertMatch(failed.stdout, /pool-microsoft"\] },\n[^]*pool-ovh"\]/);
  } finally {
    await run(["umount", dir]);
  }
});

e2e("pools: what standard error does not take is dropped", NEEDS, async () => {
  await using dns = await startUnbound({ "": zone(RECORDS) });
  const dir = emptyDir("pools-untold");
  const { code, stdout } = await run([
    "sh",
    "-c",
    'exec "$@" 2>/dev/full',
    "sh",
    ...[Deno.execPath(), "task", "--quiet", "pools", "--only=google,mailjet"],
    `--output=${dir}`,
    `--server=127.0.0.1:${dns.port}`,
  ], { cwd: PROJECT });
  assertEquals(code, 100, "mailjet has no networks");
  assertMatch(stdout, /name: "google"/);
  assertEquals(networks(`${dir}/pool-google`).length, 3);
});

e2e("pools: a command line that is wrong", {}, async () => {
  const file = writeFile("pools-file", "");
  const cases: [string[], string][] = [
    [[], "expected --output=DIR"],
    [["--output="], "--output: expected --output=VALUE"],
    [[`--output=${file}`], `--output: ${file}: not a directory`],
    [
      [`--output=${ROOT}/nowhere`],
      `--output: ${ROOT}/nowhere: No such file or directory`,
    ],
    [[`--output=${ROOT}`, "google"], "google: expected only options"],
    [
      [`--output=${ROOT}`, "--only=goo\x1bgle"],
      "--only: goo\\027gle: no such ",
    ],
    [[`--output=${ROOT}`, "--only=google,"], "--only: : no such sender"],
    [[`--output=${ROOT}`, "--server=::1:x"], "--server: ::1:x: expected HOST"],
    [["--quick"], "--quick: unknown option"],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, told } = await pools(...args);
    assertEquals([code, stdout, told.length], [100, "", 1], told.join("\n"));
    assert(told[0].startsWith(message), told[0]);
  }
  const shown = await pools("--help");
  assertEquals([shown.code, shown.told], [0, []]);
  assertMatch(shown.stdout, /^NAME\n {4}deno task pools - /);
  for (const line of shown.stdout.split("\n")) assert(line.length <= 80, line);
  for (const { name } of SENDERS) assert(shown.stdout.includes(`    ${name} `));
});

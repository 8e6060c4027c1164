/**
 * Every command that README and the manual show is run, or stands in NOT_RUN
 * with the reason.
 *
 * Each line of output that a page shows has to be among those that the command
 * writes, but for months and most numbers, which differ from one run to the next.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { clean, compile, entries } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import {
  isListening,
  type Outcome,
  run,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { BASE, CONTROL, emptyDir, writeFile } from "../harness/root.ts";
import { type Block, blocks, type Shown } from "../harness/shown.ts";
import {
  comparable,
  configure,
  COPY,
  ENV,
  growOlder,
  here,
  PORT,
  prepare,
  shell,
  SITE,
} from "../harness/site.ts";
import { talk } from "../harness/smtp.ts";
import { startUnbound } from "../harness/unbound.ts";

/** Why a command is not run here. */
const NOT_RUN: Readonly<Record<string, string>> = {
  "deno task replay": "a test of its own compares it with the page",
  "deno task test": "this test is a part of it",
  "npx -y deno@2.4.2 task demo": "downloads Deno; the demo is run without npx",
  "npx -y deno@2.4.2 task test": "downloads Deno; the tests run without npx",
  [
    `podman run -d --name mx --network=host --read-only \\
  --cap-drop=ALL --cap-add=NET_BIND_SERVICE,SETUID,SETGID \\
  --ulimit nofile=4096:4096 --stop-timeout=300 \\
  -v greylist:/var/qmail/greylist -v queue:/var/qmail/queue localhost/mx`
  ]: "needs podman and an image; the page says what was tried by hand",
  [
    `podman run --rm --network=host --entrypoint greylist \\
  -v greylist:/var/qmail/greylist -v queue:/var/qmail/queue localhost/mx \\
  check --user=qmaild /var/qmail/bin/qmail-smtpd`
  ]: "needs podman and an image; the page says what was tried by hand",
  "systemctl daemon-reload": "needs systemd as process 1",
  "systemctl disable --now greylist.socket": "needs systemd as process 1",
  "systemctl enable --now greylist.socket": "needs systemd as process 1",
  "systemctl enable --now qmail-smtpd.socket": "needs systemd as process 1",
  "systemctl start greylist.service": "needs systemd as process 1",
  "systemctl stop greylist.service": "needs systemd as process 1",
  "systemctl kill --kill-whom=main -s USR2 greylist.service":
    "needs systemd as process 1",
  "kill -USR2 $(svstat /service/qmail-smtpd | grep -o 'pid [0-9]*' | tr -dc 0-9)":
    "supervise_test.ts runs it",
  "sv 2 /service/qmail-smtpd": "supervise_test.ts runs it",
  "s6-svc -2 /service/qmail-smtpd": "supervise_test.ts runs it",
  "ssh out cat /var/log/qmail/send/current | greylist learn":
    "needs another host; the log is read as a file and from standard input",
  "spamdb | ssh mx greylist import --from=spamdb -":
    "needs OpenBSD; tests/commands/import_test.ts has such a listing",
  "greylist info --json | ssh newhost greylist import -":
    "needs another host; the commands are run with a file between them",
  "grep . /sys/fs/fuse/connections/*/waiting":
    "needs the host's own mounts of FUSE; they were aborted by hand",
  "echo 1 > /sys/fs/fuse/connections/52/abort":
    "needs the host's own mounts of FUSE; they were aborted by hand",
  "sleep 60": "takes a minute; the entry is made older instead",
};

/** How a command is run, if a shell and its output are not all. */
interface Case {
  readonly programs?: readonly string[];
  readonly root?: true;
  /** What is typed. The page shows it, but it is no output. */
  readonly typed?: string;
  readonly before?: () => void;
  readonly after?: () => void;
  /** Runs the command, in place of a shell. */
  readonly run?: (
    shown: Shown,
    servers: AsyncDisposableStack,
  ) => Promise<Outcome | void>;
}

/** The records behind the example of the page on SPF. */
const ZONES = {
  "cloudmail.example": `$ORIGIN cloudmail.example.
$TTL 60
@ SOA @ hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ TXT "v=spf1 include:_pool1.cloudmail.example include:_pool2.cloudmail.example mx -all"
_pool1 TXT "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8:40::/44 -all"
_pool2 TXT "v=spf1 ip4:192.0.2.64/26 -all"
@ MX 10 mx
mx A 203.0.113.25
`,
  "bank.example": `$ORIGIN bank.example.
$TTL 60
@ SOA @ hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
@ TXT "v=spf1 redirect=_spf.bank.example"
_spf TXT "v=spf1 exists:%{i}._ip.bank.example ip4:203.0.113.128/28 -all"
`,
};

/** The records behind the example of the page on pools, in a zone of all names. */
const SENDERS = {
  "": `$TTL 60
. SOA ns. hostmaster. 1 3600 600 86400 60
. NS ns.
ns. A 127.0.0.1
_spf.google.com. TXT "v=spf1 include:_netblocks.google.com ip6:2001:db8::/32 ~all"
_netblocks.google.com. TXT "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ~all"
yahoo.com. TXT "v=spf1 ptr:yahoo.com ?all"
sendgrid.net. TXT "v=spf1 ip4:203.0.113.0/24 exists:%{i}._s.sendgrid.net ~all"
`,
};

/** The cases, by how their commands begin. The longest one counts. */
const CASES: Readonly<Record<string, Case>> = {
  // Two blocks of README show it; it takes seconds.
  "deno task demo": { run: () => demo ??= shell("deno task demo") },
  "deno task compile": { run: compileTask },
  "install -d": {
    before: () => Deno.removeSync(emptyDir("base")),
    after: () => assertEquals(Deno.statSync(BASE).mode! & 0o777, 0o700),
  },
  "ln -s greylist-1": {
    before: () => Deno.removeSync(`${SITE}/bin/greylist`),
    after: () =>
      assertEquals(Deno.readLinkSync(`${SITE}/bin/greylist`), "greylist-1"),
  },
  "printf": {
    programs: ["tcprules"],
    after: () => assert(Deno.statSync(`${SITE}/tcp.smtp.cdb`).isFile),
  },
  "greylist check": { root: true },
  "greylist check --user=nobody": {
    root: true,
    before: () => Deno.removeSync(`${CONTROL}/me`),
  },
  "#!/bin/sh\nexec 2>&1\ncd /\nexec tcpserver": {
    programs: ["tcpserver", "tcprules", "softlimit"],
    root: true,
    run: runScript,
  },
  "#!/bin/sh\nexec 2>&1\ncd /\nulimit": {
    programs: ["softlimit"],
    run: runScript,
  },
  "tcpserver -v -u": {
    programs: ["tcpserver"],
    root: true,
    run: background,
  },
  "swaks": { programs: ["swaks"], run: deferred },
  "TCPREMOTEIP=192.0.2.17": { typed: "QUIT", before: growOlder },
  "greylist info": {
    before: () => {
      makeEntry("203.0.113.0_24", 0, 64);
      makeEntry("192.0.2.0_24", 1, 1);
      makeEntry("198.51.4.0_24", 1, 1);
      makeEntry("198.51.5.0_24", 0, 0);
    },
  },
  "greylist explain 198.51.100.7": {
    before: () => makeEntry("198.51.100.0_24", 0, 20),
  },
  "greylist report": {
    before: () => {
      const lines = logFile().split("\n");
      const older = lines.splice(0, 10);
      writeFile("site/smtpd.@400000006923.s", older.join("\n") + "\n");
      writeFile("site/smtpd.log", lines.join("\n"));
    },
  },
  "greylist report --host": {
    before: () => {
      writeFile("site/mx1.log", logFile());
      writeFile("site/mx2.log", logFile());
    },
  },
  "deno task spf": { programs: ["unbound"], run: askingDns(ZONES) },
  "deno task pools": { programs: ["unbound"], run: askingDns(SENDERS) },
  "greylist import": { before: makeOldState },
  "greylist import --from=qgreylist": {
    before: makeOldState,
    after: () => assertEquals(entries()["192.0.2.0_24"], 1),
  },
  "greylist import --from=cqgreylist": {
    before: makeOldState,
    after: () => assertEquals(entries(), { "203.0.113.0_24": 0 }),
  },
  "greylist import --from=jgreylist": {
    before: makeOldState,
    after: () => assertEquals(entries(), { "192.0.2.0_24": 1 }),
  },
  "greylist import backup": {
    before: () => emptyDir("base"),
    after: () => assertEquals(entries()["192.0.2.0_24"], 1),
  },
  "greylist learn": { before: makeSendLog },
  "#!/bin/sh\nexec 2>&1\nexec /usr/local/bin/greylist learn": {
    before: makeSendLog,
    async run({ command }, servers) {
      const script = writeFile("site/run", here(command), 0o755);
      servers.use(startServer([script], `${SITE}/stderr`, ENV));
      await waitFor(command, () => entries()["203.0.113.0_24"] === 1);
    },
  },
  "find /var/qmail/greylist": {
    before: () => {
      makeEntry("192.0.2.0_24", 7, -365 * 86400);
      makeEntry("198.51.100.0_24", 1, 3600);
    },
    after: () => {
      const age = (name: string) =>
        (Date.now() - Deno.statSync(`${BASE}/${name}`).mtime!.getTime()) / 1000;
      const touched = age("192.0.2.0_24");
      assert(touched > -60 && touched < 3000, `${touched}`);
      assertEquals(entries()["192.0.2.0_24"], 7);
      assert(age("198.51.100.0_24") >= 3600);
    },
  },
  "ls /var/qmail/qgreylist-whitelist": {
    before: () => void writeFile("site/qgreylist-whitelist/66.94.237.", ""),
    after: () => {
      const file = `${CONTROL}/greylist-whitelist`;
      assertEquals(Deno.readTextFileSync(file), "66.94.237.\n");
    },
  },
  "greylist info --json > own-entries": {
    before: () => {
      makeOldState();
      Deno.removeSync(BASE, { recursive: true });
      Deno.renameSync(`${SITE}/qgreylist`, BASE);
      makeEntry("198.51.100.0_24", 7, 60);
    },
  },
  "greylist import own-entries": {
    after: () => {
      assertEquals(entries()["192.0.2.0_24"], 1);
      assertEquals(entries()["198.51.100.0_24"], 7);
    },
  },
};

/** The log of qmail-send: three hosts accepted mail, and one is known already. */
function makeSendLog(): void {
  const now = Date.now() / 1000;
  const hosts = ["203.0.113.9", "198.51.100.1", "198.51.100.2", "192.0.2.1"];
  const lines = hosts.map((host, i) =>
    `${
      now.toFixed(6)
    } starting delivery ${i}: msg 4711 to remote a@b.example\n` +
    `${now.toFixed(6)} delivery ${i}: success: ${host}_accepted_message./\n`
  );
  writeFile("site/send.log", lines.join(""));
  makeEntry("192.0.2.0_24", 3, 86400);
}

/** What other programs leave, one client let in and one not in each. */
function makeOldState(): void {
  const now = Date.now() / 1000;
  const times: Record<string, [number, number]> = {
    "qgreylist/192.0.2.": [86400, 3600],
    "qgreylist/198.51.100.": [3600, 3600],
    "qgreylist/203.0.113.": [90 * 86400, 90 * 86400],
    "cqgreylist/203/203.0.113.9": [3600, 3600],
    "jgreylist/192/000/002": [86400, 3600],
  };
  for (const [file, [first, last]] of Object.entries(times)) {
    const path = writeFile(`site/${file}`, "");
    Deno.utimeSync(path, now - last, now - first);
  }
}

/**
 * Two days of a site: spammers that come once or hammer, servers that come again
 * after minutes, one that comes after an hour, and one with many networks.
 */
function logFile(): string {
  const start = Date.parse("2026-11-22T20:00:00Z") / 1000;
  const lines: [number, string][] = [];
  const client = (network: string, helo: string, times: number[], to = 0) => {
    const who = `ip=${network}.7 net=${network}.0/24`;
    const from = `<news@${helo.replace(/^[^.]*\./, "")}>`;
    const mail = `helo=${helo} from=${from} to=<u${to}@mx.example>`;
    times.forEach((time, i) => {
      const reason = i === 0 ? "new" : "early";
      lines.push([time, `defer ${who} reason=${reason} wait=60 ${mail}`]);
    });
    return (time: number) => {
      const age = time - times[0];
      lines.push([time, `pass ${who} reason=retried age=${age} accepted=1`]);
      lines.push([
        90_000 + time,
        `pass ${who} reason=known age=90000 accepted=2`,
      ]);
    };
  };
  for (let i = 0; i < 80; i++) {
    const times = i % 4 === 0 ? [i * 300, i * 300 + 5] : [i * 300];
    client(`198.18.${i}`, `host${i}.dyn.example`, times, i);
  }
  for (let i = 0; i < 12; i++) {
    const comeBack = client(`198.19.${i}`, `mx${i}.example`, [i * 900], i);
    comeBack(i * 900 + 70 + 97 * i);
  }
  client("192.0.2", "mx.sender.example", [7000])(11_500);
  const pool = [0, 1, 2, 3].map((i) =>
    client(`203.0.${i}`, `out${i}.cloudmail.example`, [8000 + 600 * i])
  );
  pool[0](10_400);
  return lines.sort(([a], [b]) => a - b).map(([time, text]) =>
    `${new Date((start + time) * 1000).toISOString()} ${text}\n`
  ).join("");
}

function caseOf({ command }: Shown): Case {
  const keys = Object.keys(CASES).filter((key) => command.startsWith(key));
  return CASES[keys.sort((a, b) => b.length - a.length)[0]] ?? {};
}

let demo: Promise<Outcome> | undefined;

/** With the mistake that the page shows, or as {@linkcode prepare} has run it. */
async function compileTask({ output }: Shown): Promise<Outcome> {
  if (output.length === 0) return await prepare();
  configure('  whitelist: { networks: ["10.0.0.1/33"] },\n');
  const outcome = await shell("deno task compile");
  configure();
  return outcome;
}

/** Starts the service of a run script: a client is deferred, and let in later. */
async function runScript({ command }: Shown): Promise<void> {
  let script = here(command);
  if (script.includes("greylist serve")) {
    // Root has to name the user of serve, which README's configuration does not.
    script = script.replace(`${SITE}/bin/greylist`, await compile());
  } else {
    const rules = [`${SITE}/tcp.smtp.cdb`, `${SITE}/tcp.smtp.tmp`];
    const { code } = await run(["tcprules", ...rules], { input: ":allow\n" });
    assertEquals(code, 0);
  }
  const path = writeFile("site/run", script, 0o755);
  await using _ = startServer([path], `${SITE}/stderr`, ENV);
  await waitFor(path, () => isListening(PORT));
  const replies = await talk(PORT);
  assertStringIncludes(replies[3], "451 4.7.1 Greylisted", `${replies}`);
  assertEquals(entries(), { "127.0.0.0_24": 0 });
  growOlder();
  assertStringIncludes((await talk(PORT))[0], NEXT);
}

/** Starts a command that ends with `&`. */
async function background(
  { command }: Shown,
  servers: AsyncDisposableStack,
): Promise<void> {
  const foreground = here(command).replace(/ &$/, "");
  assert(foreground !== here(command), command);
  const argv = ["sh", "-c", `exec ${foreground}`];
  servers.use(startServer(argv, `${SITE}/stderr`, ENV));
  await waitFor(command, () => isListening(PORT));
}

async function deferred({ command }: Shown): Promise<void> {
  const { stdout } = await shell(here(command));
  assertStringIncludes(stdout, " 451 4.7.1 Greylisted");
}

/** Has a command ask a name server with these zones. */
function askingDns(zones: Record<string, string>): Case["run"] {
  return async ({ command }, servers) => {
    const nowhere = 'local-zone: "nowhere.example." static';
    const dns = servers.use(await startUnbound(zones, [nowhere]));
    return await shell(`${here(command)} --server=127.0.0.1:${dns.port}`);
  };
}

/** Runs the commands of a block, one after the other. */
async function runBlock({ page, commands }: Block): Promise<void> {
  await prepare();
  clean();
  writeFile("control/me", "mx.example.org\n");
  await using servers = new AsyncDisposableStack();
  let cwd = COPY;
  for (const [i, shown] of commands.entries()) {
    const { command, output } = shown;
    if (command in NOT_RUN || command === "echo $?") continue;
    if (command.startsWith("cd ")) {
      cwd = here(command.slice("cd ".length));
      continue;
    }
    const { typed, before, after, run } = caseOf(shown);
    before?.();
    const outcome = await (run?.(shown, servers) ??
      shell(here(command), cwd, typed && `${typed}\r\n`));
    if (outcome !== undefined) {
      const { code, stdout, stderr } = outcome;
      const said = `${page}: ${command}\n${stdout}${stderr}`;
      const status = commands[i + 1]?.command === "echo $?"
        ? Number(commands[i + 1].output[0])
        : 0;
      assertEquals(code, status, said);
      const lines = comparable(stdout + stderr).split("\n").map(comparable);
      for (const line of output) {
        if (line === "[...]" || line === typed) continue;
        assert(lines.includes(comparable(line)), `not said: ${line}\n${said}`);
      }
    }
    after?.();
  }
}

const BLOCKS = blocks();
const COMMANDS = BLOCKS.flatMap(({ commands }) => commands);

/** Pages whose commands another test runs, and which one. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "lib/manual/supervise.md": "supervise_test.ts",
};

for (const block of BLOCKS) {
  if (block.page in ELSEWHERE) continue;
  const runs = block.commands.filter(({ command }) => !(command in NOT_RUN));
  if (runs.length === 0) continue;
  const cases = runs.map(caseOf);
  const line = runs.flatMap(({ command }) => command.split("\n"))
    .find((line) => !/^(#!|exec 2|cd )/.test(line));
  e2e(`${block.page}: ${line}`, {
    programs: cases.flatMap(({ programs = [] }) => programs),
    root: cases.some(({ root }) => root),
  }, () => runBlock(block));
}

e2e("deno task info: the database, from source", {}, async () => {
  await prepare();
  clean();
  makeEntry("192.0.2.0_24", 1, 60);
  const { code, stdout, stderr } = await shell("deno task info");
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^192\.0\.2\.0\/24 +known +1 /m);
});

Deno.test("each command in NOT_RUN is shown on a page", () => {
  for (const command of Object.keys(NOT_RUN)) {
    assert(COMMANDS.some((shown) => shown.command === command), command);
  }
  for (const key of Object.keys(CASES)) {
    assert(COMMANDS.some((shown) => shown.command.startsWith(key)), key);
  }
});

Deno.test("README shows what every administrator needs", () => {
  const shown = BLOCKS.filter(({ page }) => page === "README.md")
    .flatMap(({ commands }) => commands.map(({ command }) => command));
  for (
    const command of [
      "deno task demo",
      "deno task test",
      "npx -y deno@2.4.2 task demo",
      "npx -y deno@2.4.2 task test",
      "deno task compile",
    ]
  ) assert(shown.includes(command), command);
});

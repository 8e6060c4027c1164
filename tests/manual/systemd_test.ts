// The units of the manual: their rating, and serve under their restrictions.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile, entries } from "../harness/binary.ts";
import { CONFINE_PROGRAMS, confined, SET } from "../harness/confined.ts";
import "../harness/libc.ts";
import { e2e, programPath } from "../harness/need.ts";
import {
  freePort,
  isListening,
  run,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { MANAGER_PROGRAMS, startManager } from "../harness/service_manager.ts";
import { Client } from "../harness/smtp.ts";
import { serviceOf, type Settings, wordsOf } from "../harness/unit.ts";
import { upgrade } from "../harness/upgrading.ts";

/** Both pages that show units. */
const PAGE = ["systemd", "no-root"].map((topic) =>
  Deno.readTextFileSync(
    new URL(`../../lib/manual/${topic}.md`, import.meta.url),
  )
).join("");

/** The file that a page shows below its name. */
function shown(name: string): string {
  const at = PAGE.indexOf(`\`/etc/systemd/system/${name}\``);
  const match = /^```ini\n([^]*?)^```$/m.exec(PAGE.slice(at));
  assert(at >= 0 && match !== null, name);
  return match[1];
}

const QMAIL = shown("greylist.service");
const NO_ROOT = `${QMAIL}\n${shown("greylist.service.d/no-root.conf")}`;

/** What the table of the page says. */
function ratingOf(row: string): string {
  const line = PAGE.split("\n").find((line) => line.startsWith(`| ${row} `));
  return line!.split("|")[2].trim();
}

/** What cannot be set without systemd, or is no restriction. */
const NOT_SET: Readonly<Record<string, string>> = {
  DevicePolicy: "a program of the cgroup, which only its owner may load",
  IPAddressDeny: "the same; PrivateNetwork= leaves no socket that it is about",
  ExecReload: "no restriction",
  ExecStart: "no restriction",
  KillMode: "no restriction",
  Restart: "no restriction",
  SyslogIdentifier: "no restriction",
  Type: "no restriction; the test has a manager of its own",
  WatchdogSec: "no restriction; tests/serve/notify_test.ts has ticks",
};

/** The exposure that systemd-analyze finds. */
async function rate(name: string, unit: string): Promise<string> {
  const path = writeFile(`rated/${name}.service`, unit);
  const { stdout, stderr } = await run([
    programPath("systemd-analyze"),
    ...["security", "--offline=true", "--no-pager", path],
  ]);
  return /exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1] ?? stderr;
}

e2e("the units of the manual are rated as it says, at 2.0 or better", {
  programs: ["systemd-analyze"],
}, async () => {
  const without = (unit: string, names: RegExp) =>
    unit.split("\n").filter((line) => !names.test(line)).join("\n");
  const user = `${QMAIL}\n[Service]\nUser=qmaild\nCapabilityBoundingSet=\n` +
    "SystemCallFilter=~@setuid\nSystemCallFilter=capset\n";
  // The settings that the page says to imply NoNewPrivileges.
  const [, list] = /one\s+of these \(systemd.exec\(5\)\): ([^.]*)\./.exec(
    PAGE,
  )!;
  const implying = list.match(/\w+(?==`)/g)!;
  assert(implying.length > 10);
  const first = await rate("qmail", QMAIL);
  const second = await rate("no-root", NO_ROOT);
  assertEquals(first, ratingOf("`greylist.service`"));
  assertEquals(second, ratingOf("with `no-root.conf`"));
  assert(Number(first) <= 2.0 && Number(second) <= 2.0);
  assertEquals(
    await rate("user", user),
    ratingOf("with `User=qmaild`, no capability, capset allowed"),
  );
  const names = new RegExp(`^(${implying.join("|")}|SystemCallErrorNumber)=`);
  assertEquals(
    await rate("implying", without(user, names)),
    ratingOf("the same without all that implies NoNewPrivileges"),
  );
});

Deno.test("each setting of the units is set by the test, or told why not", () => {
  for (const name of serviceOf(NO_ROOT).keys()) {
    assert(SET.includes(name) !== name in NOT_SET, name);
  }
});

Deno.test("without root: the unit may write to the base directory of the page", () => {
  const [, baseDir] = /^baseDir: "(.*)",$/m.exec(PAGE)!;
  assertEquals(wordsOf(serviceOf(NO_ROOT), "ReadWritePaths"), [baseDir]);
  assert(PAGE.includes(`\ninstall -d -m 700 -o smtpd ${baseDir}\n`));
  // The test of this unit below has it too: only root could become another user.
  assertMatch(PAGE, /^serve: \{\},$/m);
});

/** What the program behind `serve` says about itself, by name. */
const PROBE = `#!/bin/sh
printf '220 probe\\r\\n'
while read -r line; do case $line in QUIT*) break;; esac; done
can() { name=$1; shift; if "$@" 2>/dev/null >&2; then echo "$name=yes"; else echo "$name=no"; fi; }
echo "uid=$(id -u)"
grep -E '^(NoNewPrivs|Seccomp|CapBnd|CapEff):' /proc/self/status | tr -d '\\t' | tr : =
echo "setuid=$(${ROOT}/queue-program -u)"
echo "limit=$(ulimit -n)"
echo "umask=$(umask)"
echo "variables=$(env | grep -cE '^(NOTIFY|WATCHDOG|LISTEN)')"
can etc touch /etc/greylist-test
can test touch ${ROOT}/test
can tmp touch /tmp/test
can home ls /root
can queue touch ${ROOT}/queue/$$
can kernel ls /proc/sys
can init ls -d /proc/1
can namespace unshare --user true
can suid chmod 4755 /tmp/test
can inet perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0) or exit 1'
can unix perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 1'
can clock date -s @0
`;

const UID = 65534;
const CONFIG: Partial<Config> = {
  // Longer than all of it takes.
  timeouts: { delay: "1h" },
  whitelist: { networks: ["127.0.0.0/24"] },
  log: { target: "auto" },
};

/** A unit of the page, for this machine. */
function here(unit: string): Settings {
  return serviceOf(
    unit.replaceAll("/var/qmail/greylist", BASE)
      .replaceAll("/var/lib/greylist", BASE)
      .replaceAll("/var/qmail/queue", `${ROOT}/queue`)
      .replaceAll("User=smtpd", "User=nobody"),
  );
}

/** Starts serve under a unit, and asks the program behind it. */
async function probe(
  unit: string,
  config: Partial<Config>,
): Promise<Record<string, string>> {
  clean();
  Deno.chownSync(BASE, UID, UID);
  Deno.chmodSync(emptyDir("queue"), 0o777);
  const program = `${ROOT}/queue-program`;
  Deno.copyFileSync(programPath("id"), program);
  Deno.chownSync(program, 1, 1);
  Deno.chmodSync(program, 0o4755);
  const next = writeFile("probe", PROBE, 0o755);
  const binary = await compile(config);
  await using manager = await startManager("path");
  const port = freePort();
  const errors = writeFile("confined.stderr", "");
  await using server = startServer([
    "systemd-socket-activate",
    `--listen=127.0.0.1:${port}`,
    `--setenv=NOTIFY_SOCKET=${manager.socket}`,
    "--setenv=WATCHDOG_USEC=200000",
    ...confined(here(unit)),
    ...[binary, "serve", "--", next],
  ], errors);
  await waitFor("the holder to listen", () => isListening(port));
  const said = () => Deno.readTextFileSync(errors);
  try {
    using client = await Client.connect(port);
    await client.send("QUIT\r\n");
    const lines = (await client.rest()).split("\n");
    using other = await Client.connectFrom(port, { from: "127.0.1.1" });
    assertMatch(await other.reply() ?? "", /^220 mx\.example /);
    await other.send("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@c>\r\nQUIT\r\n");
    assertMatch(await other.rest(), /^451 4\.7\.1 Greylisted/m);
    assertEquals(entries(), { "127.0.1.0_24": 0 });
    await manager.told(/^READY=1/);
    await manager.told(/^WATCHDOG=1/);
    Deno.kill(server.pid, "SIGHUP");
    const ready = (count: number) =>
      waitFor(
        `READY ${count} times: ${said()}`,
        () =>
          manager.messages().filter((text) => text.startsWith("READY=1"))
            .length >= count,
      );
    await manager.told(/^RELOADING=1/);
    await ready(2);
    await upgrade(() => Deno.kill(server.pid, "SIGUSR2"), said);
    await ready(3);
    using after = await Client.connectFrom(port, { from: "127.0.1.1" });
    assertMatch(await after.reply() ?? "", /^220 mx\.example /);
    await after.send("QUIT\r\n");
    await after.rest();
    Deno.kill(server.pid, "SIGTERM");
    assertEquals(await server.code, 0);
    await manager.told(/^STOPPING=1/);
    assertEquals(said().match(/ error (?!serve upgrade=refused ).*$/m), null);
    return Object.fromEntries(
      lines.slice(1, -1).map((line) => line.split("=")),
    );
  } catch (error) {
    throw new Error(`${said()}\n${(error as Error).message}`);
  }
}

const NEEDS = {
  programs: [
    ...CONFINE_PROGRAMS,
    ...MANAGER_PROGRAMS,
    "id",
    "systemd-socket-activate",
  ],
  mounts: true,
};

/** What PROGRAM finds under both units. */
const CONFINED = {
  CapEff: "0000000000000000",
  Seccomp: "2",
  limit: "4096",
  umask: "0077",
  variables: "0",
  etc: "no",
  test: "no",
  tmp: "yes",
  home: "no",
  kernel: "no",
  init: "no",
  namespace: "no",
  suid: "no",
  inet: "no",
  unix: "yes",
  clock: "no",
  uid: `${UID}`,
};

e2e(
  "serve under the unit for qmail, with a set-uid program",
  NEEDS,
  async () => {
    assertEquals(await probe(QMAIL, { ...CONFIG, serve: { user: "nobody" } }), {
      ...CONFINED,
      CapBnd: "00000000000000c0",
      NoNewPrivs: "0",
      setuid: "1",
      queue: "yes",
    });
  },
);

e2e("serve under the unit without root", NEEDS, async () => {
  assertEquals(await probe(NO_ROOT, { ...CONFIG, serve: {} }), {
    ...CONFINED,
    CapBnd: "0000000000000000",
    NoNewPrivs: "1",
    setuid: `${UID}`,
    queue: "no",
  });
});

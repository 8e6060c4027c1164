import { assertEquals, assertMatch } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { age, compile, entries } from "../harness/binary.ts";
import { makeEntry } from "../harness/entry.ts";
import { bothWays } from "../harness/both_ways.ts";
import {
  assertDeferred,
  assertNext,
  connect,
  empty,
  ENTRY,
  NAME,
  NOBODY,
} from "../harness/fault.ts";
import { e2e } from "../harness/need.ts";
import { run, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT } from "../harness/root.ts";
import {
  openStalledSyslog,
  openSyslog,
  withoutSyslog,
} from "../harness/syslog.ts";

// A log that cannot be written must not stop mail.

/** A log file that cannot be written to, and for which user. */
const LOGS: [string, (path: string) => unknown, readonly string[]][] = [
  ["of somebody else", (path) => Deno.writeTextFileSync(path, ""), NOBODY],
  ["that is a FIFO without a reader", (path) => run(["mkfifo", path]), []],
];

for (const [what, make, before] of LOGS) {
  e2e(`a log file ${what}: syslog is told, mail goes on`, {
    programs: ["tcpserver", "setpriv"],
    mounts: true,
  }, async () => {
    empty();
    Deno.chmodSync(BASE, 0o777);
    makeEntry(NAME, 3, 100);
    Deno.chmodSync(ENTRY, 0o666);
    await make(`${emptyDir("closed")}/log`);
    await using syslog = openSyslog();
    const binary = await compile({
      log: { target: `${ROOT}/closed/log` as Path },
    });
    assertNext(await connect(binary, [...syslog.before, ...before]));
    await waitFor("two messages", () => syslog.messages.length >= 2);
    const [trouble, passed, ...more] = syslog.messages;
    assertMatch(trouble, /^<19>.*: error what="log file .*closed\/log: /);
    assertMatch(passed, /^<22>.*: pass ip=127\.0\.0\.1 .* reason=known /);
    assertEquals(more, []);
  });
}

bothWays(
  "a log file on a full disk: the line is lost, mail goes on",
  {},
  async (way) => {
    empty();
    const binary = await compile({ log: { target: "/dev/full" as Path } });
    assertDeferred(await connect(binary, [], way), "4.7.1");
    age(NAME, 100);
    assertNext(await connect(binary, [], way));
    assertEquals(entries(), { [NAME]: 1 });
  },
);

/** Ways in which syslog can be unreachable. */
const SYSLOGS: Record<string, () => Promise<AsyncDisposable & Before>> = {
  "is not there": () =>
    Promise.resolve({
      before: withoutSyslog(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  "has no reader any more": async () => {
    const syslog = openSyslog();
    await syslog[Symbol.asyncDispose]();
    // The socket's name stays behind when a daemon dies.
    const path = `${ROOT}/dev-log`;
    Deno.listenDatagram({ transport: "unixpacket", path }).close();
    return {
      before: syslog.before,
      [Symbol.asyncDispose]: () => Deno.remove(path),
    };
  },
  "is not read": openStalledSyslog,
};

interface Before {
  readonly before: readonly string[];
}

for (const [what, open] of Object.entries(SYSLOGS)) {
  bothWays(`/dev/log ${what}: mail goes on, with a fault besides too`, {
    mounts: true,
  }, async (way) => {
    empty();
    const log = { target: "syslog" } as const;
    await using syslog = await open();
    const binary = await compile({ log, onError: "defer" });
    assertDeferred(await connect(binary, syslog.before, way), "4.7.1");
    age(NAME, 100);
    assertNext(await connect(binary, syslog.before, way));
    Deno.removeSync(BASE, { recursive: true });
    assertDeferred(await connect(binary, syslog.before, way), "4.3.0");
    const accepting = await compile({ log, onError: "accept" });
    assertNext(await connect(accepting, syslog.before, way));
  });
}

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { findGroup, findUser } from "../../lib/system/user.ts";
import { clean, compile } from "../harness/binary.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { freePort, run, statusesOf } from "../harness/process.ts";
import { BASE, LOG, ROOT, writeFile } from "../harness/root.ts";
import { lines, logged } from "../harness/serving.ts";
import { burst, burstFrom, Client } from "../harness/smtp.ts";
import { installed, notUpgradable, upgraded } from "../harness/upgrading.ts";
import { serve } from "../harness/way_in.ts";

/** A user that every machine has. */
const USER = "nobody";
/** A group that every machine has, and that user is not in. */
const GROUP = "daemon";

/** The lines of /proc/PID/status about users and groups. */
const IDS = /^(Uid|Gid|Groups):.*$/gm;

/** These lines as they have to be for a user and its groups. */
function ids(uid: number, gid: number, groups: string): string {
  const four = (id: number) => Array(4).fill(id).join("\t");
  return `Uid:\t${four(uid)} Gid:\t${four(gid)} Groups:\t${groups}`;
}

/** One client is let in. */
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.0.0.1"] },
  serve: { user: USER },
};

/** A program that prints its user and groups, and may make a file. */
function teller(): string[] {
  const path = writeFile(
    "teller",
    `#!/bin/sh
printf '220 %s\\r\\n' "$(grep -E '^(Uid|Gid|Groups):' /proc/self/status | tr '\\n' ' ')"
`,
    0o755,
  );
  return [path];
}

/** An empty database and log of that user. */
async function cleanFor(user: string): Promise<void> {
  clean();
  const { code, stderr } = await run(["chown", user, BASE, `${ROOT}/log`]);
  assertEquals(code, 0, stderr);
}

/** Gives the tests' directories back to the user of the tests. */
async function giveBack(): Promise<void> {
  await run(["chown", "root", BASE, `${ROOT}/log`]);
}

for (const group of [undefined, GROUP]) {
  const name = group === undefined ? "its own group" : "another group";
  e2e(
    `serve user: root becomes another user, with ${name}`,
    { root: true },
    async () => {
      const config = { ...CONFIG, serve: { user: USER, group } };
      const binary = await compile(config);
      await cleanFor(USER);
      const { uid, gid: own } = findUser(USER)!;
      const gid = group === undefined ? own : findGroup(group)!;
      try {
        // Only root may bind this port.
        await using server = await serve.start({
          binary,
          next: teller(),
          port: lowPort(),
        });
        // Then it has become that user.
        await logged(/ serve on=/);
        const { stdout } = await run(["id", "-G", USER]);
        const groups = stdout.trim().split(" ").filter((id) => id !== `${own}`);
        const expected = ids(uid, gid, [...groups, gid].join(" "));
        const tasks = statusesOf(server.pid);
        assert(tasks.has(server.pid));
        for (const [task, status] of tasks) {
          const found = status.match(IDS)!.join(" ").trim();
          assertEquals(found, expected, `task ${task}`);
        }
        const told = (await burst(server.port, "")).replace(/^220 /, "").trim();
        assertEquals(told.replaceAll(/ +(?=[UG])/g, " "), expected);

        using client = await Client.connectFrom(server.port, {
          from: "127.0.1.1",
        });
        assertMatch((await client.reply())!, /^220 mx\.example /);
        const entry = Deno.statSync(`${BASE}/127.0.1.0_24`);
        assertEquals([entry.uid, entry.mode! & 0o777], [uid, 0o600]);
        assertEquals(Deno.statSync(LOG).uid, uid);
      } finally {
        await giveBack();
      }
    },
  );
}

/** A port below 1024 on which no process listens. */
function lowPort(): number {
  for (let port = 1023; port > 600; port--) {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch {
      // A process listens there.
    }
  }
  throw new Error("no port below 1024");
}

/** Runs `serve` in a situation in which it has to fail at once. */
async function refusal(config: Partial<Config>, before: string[] = []) {
  const binary = await compile(config);
  const place = `127.0.0.1:${freePort()}`;
  const line = [...before, binary, "serve", place, "--", "/bin/true"];
  const { code, stdout, stderr } = await run(line);
  assertEquals(stdout, "");
  assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  return { code, stderr };
}

e2e("serve user: root has to name a user, and the user has to exist", {
  root: true,
}, async () => {
  for (
    const [serve, expected] of [
      [{ user: undefined }, /serve\.user: not given: expected the user /],
      [{ user: "no-such-user" }, /serve\.user: "no-such-user": expected /],
      [
        { user: USER, group: "no-such-group" },
        /serve\.group: "no-such-group": expected the name of a group/,
      ],
    ] as const
  ) {
    const { code, stderr } = await refusal({ serve });
    assertEquals(code, 100);
    assertMatch(stderr, expected);
  }
});

e2e(
  "serve user: a process that is not root stays its user, whatever is configured",
  { root: true, programs: ["setpriv"] },
  async () => {
    const { uid, gid } = findUser(USER)!;
    const before = [
      "setpriv",
      `--reuid=${uid}`,
      `--regid=${gid}`,
      "--clear-groups",
    ];
    const other = await refusal({ serve: { user: "root" } }, before);
    assertEquals(other.code, 100);
    assertMatch(other.stderr, /serve\.user: "root": expected to be started by/);

    const group = await refusal(
      { serve: { user: USER, group: GROUP } },
      before,
    );
    assertEquals(group.code, 100);
    assertMatch(group.stderr, /serve\.group: "daemon": expected to be started/);

    const binary = await compile(CONFIG);
    await cleanFor(USER);
    try {
      await using server = await serve.start({
        before,
        binary,
        next: teller(),
      });
      await logged(/ serve on=/);
      assertEquals(Deno.statSync(LOG).uid, uid);
      assertMatch(
        await burstFrom("127.0.1.1", server.port, "QUIT\r\n"),
        /^220 mx\.example .*\r\n221 /,
      );
      await logged(/ defer /);
      assertEquals(lines().length, 1);
    } finally {
      await giveBack();
    }
  },
);

e2e("serve user: an upgrade cannot become another user", {
  root: true,
  kernel: notUpgradable,
}, async () => {
  const binary = await installed(CONFIG);
  const other = await compile({ serve: { user: "root" } });
  await cleanFor(USER);
  try {
    await using server = await serve.start({
      binary,
      next: teller(),
      port: lowPort(),
    });
    const greeting = () => burstFrom("127.0.1.1", server.port, "");
    // The port is handed over: nobody but root could open it again.
    Deno.kill(server.pid, "SIGUSR2");
    await upgraded(1);
    assertMatch(await greeting(), /^220 mx\.example /);
    Deno.linkSync(other, `${binary}.new`);
    Deno.renameSync(`${binary}.new`, binary);
    Deno.kill(server.pid, "SIGUSR2");
    const line = await logged(/ upgrade=refused /);
    assertMatch(
      line,
      /check: FIX {2}greylist\.config\.ts: serve\.user: 'root': expected .*: this takes a restart"$/,
    );
    assertMatch(await greeting(), /^220 mx\.example /);
  } finally {
    await giveBack();
  }
});

e2e(
  "serve user: a process that is not root needs no user",
  { root: true, programs: ["setpriv"] },
  async () => {
    const { uid, gid } = findUser(USER)!;
    const ids = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
    const binary = await compile({ serve: { user: undefined } });
    await cleanFor(USER);
    try {
      await using server = await serve.start({
        before: ["setpriv", ...ids],
        binary,
        next: teller(),
      });
      assertMatch(await burst(server.port, ""), /^220 mx\.example /);
      await logged(/ defer /);
    } finally {
      await giveBack();
    }
  },
);

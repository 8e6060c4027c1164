import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import {
  descriptorsFor,
  RESERVE,
  roomFor,
} from "../../lib/serve/descriptors.ts";
import { raised } from "../../lib/system/resource_limit.ts";
import { compile, logLines } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import {
  areAtRest,
  connectionsTo,
  descriptorsOf,
  freePort,
  hungUp,
  run,
  waitFor,
} from "../harness/process.ts";
import { writeFile } from "../harness/root.ts";
import {
  HELPER_LIFE,
  lines,
  logged,
  serving,
  withUser,
} from "../harness/serving.ts";
import { assertOnlySmtp, ATTEMPT, burst, Client } from "../harness/smtp.ts";

Deno.test("serve descriptors: the limit is raised as far as wanted and as allowed", () => {
  const wanted = descriptorsFor({ limit: 40, deferredLimit: 1000 });
  assert(wanted > 1040n);
  for (
    const [soft, hard, expected] of [
      [1024n, 4096n, wanted],
      [1024n, 1100n, 1100n],
      [80n, 80n, 80n],
      [65536n, 65536n, 65536n],
      // Never less than there was.
      [wanted + 1n, 1n << 63n, wanted + 1n],
    ]
  ) {
    assertEquals(raised({ soft, hard }, wanted), { soft: expected, hard });
  }
});

Deno.test("serve descriptors: there is room for all that the limits allow, and for one more client", () => {
  for (
    const [limit, deferredLimit, soft] of [
      [40, 1000, undefined],
      [40, 3000, 4096],
      [500, 1000, undefined],
    ] as const
  ) {
    const wanted = Number(descriptorsFor({ limit, deferredLimit }));
    const most = (soft ?? wanted) - RESERVE;
    const room = roomFor(most, limit);
    assert(room.held >= deferredLimit + limit, `${room.held}`);
    assert(room.asked >= room.held + RESERVE / 2);
    assert(most - limit - room.asked >= RESERVE / 2);
  }
  // If there are few, each kind of client gets some.
  assertEquals(roomFor(16, 40), { held: 4, asked: 6 });
});

/** The clients of 127.0.0.1 are let in. */
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.0.0.1"] },
  // The start of its thread takes CPU time two seconds after the start of serve.
  prune: { every: 0 },
};

/** Seconds of CPU time that a process has used. */
function cpu(pid: number): number {
  // proc(5): fields 14 and 15, in ticks, of which Linux counts 100 a second.
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** For how long CPU time is measured, in seconds. */
const LOOK = 3;

/** Throws if a process is busy, or logs more than one line. */
async function assertWaits(pid: number): Promise<void> {
  await logged(/ error serve .*no descriptors left/);
  const before = cpu(pid);
  await new Promise((done) => setTimeout(done, LOOK * 1000));
  const used = cpu(pid) - before;
  // Looking five times a second takes hundredths of a second; going round and
  // round takes all there is.
  assert(used < LOOK / 6, `${used} s of CPU time in ${LOOK} s`);
  const errors = logLines().filter((line) => / error /.test(line));
  assertEquals(errors.length, 1, errors.join("\n"));
}

/** Clients that go on holding their connections. */
async function arrive(port: number, count: number): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await Client.connect(port));
  return clients;
}

/** Serves every client, in the order in which they came. */
async function leave(
  clients: readonly Client[],
  banner: string,
  last: string,
): Promise<void> {
  for (const client of clients) {
    const first = await client.reply() ?? "none";
    assert(first.startsWith(banner), first);
    await client.send("QUIT\r\n");
    const rest = await client.rest();
    assert(rest.startsWith(last), rest);
    client[Symbol.dispose]();
  }
}

e2e(
  "serve descriptors: above the limit, clients wait and are served later",
  {},
  async () => {
    const before = ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh"];
    // Deferred clients leave descriptors to others; programs may use all of them.
    await using server = await serving(CONFIG, { before });
    const { port, pid } = server;
    await logged(/ warn serve what="descriptors: 80: expected /);
    const idle = descriptorsOf(pid).length;
    const clients = await arrive(port, 40);
    await assertWaits(pid);
    assert(descriptorsOf(pid).length < idle + 40);
    await leave(clients, NEXT, "250 QUIT");
    await hungUp(port);
    assertEquals(lines().filter((line) => /^pass /.test(line)).length, 40);
  },
);

e2e(
  "serve descriptors: if the system has no more, clients wait and are served later",
  { programs: ["prlimit"] },
  async () => {
    await using server = await serving({ prune: { every: 0 } });
    const { port, pid, binary } = server;
    // Its threads open some at their start, and close them again.
    await waitFor("serve at rest", () => areAtRest(binary));
    const open = new Set(
      Array.from(Deno.readDirSync(`/proc/${pid}/fd`), ({ name }) => name),
    );
    let most = 0;
    for (let free = 0; free < 6; most++) if (!open.has(`${most}`)) free++;
    const limit = (soft: string) =>
      run(["prlimit", `--pid=${pid}`, `--nofile=${soft}:`]);
    const { stdout } = await run([
      "prlimit",
      `--pid=${pid}`,
      ...["--nofile", "--noheadings", "--output=SOFT"],
    ]);
    assertEquals((await limit(String(most))).code, 0);
    const idle = descriptorsOf(pid).length;
    const clients = await arrive(port, 40);
    await assertWaits(pid);
    assert(descriptorsOf(pid).length < idle + 40);
    assertEquals((await limit(stdout.trim())).code, 0);
    await leave(clients, "220 mx.example ", "221 ");
    await hungUp(port);
    assertEquals(lines().filter((line) => /^defer /.test(line)).length, 40);
  },
);

/** A program that greets with the limits that it finds. */
function tellingLimits(): string[] {
  const text =
    "#!/bin/sh\nprintf '220 %s %s\\r\\n' $(ulimit -Sn) $(ulimit -Hn)\n";
  return [writeFile("limits", text, 0o755)];
}

/** What the default limits want. */
const WANTED = descriptorsFor({ limit: 40, deferredLimit: 1000 });

e2e(
  "serve descriptors: PROGRAM finds the limit that serve found, or the raised one if few are free",
  {},
  async () => {
    const next = tellingLimits();
    const { stdout } = await run(["sh", "-c", "ulimit -Hn"]);
    for (const [found, expected] of [[300, 300n], [36, WANTED]] as const) {
      const before = ["sh", "-c", `ulimit -Sn ${found}; exec "$@"`, "sh"];
      await using server = await serving(CONFIG, { before, next });
      const limits = `${expected} ${stdout.trim()}`;
      assertEquals(await burst(server.port, ""), `220 ${limits}\r\n`);
    }
  },
);

e2e(
  "serve descriptors: the limit is raised when clients need more",
  {},
  async () => {
    const before = ["sh", "-c", 'ulimit -Sn 200; exec "$@"', "sh"];
    const next = tellingLimits();
    await using server = await serving(CONFIG, { before, next });
    const { port } = server;
    assertMatch(await burst(port, ""), /^220 200 /);
    const deferred: Client[] = [];
    for (let i = 0; i < 240; i++) {
      const from = `127.0.${1 + i % 200}.${1 + Math.floor(i / 200)}`;
      const client = await Client.connectFrom(port, { from });
      deferred.push(client);
      assertMatch(await client.reply() ?? "", /^220 mx\.example /);
    }
    assertMatch(await burst(port, ""), new RegExp(`^220 ${WANTED} `));
    for (const client of deferred) client[Symbol.dispose]();
    // It stays as it is.
    await hungUp(port);
    assertMatch(await burst(port, ""), new RegExp(`^220 ${WANTED} `));
    const problems = logLines().filter((line) => / (warn|error) /.test(line));
    assertEquals(problems, []);
  },
);

e2e(
  "serve descriptors: PROGRAM starts on a descriptor beyond the limit that it finds",
  {},
  async () => {
    const before = ["sh", "-c", 'ulimit -Sn 32; exec "$@"', "sh"];
    await using server = await serving(CONFIG, { before });
    const { port, pid } = server;
    const deferred: Client[] = [];
    for (let i = 1; i <= 40; i++) {
      deferred.push(await Client.connectFrom(port, { from: `127.0.1.${i}` }));
      assertMatch((await deferred[i - 1].reply())!, /^220 mx\.example /);
    }
    assert(descriptorsOf(pid).length > 32);
    using accepted = await Client.connectFrom(port);
    assertEquals(await accepted.reply(), NEXT);
    for (const client of deferred) client[Symbol.dispose]();
  },
);

e2e(
  "serve descriptors: a PROGRAM that may not be executed is a 421",
  {},
  async () => {
    const next = writeFile("not_executable", "#!/bin/sh\n", 0o644);
    // Pruning has a thread of its own, with descriptors of its own.
    const config = { ...CONFIG, prune: { every: 0 } };
    await using server = await serving(config, { next: [next] });
    const { port, pid } = server;
    const come = async () => {
      const text = await burst(port, ATTEMPT.join("\r\n"));
      assertOnlySmtp(text);
      assertMatch(text, /^421 4\.3\.0 [^\r]+\r\n$/);
      await hungUp(port);
    };
    // What serve opens only once is open after the first clients.
    await talkFrom(port, { from: "127.0.1.1" });
    await come();
    const before = descriptorsOf(pid).length;
    for (let i = 0; i < 10; i++) await come();
    assertEquals(descriptorsOf(pid).length, before);
    const errors = logLines().filter((line) => / error defer /.test(line));
    assertEquals(errors.length, 11);
    for (const error of errors) {
      assert(error.includes("not_executable"), error);
      assert(error.includes("Permission denied"), error);
    }
  },
);

/** A session of one deferred client, to its end. */
async function talkFrom(port: number, from: { from: string }): Promise<void> {
  using client = await Client.connectFrom(port, from);
  await client.reply();
  await client.send("QUIT\r\n");
  await client.rest();
  await logged(/ defer /);
}

e2e(
  "serve descriptors: clients that reset at each step leave nothing behind",
  {},
  async () => {
    await using server = await serving({
      ...CONFIG,
      // Pruning has a thread of its own, with descriptors of its own.
      prune: { every: 0 },
      serve: { limit: 1 },
    });
    const { port, pid } = server;
    const deferred = { from: "127.0.1.1" };
    // What is opened once is open after the first clients.
    await talkFrom(port, deferred);
    const before = descriptorsOf(pid).sort().join("\n");
    using accepted = await Client.connectFrom(port);
    assertEquals(await accepted.reply(), NEXT);

    for (let steps = 0; steps <= ATTEMPT.length; steps++) {
      for (const how of ["after a reply", "with one unread", "in a line"]) {
        const client = await Client.connectFrom(port, deferred);
        if (steps > 0) await client.reply();
        for (const line of ATTEMPT.slice(0, Math.max(0, steps - 1))) {
          await client.send(`${line}\r\n`);
          await client.reply();
        }
        if (how === "with one unread") await client.send("NOOP\r\n");
        if (how === "in a line") await client.send("NOO");
        client.reset();
      }
    }
    // While it waits for a place.
    const waiting = await Client.connectFrom(port);
    await waitFor("it", () => connectionsTo(port) === 2);
    waiting.reset();
    await logged(/ busy .*reason=left$/);

    await waitFor("all of them to be gone", () => connectionsTo(port) === 1);
    // One tells of the end of the program that runs.
    const isWatch = (link: string) => link.includes("pidfd");
    await waitFor("the descriptors that there were", () => {
      const links = descriptorsOf(pid).sort();
      return links.filter(isWatch).length === 1 &&
        links.filter((link) => !isWatch(link)).join("\n") === before;
    }, HELPER_LIFE);
    // The connection of the program's client is the program's alone.
    accepted.reset();
    await logged(/ end /);
    const links = () => descriptorsOf(pid).sort().join("\n");
    await waitFor("the same ones", () => links() === before, HELPER_LIFE)
      .catch(() => assertEquals(links(), before));
    assertEquals(logLines().filter((line) => / (warn|error) /.test(line)), []);
    using next = await Client.connect(port);
    assertEquals(await next.reply(), NEXT);
  },
);

e2e(
  "serve descriptors: several addresses at once, each with its own rule",
  {},
  async () => {
    const submission = freePort();
    await using server = await serving(
      { whitelist: { localPorts: [submission] } },
      { options: [`127.0.0.1:${submission}`, `[::1]:${submission}`] },
    );
    for (const hostname of ["127.0.0.1", "::1"]) {
      using client = await Client.connect(submission, hostname);
      assertEquals(await client.reply(), NEXT, hostname);
    }
    using client = await Client.connect(server.port);
    assertMatch((await client.reply())!, /^220 mx\.example /);
    const places = [
      `127.0.0.1:${submission}`,
      `[::1]:${submission}`,
      `127.0.0.1:${server.port}`,
    ];
    assert(logLines()[0].includes(` serve on=${places.join(",")} pid=`));
  },
);

e2e("serve descriptors: every address means IPv4 and IPv6", {}, async () => {
  const port = freePort();
  await using _server = await serving(CONFIG, { options: [`${port}`] });
  for (
    const [hostname, banner] of [["127.0.0.1", NEXT], ["::1", undefined]]
  ) {
    using client = await Client.connect(port, hostname);
    const reply = await client.reply();
    if (banner !== undefined) assertEquals(reply, banner);
    else assertMatch(reply!, /^220 mx\.example /);
  }
  assert(lines().some((line) => line.startsWith("pass ip=127.0.0.1 ")));
});

e2e(
  "serve descriptors: an address that cannot be listened on is one line",
  {},
  async () => {
    await using server = await serving(CONFIG);
    const binary = await compile(withUser(CONFIG));
    const taken = `127.0.0.1:${server.port}`;
    const free = `127.0.0.1:${freePort()}`;
    for (
      const [args, code, expected] of [
        [[taken, "--", "true"], 111, `${taken}: bind: Address already in use`],
        [
          [free, taken, "--", "true"],
          111,
          `${taken}: bind: Address already in use`,
        ],
        [
          ["192.0.2.1:25", "--", "true"],
          111,
          "192.0.2.1:25: bind: Cannot assign requested address",
        ],
        [[], 100, "expected [HOST:]PORT"],
        [["--", "true"], 100, "expected [HOST:]PORT"],
        [[free], 100, "expected -- PROGRAM"],
        [[free, "--"], 100, "expected -- PROGRAM"],
        [["localhost:25", "--", "true"], 100, "localhost:25: expected "],
        [
          [free, "true"],
          100,
          "or [2001:db8::1]:25, and -- in front of PROGRAM",
        ],
        [["-c40", free, "--", "true"], 100, "-c40: unknown option"],
      ] as const
    ) {
      const outcome = await run([binary, "serve", ...args]);
      assertEquals(outcome.code, code, outcome.stderr);
      assert(outcome.stderr.includes(expected), outcome.stderr);
      assertEquals(outcome.stderr.trimEnd().split("\n").length, 1);
      assertEquals(outcome.stdout, "");
    }
  },
);

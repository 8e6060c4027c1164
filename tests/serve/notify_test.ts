// serve tells its service manager what it does.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { Notify } from "../../lib/serve/notify.ts";
import { sendDatagram } from "../../lib/system/datagram.ts";
import { monotonicMicroseconds } from "../../lib/system/monotonic.ts";
import { encode } from "../../lib/system/utf8.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { logged, serving } from "../harness/serving.ts";
import { MANAGER_PROGRAMS, startManager } from "../harness/service_manager.ts";
import { Client } from "../harness/smtp.ts";
import { slowingAt } from "../harness/strace.ts";
import { temporary } from "../harness/temporary.ts";
import { notUpgradable, upgradable, upgrades } from "../harness/upgrading.ts";

const LIST = `${ROOT}/list` as Path;

/** One configuration for all, so that there is one binary. */
const CONFIG: Partial<Config> = {
  whitelist: { networks: ["127.0.0.0/24"], files: [LIST] },
  storeTimeout: "20s",
};

/** The watchdog's time: a tick is due twice in it. */
const WATCHDOG_USEC = "400000";

function begin(env: Record<string, string>, more = {}) {
  writeFile("list", "# nobody\n");
  return serving(CONFIG, { env, ...more });
}

const NEEDS = { programs: [...MANAGER_PROGRAMS] };

for (const kind of ["path", "abstract"] as const) {
  e2e(
    `serve tells a manager (${kind}) of start, reload and end`,
    NEEDS,
    async () => {
      await using manager = await startManager(kind);
      await using server = await begin({ NOTIFY_SOCKET: manager.socket });
      const { port, pid } = server;
      const ready = `READY=1 | STATUS=listening on 127.0.0.1:${port}`;
      assertEquals(await manager.told(/^READY=1/), ready);

      const before = monotonicMicroseconds();
      Deno.kill(pid, "SIGHUP");
      const message = await manager.told(/^RELOADING=1/);
      const usec = / MONOTONIC_USEC=(\d+) \| STATUS=/.exec(message)?.[1];
      assert(
        BigInt(usec!) >= before && BigInt(usec!) <= monotonicMicroseconds(),
      );
      await waitFor("READY", () => manager.messages().length === 3);
      assertEquals(manager.messages()[2], ready);

      using talking = await Client.connectFrom(port, { from: "127.0.1.1" });
      assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
      Deno.kill(pid, "SIGTERM");
      assertMatch(await manager.told(/^STOPPING=1/), /^STOPPING=1 \| STATUS=/);
      assertEquals(await server.code, 0);
      // Without a watchdog serve sends nothing else.
      const firsts = manager.messages().map((text) => text.split(" ")[0]);
      assertEquals(firsts, ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
      assertEquals(server.stderr(), "");
    },
  );
}

e2e("serve: an upgrade is a reload, whether it is done or refused", {
  ...NEEDS,
  kernel: notUpgradable,
}, async () => {
  await using manager = await startManager("path");
  writeFile("list", "# nobody\n");
  await using server = await upgradable(CONFIG, {
    env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC },
  });
  const { pid, binary } = server;
  const told = () =>
    manager.messages().filter((text) => !text.startsWith("WATCHDOG"));
  const ready = await manager.told(/^READY=1/);
  for (let i = 1; i <= 2; i++) {
    const before = told().length;
    Deno.kill(pid, "SIGUSR2");
    await waitFor("READY again", () => told().length === before + 2);
    assertMatch(told().at(-2)!, /^RELOADING=1 .* STATUS=upgrade$/);
    // The second time it is the old one that goes on.
    assertEquals(told().at(-1), ready);
    const ticks = manager.messages().length;
    await waitFor("the watchdog", () => manager.messages().length > ticks);
    assertEquals(upgrades().length, 2 * i);
    if (i === 1) Deno.removeSync(binary);
  }
  Deno.kill(pid, "SIGTERM");
  await manager.told(/^STOPPING=1/);
  assertEquals(await server.code, 0);
});

e2e("serve is ready when its whitelist files are read", {
  programs: [...MANAGER_PROGRAMS],
}, async () => {
  await using manager = await startManager("path");
  writeFile("list", "127.0.1.1\n");
  await using server = await serving(CONFIG, {
    env: { NOTIFY_SOCKET: manager.socket },
  });
  await manager.told(/^READY=1/);
  using client = await Client.connectFrom(server.port, { from: "127.0.1.1" });
  assertEquals(await client.reply(), NEXT);
});

e2e("PROGRAM finds no trace of the service manager", NEEDS, async () => {
  await using manager = await startManager("path");
  const next = ["sh", "-c", "env | grep -cE '^(NOTIFY|WATCHDOG)_'"];
  await using server = await begin({
    NOTIFY_SOCKET: manager.socket,
    WATCHDOG_USEC,
  }, {
    next,
    before: ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"],
  });
  using client = await Client.connect(server.port);
  assertEquals(await client.rest(), "0\n");
  // WATCHDOG_PID is this process.
  await manager.told(/^WATCHDOG=1$/);
});

e2e("serve: the watchdog ticks while the store hangs", {
  programs: [...MANAGER_PROGRAMS, "strace"],
}, async () => {
  await using manager = await startManager("path");
  const entry = `${BASE}/127.0.9.0_24`;
  await using server = await begin({
    NOTIFY_SOCKET: manager.socket,
    WATCHDOG_USEC,
  }, { before: slowingAt([entry], "statx,mknodat", 10) });
  const ticks = () =>
    manager.messages().filter((text) => text === "WATCHDOG=1").length;
  await waitFor("ticks of a loop without clients", () => ticks() >= 3);
  using client = await Client.connectFrom(server.port, { from: "127.0.9.1" });
  let answer: string | undefined;
  const answered = client.reply().then((text) => answer = text ?? "");
  const before = ticks();
  await waitFor("ticks while a client waits", () => ticks() >= before + 6);
  assertEquals(answer, undefined);
  await answered;
  assertMatch(answer!, /^220 mx\.example /);
});

e2e("serve: a watchdog of another process gets no ticks", NEEDS, async () => {
  await using manager = await startManager("path");
  await using server = await begin({
    NOTIFY_SOCKET: manager.socket,
    WATCHDOG_USEC: "20000",
    WATCHDOG_PID: "1",
  });
  await manager.told(/^READY=1/);
  // Twenty ticks would be due meanwhile.
  await new Promise((done) => setTimeout(done, 200));
  using client = await Client.connect(server.port);
  assertEquals(await client.reply(), NEXT);
  assertEquals(manager.messages().length, 1);
});

e2e(
  "serve: a manager that is missing or does not read is one line",
  {},
  async () => {
    const none = `${emptyDir("nobody")}/socket`;
    {
      await using server = await begin({ NOTIFY_SOCKET: none, WATCHDOG_USEC });
      const line = await logged(/NOTIFY_SOCKET/);
      assertMatch(
        line,
        / warn serve what="NOTIFY_SOCKET: send to \S+: No such file or directory"$/,
      );
      Deno.kill(server.pid, "SIGHUP");
      using client = await Client.connect(server.port);
      assertEquals(await client.reply(), NEXT);
    }
    // Its queue is full: nothing waits.
    const path = `${ROOT}/full`;
    await using stack = new AsyncDisposableStack();
    const full = Deno.listenDatagram({ transport: "unixpacket", path });
    stack.defer(() => full.close());
    await using server = await serving(CONFIG, {
      next: greeter(),
      env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "2000" },
    });
    assertMatch(await logged(/NOTIFY_SOCKET/), /temporarily unavailable"$/);
    using client = await Client.connect(server.port);
    assertEquals(await client.reply(), NEXT);
  },
);

/** A manager's socket whose queue is full until {@linkcode empty}. */
class FullManager implements Disposable {
  readonly #dir = temporary();
  readonly path = `${this.#dir.path}/socket`;
  readonly #socket = Deno.listenDatagram({
    transport: "unixpacket",
    path: this.path,
  });
  #filled = 0;

  constructor() {
    this.fill();
  }

  fill(): void {
    const flood = encode("x");
    try {
      for (;; this.#filled++) sendDatagram(this.path, flood);
    } catch {
      // The queue is full.
    }
  }

  async empty(): Promise<void> {
    for (; this.#filled > 0; this.#filled--) await this.#socket.receive();
  }

  /** The next message. */
  async told(): Promise<string> {
    const [bytes] = await this.#socket.receive();
    return new TextDecoder().decode(bytes);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    this.#dir[Symbol.dispose]();
  }
}

const READY = "READY=1\nSTATUS=listening";

Deno.test("notify: a state that a full queue does not take is sent again", async () => {
  using manager = new FullManager();
  const warnings: string[] = [];
  let wakes = 0;
  const notify: Notify = new Notify(
    { NOTIFY_SOCKET: manager.path },
    (what) => warnings.push(what),
    // The event loop has to learn of the time of the next try.
    () => wakes += Number(notify.next() < Infinity),
  );
  notify.ready("listening");
  assertEquals([warnings.length, wakes], [1, 1]);
  assert(notify.next() < Infinity);
  await manager.empty();
  notify.expire(notify.next() - 1);
  notify.expire(notify.next());
  assertEquals(await manager.told(), READY);
  assertEquals([notify.next(), warnings.length], [Infinity, 1]);
});

Deno.test("notify: a reload that meets a full queue is told in its order", async () => {
  using manager = new FullManager();
  const notify = new Notify(
    { NOTIFY_SOCKET: manager.path },
    () => {},
    () => {},
  );
  notify.reloading("reading files again");
  await manager.empty();
  notify.ready("listening");
  assertMatch(await manager.told(), /^RELOADING=1\n/);
  assertEquals(await manager.told(), READY);
  assertEquals(notify.next(), Infinity);

  // Only the last reload counts, and an end voids it.
  manager.fill();
  for (let i = 0; i < 2; i++) {
    notify.reloading("reading files again");
    notify.ready("listening");
  }
  await manager.empty();
  notify.expire(notify.next());
  assertMatch(await manager.told(), /^RELOADING=1\n/);
  assertEquals(await manager.told(), READY);
  manager.fill();
  notify.reloading("reading files again");
  notify.stopping("programs go on");
  await manager.empty();
  notify.expire(notify.next());
  assertMatch(await manager.told(), /^STOPPING=1\n/);
  assertEquals(notify.next(), Infinity);
});

Deno.test("notify: a tick that a full queue does not take is sent again in time", async () => {
  for (const [seconds, soon] of [[30, 1000], [1, 250]]) {
    using manager = new FullManager();
    const notify = new Notify(
      {
        NOTIFY_SOCKET: manager.path,
        WATCHDOG_USEC: String(seconds * 1e6),
      },
      () => {},
      () => {},
    );
    await manager.empty();
    notify.ready("listening");
    assertEquals(await manager.told(), READY);
    manager.fill();
    const due = notify.next();
    notify.expire(due);
    assertEquals(notify.next(), due + soon);
    await manager.empty();
    notify.expire(due + soon);
    assertEquals(await manager.told(), "WATCHDOG=1");
    assertEquals(notify.next(), due + soon + seconds * 500);
  }
});

Deno.test("notify: a manager that is not there is asked once", () => {
  const warnings: string[] = [];
  const socket = "/nonexistent/socket";
  const notify = new Notify(
    { NOTIFY_SOCKET: socket },
    (what) => warnings.push(what),
    () => {},
  );
  notify.ready("listening");
  assertEquals([notify.next(), warnings.length], [Infinity, 1]);
});

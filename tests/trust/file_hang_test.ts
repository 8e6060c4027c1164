// Runs alone: it measures how long clients wait, and strace stops serve often.

// serve with a log file, a whitelist file or a standard error that hangs.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { logLines } from "../harness/binary.ts";
import { stoppedFuse } from "../harness/fuse.ts";
import { e2e, programPath } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import {
  assertBegins,
  assertStops,
  CONFIG,
  FUSE,
  greeted,
  HANG,
  measure,
  patrol,
  sleep,
  traced,
} from "../harness/patrol.ts";
import { processesOf, run, waitFor } from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { Stopwatch } from "../harness/stopwatch.ts";
import { slowingAt } from "../harness/strace.ts";

/** Sends a process SIGHUPs for some seconds. */
async function hangUps(pid: number, seconds: number): Promise<void> {
  const watch = new Stopwatch();
  while (watch.seconds < seconds) {
    Deno.kill(pid, "SIGHUP");
    await sleep(0.005);
  }
}

for (const what of ["log", "whitelist"] as const) {
  e2e(`serve: a ${what} file whose daemon has stopped`, FUSE, async () => {
    const quiet = await measure();
    const stopped = emptyDir("stopped");
    const lists = emptyDir("lists");
    const link = `${ROOT}/hanging`;
    const point = async (to: string) => {
      await run(["ln", "-sfn", to, link]);
    };
    writeFile("lists/white", "127.8.0.1\n");
    await point(lists);
    const place = (name: string, moves: boolean) =>
      `${moves ? link : lists}/${name}` as `/${string}`;
    const whitelist = { files: [place("white", what === "whitelist")] };
    const target = place("greylist.log", what === "log");
    await using server = await serving({
      ...CONFIG,
      whitelist,
      log: { target },
    }, {
      before: stoppedFuse(stopped),
    });
    const { port } = server;
    const own = `${lists}/greylist.log`;
    const lineOf = (ip: string) =>
      waitFor(
        `a line of ${ip}`,
        () => logLines(own).find((line) => line.includes(` ip=${ip} `)),
      );
    assertEquals((await greeted(port, "127.8.0.1")).result, NEXT);
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const [pid] = processesOf(server.binary);
    await point(stopped);
    writeFile("lists/white", "127.8.0.1\n127.5.0.1\n");
    Deno.kill(pid, "SIGHUP");
    if (what === "log") {
      // The other files are read nevertheless.
      await waitFor(
        "the new whitelist",
        async () => (await greeted(port, "127.5.0.1")).result === NEXT,
      );
    }
    // The old rules and the old log stay. Signals that come again and again, each
    // while the files of the one before are still waited for, take no more threads.
    await patrol(quiet, port, talking, hangUps(pid, 5));
    const { result } = await greeted(port, "127.6.1.1");
    assertMatch(result, /^220 mx\.example /);
    await lineOf("127.6.1.1");
    if (what === "whitelist") {
      assertMatch(
        (await greeted(port, "127.5.0.1")).result,
        /^220 mx\.example /,
      );
    }
    await assertStops(quiet, port, pid, talking);
    assertEquals(server.stderr(), "");
  });
}

// Each call takes longer than storeTimeout, and so does the start without a limit.
for (const calls of ["statx,openat", "write"]) {
  e2e(`serve: at its start ${calls} of the log file take ${HANG} s`, {
    programs: ["strace"],
  }, async () => {
    const quiet = await measure(CONFIG, traced());
    const target = `${emptyDir("slow")}/greylist.log` as `/${string}`;
    await using server = await serving(
      { ...CONFIG, log: { target } },
      { before: slowingAt([target], calls, HANG) },
    );
    const { port } = server;
    assertEquals((await greeted(port, "127.8.0.2")).result, NEXT);
    assertEquals(logLines(target), []);
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const lines = waitFor(
      "the lines",
      () => logLines(target).some((line) => line.includes(" ip=127.8.0.2 ")),
    );
    await Promise.all([lines, patrol(quiet, port, talking, lines)]);
    const [first, ...others] = logLines(target);
    assertMatch(first, / serve on=/);
    assertEquals(others.filter((line) => / lost=/.test(line)), []);
    assertEquals(server.stderr(), "");
  });
}

e2e(`serve: at its start openat,read of a whitelist file take ${HANG} s`, {
  programs: ["strace"],
}, async () => {
  const quiet = await measure(CONFIG, traced());
  const file = writeFile("slow-white", "127.5.0.1\n") as `/${string}`;
  const { networks } = CONFIG.whitelist!;
  await using server = await serving(
    { ...CONFIG, whitelist: { networks, files: [file] } },
    { before: slowingAt([file], "openat,read", HANG) },
  );
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  await assertBegins(quiet, talking);
  // Until the file is read, its clients are as good as any.
  assertMatch((await greeted(port, "127.5.0.1")).result, /^220 mx\.example /);
  const isRead = waitFor(
    "the whitelist",
    async () => (await greeted(port, "127.5.0.1")).result === NEXT,
  );
  await Promise.all([isRead, patrol(quiet, port, talking, isRead)]);
  assertEquals(server.stderr(), "");
});

e2e("serve: at its start the daemon of the log file has stopped", {
  ...FUSE,
}, async () => {
  const quiet = await measure();
  const stopped = emptyDir("stopped");
  const target = `${stopped}/greylist.log` as `/${string}`;
  await using server = await serving(
    { ...CONFIG, log: { target } },
    { before: stoppedFuse(stopped) },
  );
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
  await patrol(quiet, port, talking, sleep(1));
  const [pid] = processesOf(server.binary);
  await assertStops(quiet, port, pid, talking);
  assertEquals(server.stderr(), "");
});

e2e("serve: a reader of standard error that stalls holds up no client", {
  programs: ["mkfifo"],
}, async () => {
  const fifo = `${ROOT}/stalled-${Deno.pid}`;
  await run([programPath("mkfifo"), fifo]);
  using reader = await Deno.open(fifo, { read: true, write: true });
  const quiet = await measure();
  await using server = await serving({
    ...CONFIG,
    // Longer than all of it takes.
    timeouts: { delay: "1h" },
    log: { target: "stderr" },
  }, {
    before: ["/bin/sh", "-c", 'exec "$@" 2>"$0"', fifo],
  });
  const { port } = server;
  using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
  assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
  // Each line has some 700 characters; a megabyte of them waits at most.
  const long = "\x1b".repeat(100);
  const said = `HELO ${long}\r\nMAIL FROM:<${long}>\r\nRCPT TO:<${long}>\r\n` +
    "QUIT\r\n";
  const count = 3000;
  let begun = 0;
  const oneByOne = async () => {
    while (begun < count) {
      begun++;
      using client = await Client.connect(port);
      await client.send(said);
      assertMatch(await client.rest(), /^220 (.*\r\n)*221 /);
    }
  };
  const coming = Promise.all(Array.from({ length: 10 }, oneByOne));
  await Promise.all([coming, patrol(quiet, port, talking, coming)]);
  // The reader goes on.
  let text = "";
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(1 << 16);
  while (!/^warn log lost=\d+ .*$/m.test(text)) {
    const { length } = bytes.subarray(0, await reader.read(bytes) ?? 0);
    text += decoder.decode(bytes.subarray(0, length), { stream: true });
  }
  const lost = Number(/^warn log lost=(\d+) /m.exec(text)![1]);
  const written = text.match(/^defer ip=127\.0\.0\.1 /mg)!.length;
  assert(lost > 0);
  // Besides them the whitelisted clients of the patrol have lines.
  assert(written + lost >= count, `${written} written, ${lost} lost`);
  assert(written < count, `${written} written`);
});

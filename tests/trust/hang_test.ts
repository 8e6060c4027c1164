// Runs alone: it measures how long clients wait, and strace stops serve often.

// serve on a base directory that hangs, and what SIGTERM waits for.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { deciding, logLines } from "../harness/binary.ts";
import { stoppedFuse } from "../harness/fuse.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import {
  assertEnded,
  CALLS,
  comeAtOnce,
  CONFIG,
  FUSE,
  greeted,
  HANG,
  measure,
  patrol,
  PROMPT,
  type Quiet,
  room,
  sleep,
  SLOW_PATHS,
  slowClient,
  timed,
  traced,
} from "../harness/patrol.ts";
import {
  connectionsTo,
  isListening,
  processesOf,
  waitFor,
} from "../harness/process.ts";
import { BASE } from "../harness/root.ts";
import { logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { slowingAt, STORE_TIMEOUT } from "../harness/strace.ts";

/** What it promises to SIGTERM if nothing hangs, in seconds. */
const QUIET_END = 0.3;

/** How many clients stay then. */
const STAYING = 20;

e2e("serve: TERM waits for no client that stays", {}, async () => {
  const config: Partial<Config> = { ...CONFIG, prune: { every: 0 } };
  const quiet = await measure(config);
  await using server = await serving(config);
  const { port, pid } = server;
  const clients = await Promise.all(
    Array.from({ length: STAYING }, async (_, n) => {
      const client = await Client.connectFrom(port, {
        from: `127.0.1.${n + 1}`,
      });
      assertMatch((await client.reply())!, /^220 /);
      return client;
    }),
  );
  const { result, seconds } = await timed(() => {
    Deno.kill(pid, "SIGTERM");
    return server.code;
  });
  assertEquals(result, 0);
  assert(!isListening(port));
  // Not one of them has hung up, and each was told.
  for (const client of clients) {
    assertMatch((await client.reply())!, /^421 4\.3\.2 /);
    assertEquals(await client.rest(), "");
    client[Symbol.dispose]();
  }
  assertEnded(quiet, seconds, QUIET_END);
});

/** How long a client that needs the hanging store may wait, in seconds. */
function lateFor(quiet: Quiet): number {
  return STORE_TIMEOUT + 0.2 + room(quiet.longest);
}

/** Connects all clients that need the hanging store, at once. */
async function newcomers(
  quiet: Quiet,
  port: number,
  onError: "accept" | "defer",
) {
  const all = await comeAtOnce(port);
  for (const { result, seconds } of all) {
    if (onError === "accept") assertEquals(result, NEXT);
    else assertMatch(result, /^220 mx\.example /);
    const late = lateFor(quiet);
    assert(seconds <= late, `a new client waited ${seconds} s, not ${late} s`);
  }
  // The first of them came before serve had noticed.
  assert(all.some(({ real }) => real >= STORE_TIMEOUT - 0.1));
}

/** What the ERROR lines say: the state of the hang, or the line if it is another. */
function hangs(): string[] {
  return logLines().filter((line) => / error /.test(line))
    .map((line) => / error store hang=(\w+) /.exec(line)?.[1] ?? line);
}

/** Ends the service while clients are there, and while the store hangs. */
async function assertEnds(
  quiet: Quiet,
  port: number,
  binary: string,
  talking: Client,
) {
  using asked = await Client.connectFrom(port, { from: slowClient(0) });
  await waitFor("both clients", () => connectionsTo(port) === 2);
  const [pid] = processesOf(binary);
  const { result, seconds } = await timed(async () => {
    Deno.kill(pid, "SIGTERM");
    const said = await Promise.all([talking.rest(), asked.rest()]);
    await waitFor("the end of the listener", () => !isListening(port));
    return said;
  });
  for (const said of result) assertMatch(said, /421 4\.3\.2 /);
  assertEnded(quiet, seconds);
}

/** The state of a process in /proc; a process that is gone counts as dead. */
function statusOf(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return "State:\tX";
  }
}

for (const onError of ["accept", "defer"] as const) {
  const config = { ...CONFIG, ...deciding(onError) };

  e2e(`serve, onError ${onError}: each store call takes ${HANG} s`, {
    programs: ["strace"],
  }, async () => {
    const quiet = await measure(config, traced());
    // A client that waits for the whole call has to be later than the limit.
    const hang = Math.max(HANG, lateFor(quiet) + 1);
    await using server = await serving(config, {
      before: slowingAt(SLOW_PATHS, CALLS, hang),
    });
    const { port } = server;
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    assertMatch(await talking.reply() ?? "", /^220 mx\.example /);
    const coming = newcomers(quiet, port, onError);
    await Promise.all([coming, patrol(quiet, port, talking, coming)]);
    await logged(/ error store hang=begins clients=\d+ /);
    // The store is not asked now, so no client waits for it.
    const { seconds } = await greeted(port, slowClient(0));
    assert(seconds <= PROMPT + room(quiet.longest), `${seconds} s`);
    assertEquals(hangs(), ["begins"]);
    // One client tries it again after some seconds.
    for (let n = 0; !hangs().includes("ended") && n < 60; n++) {
      await greeted(port, `127.6.${n}.1`);
      await sleep(0.5);
    }
    assertEquals(hangs(), ["begins", "ended"]);
    await assertEnds(quiet, port, server.binary, talking);
    assertEquals(server.stderr(), "");
  });

  e2e(`serve, onError ${onError}: the base directory's daemon has stopped`, {
    ...FUSE,
  }, async () => {
    const quiet = await measure(config);
    await using server = await serving(config, {
      before: stoppedFuse(BASE),
    });
    const { port } = server;
    // onError decides about the client that talks as well.
    using talking = await Client.connectFrom(port, { from: "127.7.0.1" });
    const first = await talking.reply();
    if (onError === "accept") assertEquals(first, NEXT);
    else {
      assertMatch(first ?? "", /^220 mx\.example /);
      const coming = newcomers(quiet, port, onError);
      await Promise.all([coming, patrol(quiet, port, talking, coming)]);
      await logged(/ error store hang=begins clients=\d+ /);
      assertEquals(hangs(), ["begins"]);
      const [pid] = processesOf(server.binary);
      const { result, seconds } = await timed(async () => {
        Deno.kill(pid, "SIGTERM");
        const said = await talking.rest();
        await waitFor("the end of the listener", () => !isListening(port));
        return said;
      });
      assertMatch(result, /^421 4\.3\.2 /);
      assertEnded(quiet, seconds);
      // Its threads cannot end, but it runs no more.
      await waitFor(
        "the end of the main thread",
        () => /^State:\s+[ZX]/m.test(statusOf(pid)),
      );
    }
    assertEquals(server.stderr(), "");
  });
}

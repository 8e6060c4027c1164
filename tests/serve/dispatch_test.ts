import { assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import {
  Connections,
  type ConnectionsOptions,
} from "../../lib/serve/connections.ts";
import { Dispatch, type DispatchOptions } from "../../lib/serve/dispatch.ts";
import { BUSY } from "../../lib/smtp/refusal.ts";
import { E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { check, fromLibc, LibcError } from "../../lib/system/libc.ts";
import { isOpen, type Pair, pair } from "../harness/pair.ts";

// Opened before any test begins: see libc.ts.
const libc = fromLibc({
  // int dup(int oldfd);
  dup: { parameters: ["i32"], result: "i32" },
})();

const PEER = { address: parseAddress("192.0.2.7")!, port: 25 };

/** What both need, but no descriptor can be watched (max_user_watches). */
function options(starting = 0) {
  const logged: string[] = [];
  const log = {
    error: logged.push.bind(logged),
    warn: logged.push.bind(logged),
  };
  const all = {
    config: { deferral: { at: "rcpt", idleTimeout: 60, sessionTimeout: 300 } },
    serve: { deferredLimit: 1, proxy: [{ network: network() }] },
    epoll: {
      add() {
        throw new LibcError("epoll_ctl", E.ENOSPC);
      },
    },
    children: { starting },
    files: { log, hostname: "mx.example" },
  };
  return {
    logged,
    all: all as unknown as ConnectionsOptions & DispatchOptions,
  };
}

function network() {
  return { ...PEER.address, prefix: 24, value: PEER.address.value & ~255n };
}

/**
 * Defers a client that cannot be watched, and asserts that it gets one reply.
 *
 * @param mayHold whether there is room for a dialogue
 */
async function deferAtOnce(client: Pair, mayHold: boolean) {
  const { logged, all } = options();
  let released = 0;
  new Dispatch(all, { mayHold: () => mayHold }).defer({
    fd: client.fd,
    peer: PEER,
    client: { ip: "192.0.2.7" },
    network: network(),
    env: {},
    release: () => released++,
  }, { status: "4.7.1", text: "Greylisted" });
  assertEquals(await client.rest(), "421 4.7.1 Greylisted\r\n");
  return { logged, released };
}

Deno.test("dispatch: a client that cannot be watched is deferred at once", async () => {
  using client = await pair();
  const { logged, released } = await deferAtOnce(client, true);
  assertEquals([released, isOpen(client.fd)], [1, false]);
  assertEquals(logged.length, 1);
});

Deno.test("dispatch: without room a client gets one reply, and no dialogue", async () => {
  using client = await pair();
  const { logged, released } = await deferAtOnce(client, false);
  // To watch the client, as for a dialogue, would have failed.
  assertEquals([released, logged], [1, []]);
});

Deno.test("dispatch: a client reads the end though a child has a copy", async () => {
  using client = await pair();
  // As a child between fork and exec has.
  const copy = check("dup", libc.dup(client.fd));
  const { all } = options(1);
  new Dispatch(all, { mayHold: () => true }).refuse(
    { fd: client.fd, release: () => {} },
    BUSY,
  );
  assertMatch(await client.rest(), /^421 4\.3\.2 /);
  assertEquals(isOpen(client.fd), false);
  close(copy);
});

Deno.test("connections: a balancer that cannot be watched gets a 421", async () => {
  using client = await pair();
  const { logged, all } = options();
  new Connections(all).add({ fd: client.fd, peer: PEER });
  assertEquals(
    await client.rest(),
    "421 4.3.0 Temporary local problem, please try again later\r\n",
  );
  assertEquals([logged.length, isOpen(client.fd)], [1, false]);
});

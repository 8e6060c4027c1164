import { assertEquals, assertMatch } from "@std/assert";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  connectionsTo,
  hungUp,
  isListening,
  processesOf,
  waitFor,
} from "../harness/process.ts";
import { logged, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { slowingAt } from "../harness/strace.ts";

/** How many clients wait in the kernel: more than `serve` accepts in some turns. */
const WAITING = 700;

e2e(
  "serve: TERM tells those that wait in the kernel to come back",
  {},
  async () => {
    // It cannot accept all of them, or this test might show nothing: connections
    // of balancers may use all descriptors until their headers come.
    const before = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"];
    const config = { serve: { proxy: ["127.0.0.0/16"] } };
    await using server = await serving(config, { before });
    const { port, pid } = server;
    // The kernel goes on to connect clients.
    Deno.kill(pid, "SIGSTOP");
    const clients = await Promise.all(
      Array.from({ length: WAITING }, (_, n) =>
        Client.connectFrom(port, {
          from: `127.0.${1 + n % 200}.${1 + Math.floor(n / 200)}`,
        })),
    );
    Deno.kill(pid, "SIGTERM");
    Deno.kill(pid, "SIGCONT");
    const said = await Promise.all(clients.map((client) => client.rest()));
    const resets = clients.filter(({ wasReset }) => wasReset).length;
    for (const client of clients) client[Symbol.dispose]();
    assertEquals(resets, 0);
    for (const text of said) assertMatch(text, /^421 4\.3\.2 [^\r\n]*\r\n$/);
    assertEquals(await server.code, 0);
    assertEquals(server.stderr(), "");
  },
);

/** How long PROGRAM takes to be executed, in seconds. */
const SLOW_EXEC = 30;

e2e("serve: a slow exec of PROGRAM holds up the end of no other connection", {
  programs: ["strace"],
}, async () => {
  const next = greeter();
  await using server = await serving({
    whitelist: { networks: ["127.0.0.0/24"] },
    serve: { proxy: ["127.0.4.0/24"] },
  }, { next, before: slowingAt(next, "execve", SLOW_EXEC) });
  const { port, binary } = server;
  const [pid] = processesOf(binary);
  const from = (address: string) => Client.connectFrom(port, { from: address });
  using deferred = await from("127.0.1.1");
  assertMatch(await deferred.reply() ?? "", /^220 mx\.example /);
  using balancer = await from("127.0.4.1");
  await waitFor("both", () => connectionsTo(port) === 2);
  const passed = await Client.connect(port);
  let isPassed = false;
  const greeting = passed.reply().finally(() => isPassed = true);
  await logged(/ pass ip=127\.0\.0\.1 /);
  await waitFor("the fork", () => processesOf(binary).length > 1);

  // The child has copies of these two, and of the listener.
  await deferred.send("QUIT\r\n");
  assertMatch(await deferred.rest(), /^221 /);
  await balancer.send("EHLO client.example\r\n");
  assertEquals(await balancer.rest(), "");
  Deno.kill(pid, "SIGTERM");
  await waitFor("the end of the listener", () => !isListening(port));
  assertEquals(isPassed, false);

  assertEquals(await greeting, NEXT);
  passed[Symbol.dispose]();
  await hungUp(port);
});

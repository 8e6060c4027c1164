import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import {
  age,
  clientLines,
  compile,
  emptyLog,
  entries,
  logLines,
  SERVE,
} from "../harness/binary.ts";
import { begin } from "../harness/begin.ts";
import { bothWays } from "../harness/both_ways.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { run } from "../harness/process.ts";
import { BASE } from "../harness/root.ts";
import { burst } from "../harness/smtp.ts";
import type { Listener } from "../harness/way_in.ts";

const OBSERVE: Partial<Config> = { mode: "observe" };

/** The only line about one more client, which was let in. */
async function letIn(server: Listener): Promise<string> {
  if (logLines().length > 0) emptyLog();
  assertEquals((await burst(server.port, "QUIT\r\n")).split("\r\n")[0], NEXT);
  await server.idle();
  const [line, ...more] = clientLines();
  assertEquals(more, []);
  return line.replace(/^\S+Z /, "");
}

bothWays(
  "observe: every client is let in, and everything else is as in mode enforce",
  {
    programs: [],
  },
  async (way) => {
    const WHO = "ip=127.0.0.1 net=127.0.0.0/24";
    const ENTRY = "127.0.0.0_24";
    await using server = await begin(way, OBSERVE);
    assertEquals(await letIn(server), `would-defer ${WHO} reason=new wait=60`);
    assertEquals(entries(), { [ENTRY]: 0 });
    assertMatch(
      await letIn(server),
      /^would-defer ip=\S+ net=\S+ reason=early /,
    );
    assertEquals(entries(), { [ENTRY]: 0 });
    age(ENTRY, 100);
    assertMatch(await letIn(server), /^pass .* reason=retried .* accepted=1$/);
    assertMatch(await letIn(server), /^pass .* reason=known .* accepted=2$/);
    assertEquals(entries(), { [ENTRY]: 2 });
  },
);

bothWays(
  "observe: if greylisting is turned on later, regular senders are known",
  {},
  async (way) => {
    {
      await using server = await begin(way, OBSERVE);
      await letIn(server);
      age("127.0.0.0_24", 100);
      await letIn(server);
    }
    // The same database under the configuration without that line.
    const binary = await compile();
    await using server = await way.start({ binary, next: greeter() });
    assertMatch(await letIn(server), /^pass .* reason=known .* accepted=2$/);
  },
);

bothWays(
  "observe: if the check fails, the client is let in, whatever onError says",
  {},
  async (way) => {
    await using server = await begin(way, {
      ...OBSERVE,
      onError: "defer",
      prune: { every: 0 },
    });
    await run(["rm", "-rf", BASE]);
    assertMatch(
      await letIn(server),
      /^error would-defer ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=error what="/,
    );
  },
);

bothWays("PROGRAM finds in GREYLIST what was decided", {
  programs: ["env"],
}, async (way) => {
  const next = ["/bin/sh", "-c", 'printf "%s\\r\\n" "$GREYLIST"'];
  const start = { next, before: ["env", "GREYLIST=forged"] };
  const told = async (config: Partial<Config>) => {
    const binary = await compile(config);
    await using server = await way.start({ ...start, binary });
    return (await burst(server.port, "")).trimEnd();
  };
  await using _ = await begin(way, OBSERVE);
  assertEquals(
    await told(OBSERVE),
    "would-defer reason=new wait=60 net=127.0.0.0/24",
  );
  age("127.0.0.0_24", 312);
  assertMatch(
    await told(OBSERVE),
    /^retried age=3\d\d accepted=1 net=127\.0\.0\.0\/24$/,
  );
  assertMatch(
    await told({}),
    /^known age=\d+ accepted=2 net=127\.0\.0\.0\/24$/,
  );
  assertEquals(
    await told({ whitelist: { networks: ["127."] } }),
    "whitelisted rule=networks:127. net=127.0.0.0/24",
  );
  // A rule of serve cannot set the variable.
  const rules = [{ networks: ["127.0.0.0/8"], env: { GREYLIST: "forged" } }];
  assertMatch(await told({ serve: { ...SERVE, rules } }), /^known age=/);
  await run(["rm", "-rf", BASE]);
  assertEquals(await told({}), "error");
});

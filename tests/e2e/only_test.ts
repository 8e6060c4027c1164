import { assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import {
  clean,
  clientLines,
  compile,
  emptyLog,
  entries,
  logLines,
} from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { ROOT, writeFile } from "../harness/root.ts";
import { burstFrom } from "../harness/smtp.ts";
import { tcpserver, type WayIn } from "../harness/way_in.ts";

const FILE = `${ROOT}/dialup` as Path;

/** Clients without a name are suspect, and those with such a name. */
const NAMES: Config["only"] = { nameless: true, hosts: ["/(^|\\.)dsl\\./"] };

/** The log line about a client, without the time. */
async function fate(
  way: WayIn,
  config: Partial<Config>,
  { from, set = [] }: { from?: string; set?: string[] } = {},
): Promise<string> {
  clean();
  const binary = await compile(config);
  const before = set.length > 0 ? ["env", ...set] : [];
  await using server = await way.start({ binary, before, next: greeter() });
  if (logLines().length > 0) emptyLog();
  const text = await burstFrom(from, server.port, "QUIT\r\n");
  await server.idle();
  const [line, ...more] = clientLines();
  assertEquals(more, []);
  const passes = / pass /.test(line);
  assertEquals(text.split("\r\n")[0] === NEXT, passes);
  // Only a client that has to wait has an entry.
  assertEquals(Object.keys(entries()).length, passes ? 0 : 1);
  return line.replace(/^\S+Z /, "");
}

bothWays(
  "only: the clients that it names wait, and no others",
  { programs: ["env"] },
  async (way) => {
    writeFile("dialup", "127.0.1.0/24\n");
    const only: Config["only"] = {
      networks: ["127.0.2.0/24"],
      files: [FILE],
      env: ["RBL"],
    };
    const passes =
      /^pass ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=unsuspected$/;
    assertMatch(await fate(way, { only }), passes);
    assertMatch(await fate(way, { only }, { from: "127.0.1.9" }), /^defer /);
    assertMatch(await fate(way, { only }, { from: "127.0.2.9" }), /^defer /);
    assertMatch(await fate(way, { only }, { set: ["RBL="] }), /^defer /);
    // The whitelist is asked first.
    const whitelist = { networks: ["127.0.2.0/24"] };
    assertMatch(
      await fate(way, { only, whitelist }, { from: "127.0.2.9" }),
      /^pass .* reason=whitelisted rule=networks:127\.0\.2\.0\/24$/,
    );
    // No name is looked up here, so no client has a name.
    assertMatch(await fate(way, { only: NAMES }), /^defer /);
  },
);

e2e("only: names, as tcpserver gives them", {
  programs: ["tcpserver", "env"],
}, async () => {
  const named = (name: string) => ({ set: [`TCPREMOTEHOST=${name}`] });
  const look = (name: string) => fate(tcpserver, { only: NAMES }, named(name));
  assertMatch(await look("mx.example.org"), / reason=unsuspected$/);
  assertMatch(await look("a7.DSL.isp.example."), /^defer /);
  assertMatch(await look("127.0.0.1"), /^defer /);
  assertMatch(await look(""), /^defer /);
});

e2e("only: explain says which clients are suspect", {}, async () => {
  clean();
  writeFile("dialup", "127.0.1.0/24\n");
  const only: Config["only"] = {
    hosts: ["/dsl/"],
    files: [FILE],
    env: ["RBL"],
  };
  const binary = await compile({ only, mode: "observe" });
  const explain = async (...args: string[]) => {
    const { code, stdout, stderr } = await run([binary, "explain", ...args]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  assertMatch(
    await explain("192.0.2.7"),
    /\nonly {7}not suspect; it would be if RBL were set, or its host name matched \(--host\)\nverdict {4}pass, unsuspected; its entry is not looked at\n$/,
  );
  assertMatch(
    await explain("192.0.2.7", "--host", "a.dsl.example"),
    /\nonly {7}suspect by hosts:\/dsl\/\nentry .*\nverdict {4}defer, new: .*\nmode {7}observe: it is let in nevertheless\n/,
  );
  assertMatch(
    await explain("127.0.1.9"),
    /\nonly {7}suspect by .*\/dialup:1\n/,
  );
});

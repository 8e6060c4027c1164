// What `greylist check` says of the section `serve`.

import { assert, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { assertFindings } from "../harness/check_command.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";

e2e("check: what serve needs", { programs: ["prlimit"] }, async (t) => {
  clean();
  const look = async (serve: Config["serve"], ...before: string[]) =>
    await run([...before, await compile({ serve }), "check"]);
  const user = "nobody";
  const everywhere = ["0.0.0.0/0"];
  const modest: Config["serve"] = {
    user,
    limit: 10,
    deferredLimit: 100,
    rules: [
      { networks: everywhere, env: { RELAYCLIENT: "" } },
      { networks: everywhere },
    ],
    proxy: everywhere,
  };
  await t.step("nothing, if nobody is to use it", async () => {
    const outcome = await look({ limit: 10 });
    assertFindings(outcome);
    assert(!outcome.stdout.includes("serve"));
  });
  await t.step("a user", async () => {
    const outcome = await look({ user });
    assertFindings(outcome);
    assert(outcome.stdout.includes("\nok   serve becomes nobody\n"));
    assertFindings(
      await look({ user: "no-such-user" }),
      /^FIX {2}serve\.user no-such-user: expected the name of a user$/,
    );
  });
  await t.step("a group", async () => {
    assertFindings(
      await look({ user, group: "no-such-group" }),
      /^FIX {2}serve\.group no-such-group: expected the name of a group$/,
    );
  });
  await t.step("rules and proxies that are too wide", async () => {
    const outcome = await look(modest);
    assertFindings(outcome);
    for (const field of ["rules[1]", "rules[0].networks[0]", "proxy[0]"]) {
      assert(
        outcome.stdout.includes(`\nwarn serve.${field}: `),
        outcome.stdout,
      );
    }
  });
  await t.step("descriptors", async () => {
    const few = ["prlimit", "--nofile=300:300"];
    assertFindings(
      await look({ user }, ...few),
      /^FIX {2}serve\.limit and serve\.deferredLimit need 1208 descriptors, and there may be 300: raise /,
    );
    assertFindings(await look(modest, ...few));
  });
  await t.step("memory for V8's compilers", async () => {
    const little = ["prlimit", "--data=599999999"];
    assertFindings(
      await look({ user }, ...little),
      /^FIX {2}data is limited to 599999999 bytes: softlimit -d 600000000 or /,
    );
    assertFindings(await look({ user }, "prlimit", "--data=600000000"));
  });
  await t.step("memory for serve", async () => {
    const binary = await compile({ serve: { user } });
    const serving = [binary, "serve", "25", "--", "/bin/true"];
    const look = async (limit: number) =>
      (await run(["prlimit", `--data=${limit}`, binary, "check", ...serving]))
        .stdout;
    assertMatch(
      await look(1799999999),
      /^FIX {2}data is limited to 1799999999 bytes: softlimit -d 1800000000 or /m,
    );
    assertMatch(await look(1800000000), /^ok {3}memory limits$/m);
  });
});

// PROGRAM, the user and the run script, as `greylist check` sees them.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { usesStandIns } from "../../lib/build/stand_in.ts";
import type { Config } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import {
  AS_NOBODY,
  assertFindings,
  binary,
  check,
  FILE,
  NOBODY,
  setUp,
} from "../harness/check_command.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { BASE, emptyDir, LOG, ROOT, writeFile } from "../harness/root.ts";

e2e("check: PROGRAM", {}, async (t) => {
  setUp();
  const dir = emptyDir("check/bin");
  writeFile("check/bin/good", "#!/bin/sh\n", 0o755);
  writeFile("check/bin/plain", "#!/bin/sh\n", 0o644);
  Deno.mkdirSync(`${dir}/directory`);
  const path = await binary();
  const cases: [string, string | undefined][] = [
    [`${dir}/good`, `${dir}/good`],
    ["good", `${dir}/good`],
    [`${dir}/plain`, undefined],
    ["plain", undefined],
    [`${dir}/directory`, undefined],
    ["directory", undefined],
    [`${dir}/missing`, undefined],
    ["missing", undefined],
  ];
  for (const [name, found] of cases) {
    await t.step(name.replace(dir, "DIR"), async () => {
      const outcome = await run([
        "env",
        `PATH=/nowhere:${dir}`,
        path,
        "check",
        name,
      ]);
      if (found === undefined) {
        assertFindings(
          outcome,
          new RegExp(`^FIX  ${name}: no program that uid \\d+ can execute$`),
        );
      } else {
        assertFindings(outcome);
        assert(outcome.stdout.endsWith(`\nok   PROGRAM is ${found}\n`));
      }
    });
  }
});

e2e("check: options behind -- are PROGRAM's", {}, async () => {
  setUp();
  assertFindings(await check("--", "sh", "--login", "-x"));
});

e2e("check: rblsmtpd, only where it is needed", {}, async () => {
  clean();
  emptyDir("check/bin");
  const config: Partial<Config> = { deferral: { at: "rblsmtpd" } };
  const there = await compile(config);
  const look = () => run(["env", `PATH=${ROOT}/check/bin`, there, "check"]);
  assertFindings(await look(), /^FIX {2}rblsmtpd: not found on PATH: install /);
  const rblsmtpd = writeFile("check/bin/rblsmtpd", "#!/bin/sh\n", 0o755);
  const outcome = await look();
  assertFindings(outcome);
  assert(outcome.stdout.includes(`\nok   rblsmtpd is ${rblsmtpd}\n`));
});

e2e("check: with another user's rights", {
  programs: ["setpriv"],
  root: true,
}, async (t) => {
  setUp();
  const path = await binary();
  const ways: [string, string[], string[]][] = [
    ["--user=nobody by root", [], ["--user=nobody"]],
    ["run by nobody", AS_NOBODY, []],
    ["--user=nobody by nobody", AS_NOBODY, ["--user=nobody"]],
  ];
  for (const [name, before, args] of ways) {
    const look = (...operands: string[]) =>
      run([...before, path, "check", ...args, ...operands]);
    await t.step(`${name}: nothing is nobody's`, async () => {
      setUp();
      Deno.chmodSync(FILE, 0o600);
      assertFindings(
        await look(),
        new RegExp(
          `baseDir ${BASE}: .*: not writable for uid ${NOBODY}: chown`,
        ),
        new RegExp(`whitelist file ${FILE}: .*Permission denied`),
        new RegExp(`log file ${LOG}: not writable for uid ${NOBODY}$`),
      );
    });
    await t.step(`${name}: all is nobody's`, async () => {
      setUp();
      for (const mine of [BASE, FILE, `${ROOT}/log`]) {
        Deno.chownSync(mine, Number(NOBODY), Number(NOBODY));
      }
      const outcome = await look("sh");
      Deno.chownSync(BASE, 0, 0);
      Deno.chownSync(`${ROOT}/log`, 0, 0);
      assertFindings(outcome);
      assert(outcome.stdout.includes(`mode 0700, owned by uid ${NOBODY}\n`));
    });
  }
  await t.step("--user=root by nobody", async () => {
    assertEquals(await run([...AS_NOBODY, path, "check", "--user=root"]), {
      code: 100,
      stdout: "",
      stderr: "greylist check: --user=root: expected to be run by root\n",
    });
  });
  await t.step({
    name: "a binary that only root can read",
    // A stand-in is more than one file.
    ignore: usesStandIns(),
    async fn() {
      const copy = `${ROOT}/check/bin/own-binary`;
      Deno.copyFileSync(path, copy);
      Deno.chmodSync(copy, 0o711);
      const { code, stdout } = await run([copy, "check", "--user=nobody"]);
      assertMatch(
        stdout,
        new RegExp(`\nFIX  ${copy}: this binary: not readable and executable `),
      );
      assertEquals(code, 100);
      Deno.removeSync(copy);
    },
  });
  await t.step("PROGRAM that only root can execute", async () => {
    const own = writeFile("check/bin/own", "#!/bin/sh\n", 0o700);
    const { stdout } = await run([...AS_NOBODY, path, "check", own]);
    assertMatch(
      stdout,
      new RegExp(`\nFIX  ${own}: no program that uid ${NOBODY} can execute\n`),
    );
  });
});

e2e("check: the command line of a run script", {}, async (t) => {
  setUp();
  writeFile("check-whitelist", "192.0.2.0/24\n.example.org\n");
  const path = await binary();
  const dir = emptyDir("check/bin");
  for (const name of ["tcpserver", "softlimit", "qmail-smtpd"]) {
    writeFile(`check/bin/${name}`, "#!/bin/sh\n", 0o755);
  }
  const rules = writeFile("check/rules.cdb", "");
  const look = (line: string) =>
    run(["env", `PATH=${dir}:/bin`, path, "check", ...line.split(" ")]);
  const smtpd = `${dir}/qmail-smtpd`;
  const server = `tcpserver -v -R -p -x ${rules} 0 25`;
  await t.step("as it should be", async () => {
    const line = `${server} ${path} softlimit -m 30000000 ${smtpd}`;
    const outcome = await look(line);
    assertFindings(outcome);
    for (
      const text of [
        "ok   names of clients: tcpserver -p\n",
        `ok   PROGRAM is ${dir}/softlimit\n`,
        `ok   files in the command line: ${rules}, ${smtpd}\n`,
      ]
    ) assert(outcome.stdout.includes(text), outcome.stdout);
  });
  await t.step("a typing error behind softlimit", async () => {
    assertFindings(
      await look(`softlimit -m 30000000 ${smtpd}d`),
      new RegExp(`^FIX  ${smtpd}d: no such file that uid \\d+ can see$`),
    );
  });
  await t.step("softlimit in front, no names, no rules", async () => {
    assertFindings(
      await look(
        `softlimit -m 30000000 tcpserver -RHx /no/rules 0 25 ${path} ${smtpd}`,
      ),
      /^FIX {2}no client has a name, so no list with host names works: tcpserver -H /,
      /^FIX {2}softlimit -m in front of greylist: no Deno program starts /,
      /^FIX {2}\/no\/rules: no such file/,
    );
  });
  await t.step(
    "without the super-server, whether clients have names is not known",
    async () => {
      const outcome = await look(smtpd);
      assertFindings(outcome);
      assertMatch(
        outcome.stdout,
        /\nnote host names in lists count only if /,
      );
    },
  );
});

// The recipes of the manual under the supervisors themselves.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config, Path } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { e2e, programPath } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  freePort,
  gone,
  isListening,
  processesOf,
  run,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { withUser } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { upgrade } from "../harness/upgrading.ts";

const PAGE = Deno.readTextFileSync(
  new URL("../../lib/manual/supervise.md", import.meta.url),
);

const LIST = `${ROOT}/list` as Path;
const CONFIG: Partial<Config> = {
  whitelist: { files: [LIST] },
  log: { target: "auto" },
};

const SERVICE = "/service/qmail-smtpd";

/** The scripts of the page: the run script, and one log service for each. */
const SCRIPTS = Array.from(
  PAGE.matchAll(/^```sh\n([^]*?)^```$/gm),
  ([, script]) => script,
);

/** The commands of another page for an upgrade, in the same order. */
const UPGRADES = Deno.readTextFileSync(
  new URL("../../lib/manual/upgrading.md", import.meta.url),
).match(/^(kill -USR2|sv 2|s6-svc -2) .*$/gm)!;

/** The command of a row, for one of the supervisors. */
function commandOf(row: string, column: number): string {
  const line = PAGE.split("\n").find((line) => line.startsWith(`| ${row} `));
  return line!.split("|")[2 + column].replaceAll("`", "").trim();
}

/** One of them; the scripts and columns are in the same order. */
interface Supervisor {
  readonly name: string;
  readonly programs: readonly string[];
  /** The command that runs all services of a directory. */
  readonly scan: string;
  /** What {@linkcode commandOf} says of a service that runs. */
  readonly up: RegExp;
  /** Ends the supervisors of a service, which outlive the command. */
  end(scan: string, service: string): string[];
}

const SUPERVISORS: readonly Supervisor[] = [
  {
    name: "daemontools",
    programs: ["multilog", "setuidgid", "softlimit", "svc", "svscan", "svstat"],
    scan: "svscan",
    up: /: up \(pid \d+\)/,
    end: (_, service) => ["svc", "-dx", service, `${service}/log`],
  },
  {
    name: "runit",
    programs: ["chpst", "runsvdir", "softlimit", "sv", "svlogd"],
    scan: "runsvdir",
    up: /^run: .*\(pid \d+\)/,
    end: (_, service) => ["sv", "exit", service],
  },
  {
    name: "s6",
    programs: [
      "s6-log",
      "s6-setuidgid",
      "s6-svc",
      "s6-svscan",
      "s6-svscanctl",
      "s6-svstat",
      "softlimit",
    ],
    scan: "s6-svscan",
    up: /^up \(pid \d+\)/,
    end: (scan) => ["s6-svscanctl", "-t", scan],
  },
];

/** What a client is greeted with, and answered to RCPT. */
async function ask(port: number): Promise<string> {
  using client = await Client.connect(port);
  const greeting = await client.reply();
  if (greeting === NEXT) return NEXT;
  await client.send("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@c>\r\nQUIT\r\n");
  return await client.rest();
}

SUPERVISORS.forEach((supervisor, column) => {
  const { name, programs, scan, up } = supervisor;
  e2e(`the recipe for ${name}`, { programs, root: true }, async () => {
    assertEquals(SCRIPTS.length, 1 + SUPERVISORS.length);
    clean();
    writeFile("list", "# nobody\n");
    const [program] = greeter();
    const binary = await compile(withUser(CONFIG));
    const port = freePort();
    emptyDir(name);
    const scanned = emptyDir(`${name}/scan`);
    const service = `${scanned}/qmail-smtpd`;
    const logs = emptyDir(`${name}/logs`);
    // The user nobody.
    Deno.chownSync(logs, 65534, 65534);
    const here = (text: string) =>
      text.replaceAll("/usr/local/bin/greylist", binary)
        .replaceAll("serve 25 ", `serve 127.0.0.1:${port} `)
        .replaceAll("/var/qmail/bin/qmail-smtpd", program)
        .replaceAll("/var/log/qmail/smtpd", logs)
        .replaceAll("qmaill", "nobody")
        .replaceAll(SERVICE, service);
    writeFile(`${name}/scan/qmail-smtpd/run`, here(SCRIPTS[0]), 0o755);
    const log = here(SCRIPTS[1 + column]);
    writeFile(`${name}/scan/qmail-smtpd/log/run`, log, 0o755);
    const command = (row: string) =>
      run(here(commandOf(row, column)).split(" "));
    const does = async (row: string) => {
      const { code, stderr } = await command(row);
      assertEquals(code, 0, `${row}: ${stderr}`);
    };
    const said = () => {
      try {
        return Deno.readTextFileSync(`${logs}/current`);
      } catch {
        return "";
      }
    };
    const logged = (pattern: RegExp) =>
      waitFor(`${pattern} in the log`, () => pattern.test(said()));
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      await run(supervisor.end(scanned, service));
      await gone(binary);
    });
    const errors = writeFile(`${name}/stderr`, "");
    stack.use(startServer([programPath(scan), scanned], errors));
    await waitFor(`${name} to start serve`, () => isListening(port));

    assertMatch((await command("state")).stdout, up);
    assertMatch(await ask(port), /^451 4\.7\.1 Greylisted/m);
    await logged(/ defer ip=127\.0\.0\.1 .* reason=new /);

    writeFile("list", "127.0.0.1\n");
    await does("read files again");
    await waitFor("the new whitelist", async () => await ask(port) === NEXT);

    const [before] = processesOf(binary);
    await upgrade(async () => {
      const asked = await run(["sh", "-c", here(UPGRADES[column])]);
      assertEquals(asked.code, 0, asked.stderr);
    }, said);
    await logged(/ serve on=\S+ pid=\d+ upgrade=done /);
    assertEquals(processesOf(binary), [before]);
    assertEquals(await ask(port), NEXT);

    await does("restart");
    await waitFor("another process", () => {
      const [now] = processesOf(binary);
      return now !== undefined && now !== before && isListening(port);
    });
    await logged(/ serve end=stopped /);

    await does("stop");
    await gone(binary);
    assert(!isListening(port));
    await does("start");
    await waitFor("it to listen again", () => isListening(port));
    assertEquals(await ask(port), NEXT);

    const { stdout } = await run([
      binary,
      "report",
      "--json",
      `${logs}/current`,
    ]);
    const { networks } = JSON.parse(stdout);
    assertEquals(networks.deferred, 1, stdout);
    assertEquals(Deno.readTextFileSync(errors), "");
  });
});

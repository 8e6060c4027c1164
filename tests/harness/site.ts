/**
 * Where the commands of the manual run: a copy of the project, with a binary that
 * was made of it as README says, and directories of the test.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { entries } from "./binary.ts";
import { makeEntry } from "./entry.ts";
import { greeter } from "./next_program.ts";
import { freePort, type Outcome, run } from "./process.ts";
import { PROJECT } from "./project.ts";
import { BASE, CONTROL, emptyDir, ROOT, writeFile } from "./root.ts";

/** The directory that has all of it. */
export const SITE = `${ROOT}/site`;

/** The copy of the project. */
export const COPY = `${SITE}/project`;

/** Takes the place of every port that a page names. */
export const PORT: number = freePort();

/** An environment whose PATH has the binary first, and this Deno. */
export const ENV: Record<string, string> = {
  ...Deno.env.toObject(),
  NO_COLOR: "1",
  PATH: `${SITE}/bin:${Deno.env.get("PATH")}`,
};

/** Paths in a page, and the paths that replace them in the tests. */
const PATHS: readonly (readonly [string, string])[] = [
  ["/var/qmail/greylist", BASE],
  ["/var/lib/greylist", BASE],
  ["/var/qmail/control", CONTROL],
  ["/var/qmail/qgreylist", `${SITE}/qgreylist`],
  ["/var/qmail/cqgreylist", `${SITE}/cqgreylist`],
  ["/var/qmail/jgreylist", `${SITE}/jgreylist`],
  ["/var/qmail/bin/qmail-smtpd", `${ROOT}/greeter`],
  ["/var/log/qmail/smtpd/[@c]*", `${SITE}/smtpd.[@l]*`],
  ["/var/log/qmail/smtpd/current", `${SITE}/smtpd.log`],
  ["/var/log/qmail/send/current", `${SITE}/send.log`],
  ["/var/log/mx1.log", `${SITE}/mx1.log`],
  ["/var/log/mx2.log", `${SITE}/mx2.log`],
  ["/usr/local/bin/", `${SITE}/bin/`],
  ["/etc/tcp.smtp.cdb", `${SITE}/tcp.smtp.cdb`],
];

/** All texts in a page that are replaced in the tests. */
const REPLACED: typeof PATHS = [
  ...PATHS,
  [" 0 25 ", ` 127.0.0.1 ${PORT} `],
  ["serve 25 ", `serve 127.0.0.1:${PORT} `],
  ["127.0.0.1 2525 ", `127.0.0.1 ${PORT} `],
  ["127.0.0.1:2525 ", `127.0.0.1:${PORT} `],
  ["1 root root ", `1 ${id("-un")} ${id("-gn")} `],
  ["qmaild", id("-un")],
  ["-o smtpd ", `-o ${id("-un")} `],
];

/** One field of id(1). */
function id(option: string): string {
  const { stdout } = new Deno.Command("id", { args: [option] }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}

/** What stands in a page, for this machine. */
export function here(text: string): string {
  return REPLACED.reduce((text, [from, to]) => text.replaceAll(from, to), text);
}

/** Numbers that are the same in each run: of SMTP replies, and of some durations. */
const SAME = String
  .raw`(?:^|(?<=< ))[245]\d\d(?: \d\.\d\.\d)?(?= )|\b(?:in|after) \d+ seconds\b|\bwait=\d+`;
const NUMBERS = new RegExp(String.raw`(${SAME})|\d+`, "gm");

/** Text as it can be compared: in the words of the page, without other numbers. */
export function comparable(text: string): string {
  return PATHS.reduce((text, [to, from]) => text.replaceAll(from, to), text)
    .replaceAll(/ --server=127\.0\.0\.1:\d+/g, "")
    .replaceAll(NUMBERS, (_, same?: string) => same ?? "0")
    .replaceAll(/\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b/g, "M")
    .replaceAll(/[ \t]+/g, " ").trim();
}

/** How long a command may take, in seconds: some compile or start servers. */
const PATIENCE = 300;

/** Runs a command line as an administrator would. */
export function shell(
  command: string,
  cwd = COPY,
  input = "",
): Promise<Outcome> {
  const options = { cwd, env: ENV, input, patience: PATIENCE };
  return run(["sh", "-c", command], options);
}

let prepared: Promise<Outcome> | undefined;

/** Makes the copy of the project and, as README says, the binary. */
export function prepare(): Promise<Outcome> {
  return prepared ??= (async () => {
    emptyDir("site");
    emptyDir("site/bin");
    emptyDir("site/project");
    greeter();
    writeFile(
      "site/bin/deno",
      `#!/bin/sh\nexec ${Deno.execPath()} "$@"\n`,
      0o755,
    );
    const files = ["deno.json", "deno.lock", "main.ts", "lib"];
    await run(["cp", "-R", ...files.map((name) => PROJECT + name), COPY]);
    configure();
    const outcome = await shell("deno task compile");
    assertEquals(outcome.code, 0, outcome.stderr);
    Deno.copyFileSync(`${COPY}/dist/greylist`, `${SITE}/bin/greylist`);
    return outcome;
  })();
}

/** Makes the configuration that README shows, with one more field. */
export function configure(field = ""): void {
  const readme = Deno.readTextFileSync(`${PROJECT}README.md`);
  const [, module] = /^```ts\n([^]*?)^```$/m.exec(readme)!;
  const more =
    `  controlDir: "${CONTROL}",\n  storeTimeout: "1m",\n${field}});`;
  writeFile(
    "site/project/greylist.config.ts",
    here(module).replace("});", more),
  );
}

/** Makes all entries so old that a retry is let in. */
export function growOlder(): void {
  for (const name of Object.keys(entries())) makeEntry(name, 0, 61);
}

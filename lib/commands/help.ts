/**
 * What the program says about itself.
 *
 * @module
 */

import meta from "../../deno.json" with { type: "json" };
import { type Command, UsageError } from "./command.ts";

/**
 * The directory of the manual's pages, TOPIC.md each. The pages are files, because
 * text that a module imports would be read at each start. The compiled program has
 * the files at the same place beside its modules, and needs no permission for them.
 */
const MANUAL = `${import.meta.dirname}/../manual`;

/**
 * The topics of the manual, in alphabetical order.
 *
 * @throws {Deno.errors.NotCapable} if this runs from source without --allow-read
 */
function topics(): string[] {
  return Array.from(Deno.readDirSync(MANUAL), ({ name }) => name)
    .filter((name) => name.endsWith(".md"))
    .map((name) => name.slice(0, -".md".length))
    .sort();
}

/**
 * The page of a topic, as the file has it.
 *
 * @param topic one of {@linkcode topics}
 */
function page(topic: string): string {
  return Deno.readTextFileSync(`${MANUAL}/${topic}.md`);
}

/** The purpose of a page: its first sentence, which follows the title. */
function summaryOf(page: string): string {
  const [, paragraph = ""] = page.split(/\n\n+/, 2);
  return paragraph.replaceAll("\n", " ").replace(/\.(?: .*)?$/, "");
}

/**
 * What `greylist help NAME` prints: a page of the manual or, for a command that
 * has no page, its usage.
 *
 * @throws {UsageError} if there is neither
 */
export function help(
  args: readonly string[],
  commands: Readonly<Record<string, Command>>,
): string {
  const [name, ...rest] = args;
  if (name === undefined || args.join(" ") === "version") {
    return overview(commands);
  }
  const known = topics();
  if (rest.length === 0) {
    if (known.includes(name)) return page(name);
    if (Object.hasOwn(commands, name)) return commands[name].help;
  }
  const names = new Set([...known, ...Object.keys(commands)]);
  throw new UsageError(
    `${args.join(" ")}: expected one of ${[...names].sort().join(", ")}`,
  );
}

/** What a build writes beside the modules of a compiled program. */
interface Built {
  /** Where @std came from. */
  readonly std: string;
  /** Where the runtime came from. */
  readonly runtime: string;
  /** That of a runtime that is not Deno's own. */
  readonly sha256?: string;
}

/** The versions of the program and its runtime, and where its parts came from. */
export function version(): string {
  const { deno, v8 } = Deno.version;
  return `greylist ${meta.version}\ndeno ${deno}, v8 ${v8}\n${origin()}`;
}

function origin(): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${import.meta.dirname}/../built.json`);
  } catch {
    return "run from source";
  }
  const { std, runtime, sha256 }: Built = JSON.parse(text);
  const sum = sha256 === undefined ? "" : `, sha256 ${sha256}`;
  return `@std from ${std}\nruntime from ${runtime}${sum}`;
}

/** The page for the program as a whole: its commands and the manual's topics. */
function overview(commands: Readonly<Record<string, Command>>): string {
  const line = (name: string, summary: string) =>
    `  ${name.padEnd(12)}${summary}`;
  const summaries = Object.entries(commands).map(([name, { help }]) => {
    // A usage begins with the line "greylist NAME - SUMMARY".
    const title = help.split("\n").find((line) => line.includes(" - ")) ?? "";
    return line(name, title.split(" - ")[1]);
  });
  const pages = topics().map((topic) => line(topic, summaryOf(page(topic))));
  return `NAME
  greylist - greylisting in front of qmail-smtpd

SYNOPSIS
  greylist [--] PROGRAM [ARG...]
  greylist COMMAND [OPTION...]

DESCRIPTION
  Started by a super-server (tcpserver, inetd, xinetd, systemd) for one SMTP
  connection on standard input and output. For a client that has waited,
  greylist becomes PROGRAM by execve(2). Any other client is told to come back
  later. The configuration, greylist.config.ts, is compiled in.

  If the first argument is the name of a command below, that command runs. With
  -- in front, the argument is PROGRAM.

COMMANDS
${summaries.join("\n")}
  help        this page; help TOPIC prints a page of the manual
  version     versions, and where the parts of the program came from

  greylist COMMAND --help prints the usage of one command.

TOPICS
${pages.join("\n")}

EXIT STATUS
  0    done
  100  used or configured wrongly
  111  temporary trouble
`;
}

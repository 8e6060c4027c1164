/**
 * `deno task pools`: a file of networks for each large sender, and the lines for
 * the configuration that make pools of them. It runs from source, like
 * `deno task spf`.
 *
 * @module
 */

import { join } from "@std/path";
import {
  EXIT,
  parseOptions,
  print,
  tell,
  UsageError,
} from "../commands/command.ts";
import { printable } from "../spf/record.ts";
import { PermError } from "../spf/expand.ts";
import type { Resolver } from "../spf/resolver.ts";
import { isFile } from "./output.ts";
import {
  countNetworks,
  formatList,
  isSameList,
  networksIn,
  warningsOf,
} from "./spf/list.ts";
import {
  type DomainNetworks,
  exitCodeOf,
  isFailure,
  lookUp,
  resolverOf,
  runTask,
  together,
} from "./spf/look_up.ts";
import { directoryOf, readOutput, writeOutput } from "./spf/output.ts";
import { type Sender, SENDERS } from "./spf/senders.ts";

/** The manual page. */
const help = `\
NAME
    deno task pools - make pools of large senders from their SPF records

SYNOPSIS
    deno task pools --output=DIR [--only=NAME,...] [--server=HOST:PORT]

DESCRIPTION
    A large sender retries a deferred message from another of its networks. If
    these are a pool, they are one client: a message deferred in one network is
    let in from another.

    This task looks up the SPF records of each sender listed below and writes
    the networks to DIR/pool-NAME. Standard output gets the lines for
    greylist.config.ts that make pools of these files. Standard error gets the
    changes since the last run and the errors; without changes and errors it
    stays empty. Run the task every night from cron, then send "greylist serve"
    and "greylist learn --follow" a SIGHUP.

    A file is replaced in one step, and only if every look-up for it succeeded.
    If a look-up or the file fails, the old file stays, and the other senders go
    on. If the records of a sender list no networks any more, only names, a line
    on standard error says each time that its file is to be removed. A file that
    neither this task nor "deno task spf" made is not replaced, unless it is
    empty. What counts in a record is as with deno task spf.

OPTIONS
    --output=DIR
        The directory for the files, which has to exist.
    --only=NAME,...
        Only these senders.
    --server=HOST:PORT
        The DNS server to ask, over TCP; an IPv6 address in brackets, port 53
        if left out. Without this, those in /etc/resolv.conf.
    --help
        This text.

ENVIRONMENT
    GREYLIST_STD
        npm: takes @std from npm at once, without the line that says so. For
        networks without JSR.

EXIT STATUS
    0 done; 100 a record is wrong or missing, a file was not made by these
    tasks, or the command line is wrong; 111 the DNS did not answer, or the
    disk did not take a file: try again later.

SENDERS
${SENDERS.map(senderLine).join("\n")}
`;

function senderLine({ name, description }: Sender): string {
  return `    ${name.padEnd(16)} ${description}`;
}

/** How many new or removed networks are listed one by one. */
const MOST_TOLD = 5;

/**
 * Runs the command.
 *
 * @returns the exit code
 */
async function pools(args: string[]): Promise<number> {
  const { options, operands } = parseOptions(args, {
    string: ["output", "only", "server"],
    boolean: ["help"],
  });
  if (options.help) {
    print(help);
    return EXIT.done;
  }
  if (operands.length > 0) {
    throw new UsageError(`${printable(operands[0])}: expected only options`);
  }
  if (options.output === undefined) {
    throw new UsageError("expected --output=DIR; deno task pools --help");
  }
  const dir = directoryOf(String(options.output));
  const senders = chosen(options.only as string | undefined);
  const resolver = resolverOf(options.server as string | undefined);

  const failures: Error[] = [];
  const lines: string[] = [];
  for (const sender of senders) {
    const path = join(dir, `pool-${sender.name}`);
    const isThere = isFile(path);
    let isOutdated = false;
    let made: Made | undefined;
    try {
      const old = readOutput(path);
      made = await list(sender, resolver);
      isOutdated = old !== undefined && made === undefined;
      if (isOutdated) {
        complain(
          `${sender.name}: its records have no networks any more: take its ` +
            `new line into greylist.config.ts, then remove ${path}`,
        );
      }
      if (made !== undefined && !(old && isSameList(old, made.text))) {
        writeOutput(path, made.text);
        for (const line of [...made.warnings, change(old, made.text)]) {
          complain(`${sender.name}: ${line}`);
        }
      }
    } catch (error) {
      if (!isFailure(error)) throw error;
      failures.push(error);
      made = undefined;
      const kept = isThere ? "the old file stays" : "no file is made";
      complain(`${sender.name}: ${error.message}; ${kept}`);
    }
    const hasFile = made !== undefined || isThere && !isOutdated;
    lines.push(...poolLine(sender, hasFile ? [path] : []));
  }
  const inner = lines.map((line) => `    ${line}`);
  print(["  pools: [", ...inner, "  ],"].join("\n"));
  return exitCodeOf(failures);
}

/** A file, and the lines about what could not be listed in it. */
interface Made {
  readonly text: string;
  readonly warnings: readonly string[];
}

/**
 * Makes the text of a sender's file.
 *
 * @returns undefined if its records name hosts instead of networks
 * @throws {PermError | TempError} if one of its domains fails
 */
async function list(
  { domains, hosts }: Sender,
  resolver: Resolver,
): Promise<Made | undefined> {
  const results: DomainNetworks[] = [];
  for (const domain of domains) {
    try {
      results.push(await lookUp(domain, resolver));
    } catch (error) {
      if (isFailure(error)) error.message = `${domain}: ${error.message}`;
      throw error;
    }
  }
  const networks = together(results);
  if (networks.length > 0) {
    const text = formatList(results, networks, {
      made: "deno task pools",
      now: new Date(),
      field: "pools",
    });
    return { text, warnings: warningsOf(results) };
  }
  if (hosts !== undefined) return undefined;
  throw new PermError(`${domains.join(", ")}: no networks`);
}

/** The line of the configuration, if the sender can be a pool. */
function poolLine(
  { name, hosts = [], description }: Sender,
  files: readonly string[],
): string[] {
  const fields = Object.entries({ hosts, files })
    .filter(([, items]) => items.length > 0)
    .map(([field, items]) =>
      `${field}: [${items.map((item) => JSON.stringify(item)).join(", ")}]`
    );
  if (fields.length === 0) return [];
  return [
    `// ${description}`,
    `{ name: ${JSON.stringify(name)}, ${fields.join(", ")} },`,
  ];
}

/** The networks that are new or gone in a file, as one line. */
function change(old: string | undefined, text: string): string {
  const now = networksIn(text);
  const total = countNetworks(now);
  if (old === undefined) return `${total}, a new file`;
  const before = new Set(networksIn(old));
  const added = now.filter((network) => !before.delete(network));
  const parts = [
    ...added.length > 0 ? [`new ${some(added)}`] : [],
    ...before.size > 0 ? [`gone ${some([...before])}`] : [],
  ];
  return `${total}, ${parts.join(", ") || "the same, in other words"}`;
}

function some(networks: readonly string[]): string {
  const more = networks.length - MOST_TOLD;
  const told = networks.slice(0, MOST_TOLD).map(printable).join(" ");
  return more > 0 ? `${told} and ${more} more` : told;
}

/** @throws {UsageError} if a name is unknown */
function chosen(only: string | undefined): readonly Sender[] {
  if (only === undefined) return SENDERS;
  const names = only.split(",");
  for (const name of names) {
    if (SENDERS.every((sender) => sender.name !== name)) {
      throw new UsageError(
        `--only: ${printable(name)}: no such sender; deno task pools --help ` +
          "lists them",
      );
    }
  }
  return SENDERS.filter(({ name }) => names.includes(name));
}

function complain(message: string): void {
  tell(`greylist pools: ${message}`);
}

if (import.meta.main) {
  Deno.exit(await runTask(() => pools(Deno.args), complain));
}

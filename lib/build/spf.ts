/**
 * `deno task spf`: makes a whitelist file from the SPF records of domains. It
 * runs from source, so that the compiled program needs no network permission.
 *
 * @module
 */

import {
  EXIT,
  parseOptions,
  print,
  tell,
  UsageError,
} from "../commands/command.ts";
import { PermError } from "../spf/expand.ts";
import { isName } from "../spf/message.ts";
import type { Sourced } from "../spf/networks.ts";
import { printable } from "../spf/record.ts";
import { formatList, summary } from "./spf/list.ts";
import {
  type DomainNetworks,
  exitCodeOf,
  isFailure,
  lookUp,
  resolverOf,
  runTask,
  together,
} from "./spf/look_up.ts";
import { readOutput, writeOutput } from "./spf/output.ts";

/** The manual page. */
const help = `\
NAME
    deno task spf - make a whitelist file from SPF records

SYNOPSIS
    deno task spf DOMAIN... [--output=FILE] [--server=HOST:PORT]

DESCRIPTION
    Senders with many networks retry a deferred message from another network
    each time, and their mail may wait for hours, or come back to its author.
    This task looks up the SPF record of each DOMAIN with all records that it
    includes. It writes the networks from which mail passes, one a line, merged
    and sorted; a comment names the terms that each network comes from. Name the
    file under whitelist.files in greylist.config.ts, and run the task again
    from time to time.

    FILE is replaced in one step, and only if every look-up succeeded. If a
    DOMAIN fails, one line on standard error says why, and FILE stays as it was.
    A DOMAIN also fails if its record lists no networks, or if its networks have
    more addresses than an IPv4 /8 or an IPv6 /16, as with a record that ends
    with +all. If the networks of all domains together have more, nothing is
    written either. A FILE that neither this task nor "deno task pools" made is
    not replaced, unless it is empty.

    Terms that differ for each client (ptr, exists, macros other than %{d}, %%,
    %_ and %-) cannot be written as networks. They are left out, and a line on
    standard error and in the file says so. A term that refuses (-a,
    ~include:...) is not looked up: the networks listed after it are marked
    "although -a", and a line says so.

OPTIONS
    --output=FILE
        Where to write; standard output if left out.
    --server=HOST:PORT
        The DNS server to ask, over TCP; an IPv6 address in brackets, port 53
        if left out. Without this, those in /etc/resolv.conf.
    --help
        This text.

EXIT STATUS
    0 done; 100 a record is wrong, missing or without networks, or the command
    line is wrong, as with a FILE that may not be replaced; 111 the DNS did not
    answer, or the disk did not take the file: try again later.
`;

/**
 * Runs the command.
 *
 * @returns the exit code
 */
async function spf(args: string[]): Promise<number> {
  const { options, operands } = parseOptions(args, {
    string: ["output", "server"],
    boolean: ["help"],
  });
  if (options.help) {
    print(help);
    return EXIT.done;
  }
  if (operands.length === 0) {
    throw new UsageError("expected a DOMAIN; deno task spf --help tells more");
  }
  const domains = [...new Set(operands.map(parseDomain))];
  const resolver = resolverOf(options.server as string | undefined);
  const file = options.output as string | undefined;
  // Before the look-ups: a file that is kept by hand is not replaced.
  if (file !== undefined) readOutput(file);

  const results: DomainNetworks[] = [];
  const failures: Error[] = [];
  for (const domain of domains) {
    try {
      const result = await lookUp(domain, resolver);
      for (const warning of result.warnings) complain(`${domain}: ${warning}`);
      if (result.networks.length === 0) throw new PermError("no networks");
      results.push(result);
      complain(summary(result));
    } catch (error) {
      if (!isFailure(error)) throw error;
      failures.push(error);
      complain(`${domain}: ${error.message}`);
    }
  }
  if (failures.length > 0) return exitCodeOf(failures);
  let networks: Sourced[];
  try {
    networks = together(results);
  } catch (error) {
    if (!isFailure(error)) throw error;
    complain(`all domains together: ${error.message}`);
    return exitCodeOf([error]);
  }
  const text = formatList(results, networks, {
    made: `deno task spf ${args.map(printable).join(" ")}`,
    now: new Date(),
    field: "whitelist.files",
  });
  if (file === undefined) print(text);
  else writeOutput(file, text);
  return EXIT.done;
}

/** @throws {UsageError} if the text is not a domain of two labels or more */
function parseDomain(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, "");
  const good = isName(domain) && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(domain);
  if (!good || /\.[0-9]+$/.test(domain)) {
    throw new UsageError(
      `${printable(text)}: expected a domain such as example.com ` +
        "(xn--... for names beyond ASCII)",
    );
  }
  return domain;
}

function complain(message: string): void {
  tell(`greylist spf: ${message}`);
}

if (import.meta.main) {
  Deno.exit(await runTask(() => spf(Deno.args), complain));
}
